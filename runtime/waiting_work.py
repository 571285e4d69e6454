"""What waits, as the session queue takes it: made of messages, submissions and suspended tasks. Pure."""

from __future__ import annotations

from runtime.bursts import USUAL_HOLDS, Holds, hold_s
from runtime.session_queue import Lane, Waiting
from runtime.store.records import StoredMessage, TaskRow
from runtime.store.submission_rows import StoredSubmission

FIRST = (0, 0)
"""The order of a task that goes on: before what was said after it began."""


def lane_of(row: TaskRow) -> Lane:
    """Return the lane that a task is worked on in."""
    return Lane(row.session_id or row.submission_id or row.task_id)


def waiting_message(message: StoredMessage, now: float, holds: Holds = USUAL_HOLDS) -> Waiting | None:
    """Return a queued message that is here from `now` on (monotonic); None for one that no agent is to answer."""
    if message.session_id is None or message.group_id is None:
        return None
    return Waiting(
        order=(message.seq, 0),
        work=message.message_id,
        lane=Lane(message.session_id),
        group_id=message.group_id,
        chat=message.inbound.chat,
        mode=message.mode,
        arrived_at=now,
        hold_s=hold_s(message, holds),
    )


def waiting_submission(submission: StoredSubmission) -> Waiting:
    """Return a queued submission."""
    return Waiting(
        order=(submission.after_message, submission.number),
        work=submission.submission_id,
        lane=Lane(submission.session_id or submission.submission_id),
        group_id=submission.new.group_id,
        chat=submission.new.chat,
        kind="submission",
    )


def waiting_resumption(row: TaskRow) -> Waiting:
    """Return a suspended task that has its answer."""
    return Waiting(
        order=FIRST, work=row.task_id, lane=lane_of(row), group_id=row.group_id, chat=row.chat, kind="resumption"
    )
