"""What a trace tells beside a task's own rows: who was asked and said what, and what a message waits for.

Each function is one job, which only reads.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import TaskId
from runtime.store import overview_rows, pause_rows, question_rows, session_rows
from runtime.store.database import Transaction
from runtime.store.question_rows import Question
from runtime.store.records import StoredMessage, TaskRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    by: str
    is_yes: bool
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Something that people were to decide for a task."""

    approval_id: str
    kind: str
    summary: str
    state: str
    reason: str
    """The host's word for how it ended without a person, or why somebody said no."""
    asked_at: str
    deadline_at: str
    ended_at: str | None
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStory:
    """What people had to do with a task."""

    submitted_at: str
    """When it was submitted; empty where messages brought it."""
    asked: tuple[Asked, ...]
    questions: tuple[Question, ...]
    """What its agent asked, without the questions whether a call may be made: those are in `asked`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Why a message is not begun."""

    before: int
    """So much of the group's work is before it."""
    at_work: tuple[TaskId, ...]
    """What the group does now."""
    pauses: tuple[str, ...]
    """Why the group is held back, where it is."""
    is_frozen: bool


def task_story(transaction: Transaction, task: TaskRow) -> TaskStory:
    submitted = transaction.one("submitted_at", submission_id=task.submission_id) if task.submission_id else None
    return TaskStory(
        submitted_at=submitted["created_at"] if submitted else "",
        asked=tuple(_asked(transaction, task.task_id)),
        questions=tuple(
            question
            for question in question_rows.questions_of(transaction, task.task_id)
            if question.ask.kind != question_rows.APPROVAL
        ),
    )


def _asked(transaction: Transaction, task_id: TaskId) -> list[Asked]:
    return [
        Asked(
            approval_id=row["approval_id"],
            kind=row["kind"],
            summary=row["summary"] or "",
            state=row["state"],
            reason=row["reason"] or row["because"] or "",
            asked_at=row["asked_at"],
            deadline_at=row["deadline_at"],
            ended_at=row["ended_at"],
            votes=tuple(
                Vote(by=vote["by"], is_yes=bool(vote["is_yes"]), at=vote["voted_at"])
                for vote in transaction.all("votes_of", approval_id=row["approval_id"])
            ),
        )
        for row in transaction.all("approvals_of_task", task_id=task_id)
    ]


def waits(transaction: Transaction, message: StoredMessage) -> Waits | None:
    """Return why a queued message is not begun; None for one that no agent is to answer."""
    if message.group_id is None:
        return None
    row = transaction.one("before_in_line", group_id=message.group_id, seq=message.seq)
    open_tasks = session_rows.tasks_of_group(transaction, message.group_id, 0)
    return Waits(
        before=row["work"] if row else 0,
        at_work=tuple(each.task_id for each in open_tasks if each.state == "running"),
        pauses=tuple(
            each.reason or "a person paused it"
            for each in pause_rows.pauses(transaction)
            if each.group_id == message.group_id
        ),
        is_frozen=overview_rows.is_frozen(transaction),
    )
