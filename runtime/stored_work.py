"""Work that waits, as the store has it: read whole after a start, claimed when it starts, ended when it is too much."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from protocol.ids import MessageId, SubmissionId, TaskId
from protocol.message import OutboundMessage
from runtime.insist import insist
from runtime.session_queue import Refuse, StartTask, Waiting
from runtime.store import question_rows, submission_rows
from runtime.store.records import Claim, MessageState
from runtime.store.store import Store
from runtime.task_desk import TaskDesk
from runtime.task_words import refused_text
from runtime.waiting_work import waiting_resumption, waiting_submission

MAX_READ = 10_000
"""Submissions read at once: as many as may wait."""


async def read_work(store: Store) -> AsyncIterator[Waiting]:
    """Yield what waits and was brought by no message: submissions, and tasks that have their answer."""
    for submission in await store.read(submission_rows.waiting_submissions, MAX_READ):
        yield waiting_submission(submission)
    for row in await store.read(question_rows.resumable_tasks):
        yield waiting_resumption(row)


async def is_resumable(store: Store, task_id: TaskId) -> bool:
    """Return whether a suspended task has its answer."""
    return any(each.task_id == task_id for each in await store.read(question_rows.resumable_tasks))


async def claim(store: Store, start: StartTask) -> Claim:
    """Make messages or a submission a task, or have a task go on; raise ClaimRefused."""
    if start.kind == "resumption":
        return await store.write(question_rows.resume, TaskId(start.works[0]))
    if start.kind == "submission":
        return await store.write(submission_rows.claim, SubmissionId(start.works[0]))
    return await store.claim_messages(start.message_ids)


async def refuse(desk: TaskDesk, waiting: Waiting, refused: Refuse) -> None:
    """End a message of a session in which too much waits, with a word to its chat."""
    if waiting.chat is not None:
        notice = OutboundMessage(chat=waiting.chat, text=refused_text(refused.waiting))
        await insist(partial(desk.store.put_outbound, f"waits:{waiting.work}", notice), "a notice")
        desk.delivery.wake()
    reason = f"{refused.waiting} messages waited before it"
    refusing = partial(desk.store.end_message, MessageId(waiting.work), MessageState.REFUSED, reason)
    await insist(refusing, "a refusal")
