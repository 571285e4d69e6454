"""The envelope of a program's submission, made of what was noted, its task and what that used. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from protocol.task import TaskStatus, Usage
from protocol.tasks import ResultEnvelope
from runtime.approvals.records import Approval
from runtime.approvals.reviews import let_go
from runtime.money.records import TaskModelUse
from runtime.programs.records import ProgramTask
from runtime.store.records import AttemptRow, TaskRow
from runtime.submission import Submission


def build_envelope(
    noted: ProgramTask,
    submission: Submission,
    task: TaskRow | None,
    attempts: Sequence[AttemptRow],
    used: Sequence[TaskModelUse],
    review: Approval | None = None,
) -> ResultEnvelope:
    """Return how a submission stands. `review`: the question whether the program may have the result."""
    spec = task.spec if task else None
    result = task.result if task and _has_ended(task) else None
    given = let_go(result, review) if result is not None else None
    answered = [each for each in used if each.route and each.used.tokens]
    last = max(answered, key=lambda each: each.last_at, default=None)
    return ResultEnvelope(
        submission=noted.submission_id,
        state="in_review" if result is not None and given is None else submission.state,
        group=noted.group_id,
        mode=noted.mode,
        input_sha256=noted.input_sha256,
        submitted_at=noted.submitted_at,
        task=task.task_id if task else None,
        attempt=attempts[-1].attempt_id if attempts else None,
        attempts=len(attempts),
        skill=noted.skill,
        skill_sha256=noted.skill_sha256,
        provider=last.route if last else "",
        model=last.model if last else "",
        models_used=tuple(dict.fromkeys(each.model for each in used if each.model)),
        usage=sum_up(used),
        prompt_sha256=hashlib.sha256(spec.prompt.encode()).hexdigest() if spec else "",
        started_at=task.created_at if task else None,
        ended_at=task.ended_at if task else None,
        result=given,
    )


def sum_up(used: Sequence[TaskModelUse]) -> Usage:
    """Return a task's use; its cost is None once a call's price was not known."""
    is_known = not any(each.used.calls_without_price for each in used)
    return Usage(
        model_calls=sum(each.used.model_calls for each in used),
        input_tokens=sum(each.used.input_tokens for each in used),
        output_tokens=sum(each.used.output_tokens for each in used),
        cost_usd=round(sum(each.used.cost_usd for each in used), 9) if is_known else None,
    )


def _has_ended(task: TaskRow) -> bool:
    return task.state in set(TaskStatus)
