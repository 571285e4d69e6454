"""What a program may ask, whatever door it comes through: submit, how it stands, cancel, events, health.

The work itself is `submissions.py`'s. A program sees its own submissions and no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from protocol.frames import PROTOCOL_VERSION
from protocol.ids import GroupId, SubmissionId, TaskId
from protocol.tasks import EventsEnd, Follow, ResultEnvelope, Submit, Submitted, TaskEvent, TasksHealth
from runtime.programs.envelope import build_envelope
from runtime.programs.records import Program, ProgramTask, prompt_of, sha256_of
from runtime.programs.register import Programs
from runtime.refusal import OperationRefused
from runtime.skills.content import hash_skill
from runtime.store import program_rows, result_rows, usage_rows
from runtime.store.program_rows import ListedTask
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.store.submission_rows import task_of
from runtime.submissions import NewSubmission, Submissions
from runtime.task_desk import Surroundings

MAX_WAIT_S = 3_600.0
MAX_LISTED = 500
SLOW_REREAD_S = 60.0
"""Whoever follows is told what has happened at least so often, in case a wake was lost."""
GATHER_S = 0.02
"""Events that come together are read together."""


class ProgramDesk:
    """One for the whole host."""

    def __init__(
        self,
        store: Store,
        submissions: Submissions,
        programs: Programs,
        around: Surroundings,
        fork: Path,
        *,
        settle: Callable[[TaskId], Awaitable[None]],
        is_stopping: Callable[[], bool],
    ) -> None:
        """`settle` returns when the store knows what a task has used."""
        self._store = store
        self._submissions = submissions
        self._around = around
        self._fork = fork
        self._settle = settle
        self._is_stopping = is_stopping
        self.programs = programs

    async def submit(self, program: Program, asked: Submit) -> Submitted:
        """Take in one task; raises OperationRefused."""
        program = await self.programs.still(program.name)
        if asked.group not in program.groups and not program.is_operator:
            allowed = ", ".join(program.groups)
            message = f"the program {program.name} may not submit to {asked.group[:40]!r}, only to {allowed}"
            raise OperationRefused("not_granted", message, "./nightyard program list")
        if self._is_stopping():
            raise OperationRefused("stopping", "the host is stopping", "submit it again when it is back")
        new = NewSubmission(
            submitter=program.submitter,
            group_id=asked.group,
            prompt=prompt_of(asked.input),
            idempotency_key=asked.idempotency_key,
            effects=asked.effects,
            max_attempts=asked.max_attempts,
            model_hint=asked.model_hint,
            result_schema=asked.result_schema,
            limits=asked.limits,
            trust="person" if program.is_operator else "program",
            skill=asked.skill,
            labels=asked.labels,
        )
        taken = await self._submissions.submit(new)
        await self._note(program, asked, taken.submission_id)
        return Submitted(submission=taken.submission_id, state=taken.state, task=taken.task_id, is_new=taken.is_new)

    async def _note(self, program: Program, asked: Submit, submission_id: SubmissionId) -> None:
        """Keep what the envelope will say of how it was submitted. Asked again, what was noted first stays; what its
        attempts begin with is noted then (`start.py`)."""
        group = self._around.groups.ready.get(asked.group)
        skill = asked.skill or ""
        skill_sha256 = await asyncio.to_thread(hash_skill, self._fork, asked.group, skill) if skill else ""
        noted = ProgramTask(
            submission_id=submission_id,
            program=program.name,
            group_id=asked.group,
            skill=skill,
            skill_sha256=skill_sha256,
            input_sha256=sha256_of(asked.input),
            mode=group.mode if group else "",
        )
        await self._store.write(program_rows.put_program_task, noted)

    async def result(self, program: Program, submission_id: SubmissionId, wait_s: float = 0.0) -> ResultEnvelope:
        """Return how a submission stands, when it has ended or after so long."""
        await self._own(program, submission_id)
        if wait_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, MAX_WAIT_S)):
                    await self._wait_reviewed(await self._submissions.wait_ended(submission_id))
        noted = await self._own(program, submission_id)  # as its attempt began, which may have been meanwhile
        submission = await self._submissions.get(submission_id)
        task = await self._store.read(task_of, submission_id)
        if task is not None:
            await self._settle(task.task_id)
        attempts = await self._store.attempts_of(task.task_id) if task else ()
        used = await self._store.read(usage_rows.use_of_task, task.task_id) if task else ()
        review = await self._store.read(result_rows.review_of, task) if task else None
        return build_envelope(noted, submission, task, attempts, used, review)

    async def _wait_reviewed(self, task: TaskRow) -> None:
        """Return when nobody looks at a result any more before its program gets it."""
        with self._store.watched() as grown:
            while True:
                grown.clear()
                review = await self._store.read(result_rows.review_of, task)
                if review is None or not review.is_open:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(SLOW_REREAD_S):
                        await grown.wait()

    def is_reviewed(self, program: Program, group: GroupId) -> bool:
        """Return whether what a program gets of a group waits for a review: nothing of it may be shown before."""
        known = self._around.groups.ready.get(group)
        is_unattended = not program.is_attended and not program.is_operator
        return known is not None and known.mode == "copilot" and is_unattended

    async def cancel(self, program: Program, submission_id: SubmissionId, reason: str) -> ResultEnvelope:
        """End a submission; return how it stands then."""
        await self._own(program, submission_id)
        said = f": {reason[:200]}" if reason else ""
        by = "a person" if program.is_operator else f"the program {program.name}"
        reason = f"cancelled by {by}{said}"
        await self._submissions.cancel(submission_id, reason)
        await self._store.write(result_rows.withdraw, submission_id, reason)
        return await self.result(program, submission_id)

    async def listed(self, name: str, limit: int) -> tuple[ListedTask, ...]:
        """Return the newest submissions of a program, or of all (empty), the newest first."""
        return await self._store.read(program_rows.program_tasks, name, max(1, min(limit, MAX_LISTED)))

    async def find(self, reference: str) -> SubmissionId:
        """Return the submission that is meant: by its own id, or by its task's."""
        row = await self._store.task(TaskId(reference)) if reference.startswith("task_") else None
        return SubmissionId(reference) if row is None or row.submission_id is None else row.submission_id

    async def events(self, program: Program, asked: Follow) -> AsyncIterator[TaskEvent | EventsEnd]:
        """Yield what has happened since a cursor; then, unless more is waited for, where that ends."""
        if asked.cursor < 0:
            raise OperationRefused("wrong_cursor", "a cursor is 0 or what an event gave")
        submitter, cursor = program.submitter, asked.cursor
        if asked.submission is not None:
            submitter = (await self._own(program, asked.submission)).submitter
        with self._store.watched() as grown:
            while True:
                grown.clear()
                await self.programs.still(program.name)
                page = await self._store.read(program_rows.events_after, submitter, cursor, asked.submission or "")
                for event in page.events:
                    yield TaskEvent(
                        cursor=event.seq,
                        kind=event.kind,
                        at=event.at,
                        submission=event.submission_id,
                        task=event.task_id,
                        attempt=event.attempt_id,
                    )
                cursor = page.cursor
                if not page.is_last:
                    continue
                if not asked.wait:
                    yield EventsEnd(cursor=cursor)
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(SLOW_REREAD_S):
                        await grown.wait()
                        await asyncio.sleep(GATHER_S)

    async def health(self, program: Program) -> TasksHealth:
        queued, running = await self._store.read(program_rows.counts_of, program.submitter)
        return TasksHealth(
            protocol=PROTOCOL_VERSION,
            is_frozen=await self._store.is_frozen(),
            is_stopping=self._is_stopping(),
            queued=queued,
            running=running,
            groups={group: self._state_of(group) for group in program.groups},
        )

    def _state_of(self, group: GroupId) -> str:
        if group in self._around.groups.ready:
            return "ready"
        return "suspended" if group in self._around.groups.suspended else "gone"

    async def _own(self, program: Program, submission_id: SubmissionId) -> ProgramTask:
        """Return what was noted of the program's own submission; what is another's is not there for it."""
        noted = await self._store.read(program_rows.program_task, submission_id)
        if noted is None or (noted.program != program.name and not program.is_operator):
            who = f"the program {program.name} has" if program.name else "there is"
            raise OperationRefused("unknown_submission", f"{who} no submission {submission_id[:60]!r}")
        return noted
