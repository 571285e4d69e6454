"""Sums conversations up when somebody asks: a task with a fixed prompt, whose reply stands for what came before it.

What was said is kept: only what a model is shown changes. Constraints, instructions and skills are no part of a
conversation, and stay as they are. A summary whose end nobody heard is found by its row.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from protocol.ids import ChatKey, GroupId, SessionId
from protocol.message import OutboundMessage
from protocol.summary import SUMMARY_PROMPT, build_summary
from protocol.task import Limits
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.sessions.records import OpenCompaction
from runtime.sessions.words import build_compacted, build_not_compacted
from runtime.store import session_rows
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.submission import NewSubmission
from runtime.submissions import Submissions

log = logging.getLogger(__name__)

LEAST_TURNS = 4
"""A shorter conversation is shorter than its summary."""
ONE_ROUND = Limits(
    model_calls=3,  # tries at one call: a provider that is busy is asked again
    input_tokens=4_000_000,
    output_tokens=20_000,
    cost_usd=None,
    rounds=1,
    wall_s=600.0,
)
SLOW_REREAD_S = 60.0
"""While a summary is awaited its row is looked at so often, in case its end was not heard."""


class Compactor:
    """One for the whole host."""

    def __init__(self, store: Store, submissions: Submissions, wake_delivery: Callable[[], None]) -> None:
        self._store = store
        self._submissions = submissions
        self._wake_delivery = wake_delivery
        self._awake = asyncio.Event()

    async def compact(self, group_id: GroupId, session_id: SessionId, chat: ChatKey, by: str, key: str) -> int:
        """Have a conversation summed up; return how many turns of it. OperationRefused if there is nothing to sum up.
        The same key again is the same summary."""
        turns = await self._store.read(session_rows.turns_in_view, session_id)
        if turns < LEAST_TURNS:
            raise OperationRefused("too_short", "There is nothing to sum up yet")
        if await self._store.read(session_rows.is_compacting, session_id):
            raise OperationRefused("compacting", "This conversation is being summed up already")
        submitted = await self._submissions.submit(
            NewSubmission(
                submitter=by,
                group_id=group_id,
                prompt=SUMMARY_PROMPT,
                idempotency_key=key,
                session=session_id,
                limits=ONE_ROUND,
            )
        )
        noting = partial(session_rows.note_compaction, by=by)
        await insist(lambda: self._store.write(noting, submitted.submission_id, session_id, chat), "a summary to come")
        self._awake.set()  # it may have ended before it was noted
        return turns

    async def stop(self, chat: ChatKey, reason: str) -> int:
        """End the summaries that a chat waits for; return how many."""
        awaited = [each for each in await self._store.read(session_rows.open_compactions) if each.chat == chat]
        for each in awaited:
            await self._submissions.cancel(each.submission_id, reason)
        return len(awaited)

    def task_ended(self, row: TaskRow) -> None:
        """Hear that a task has ended. Returns at once."""
        if row.submission_id is not None:
            self._awake.set()

    async def run(self) -> None:
        """Put summaries in the place of what they sum up, until cancelled."""
        while True:
            self._awake.clear()
            is_awaited = await self._settle()
            with suppress(TimeoutError):
                async with asyncio.timeout(SLOW_REREAD_S if is_awaited else None):
                    await self._awake.wait()

    async def _settle(self) -> bool:
        """Settle what has ended; return whether more is awaited."""
        awaited = await self._store.read(session_rows.open_compactions)
        for each in awaited:
            if each.task_id is not None:
                await self._end(each)
        return any(each.task_id is None for each in awaited)

    async def _end(self, ended: OpenCompaction) -> None:
        result = ended.result
        summary = result.text if result is not None and session_rows.is_answer(result) else ""
        entry = build_summary(summary) if summary else None
        await insist(lambda: self._store.write(session_rows.end_compaction, ended, entry), "a summary")
        if ended.chat:
            text = build_compacted(len(summary)) if summary else build_not_compacted(result.reason if result else "")
            notice = OutboundMessage(chat=ended.chat, text=text)
            await insist(lambda: self._store.put_outbound(f"{ended.submission_id}:compacted", notice), "a notice")
            self._wake_delivery()
        extra = {"action": "session_compacted", "session_id": ended.session_id, "chars": len(summary)}
        log.info("a conversation was summed up" if summary else "a conversation was not summed up", extra=extra)
