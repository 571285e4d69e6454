"""What is told of tasks by their ends: a failure of an autonomous agent's own work goes to its reviewers, and what a
stopped task had asked is asked no more.

Outputs that are out of the ordinary wait for a review (`reviews.py`); a task that fails has none that anybody sees.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from protocol.message import OutboundMessage
from runtime.approvals.constraint_terms import read_who
from runtime.approvals.effect_text import inline
from runtime.group import Groups
from runtime.insist import insist
from runtime.store import approval_rows, decider_rows, question_rows
from runtime.store.database import Transaction
from runtime.store.records import TaskRow
from runtime.store.store import Store

log = logging.getLogger(__name__)

MAX_WAITING = 1_000
TOLD_ELSEWHERE = ("schedule:", "program:", "group:")
"""Submitters that hear of a failure themselves: by the schedule's own way, by the result, by the return path."""


class Exceptions:
    """Hears of tasks' ends; `run` does what they call for."""

    def __init__(
        self,
        store: Store,
        groups: Callable[[], Groups],
        *,
        wake_approvals: Callable[[], None],
        wake_delivery: Callable[[], None],
    ) -> None:
        self._store = store
        self._groups = groups
        self._wake_approvals = wake_approvals
        self._wake_delivery = wake_delivery
        self._ended: asyncio.Queue[TaskRow] = asyncio.Queue(MAX_WAITING)

    def task_ended(self, row: TaskRow) -> None:
        """Hear of a task's end; returns at once."""
        try:
            self._ended.put_nowait(row)
        except asyncio.QueueFull:
            log.warning("a task's end was not looked at", extra={"action": "end_unseen", "task_id": row.task_id})

    async def run(self) -> None:
        """Look at ends until cancelled."""
        while True:
            row = await self._ended.get()
            await self._withdraw_questions(row)
            if is_exception(row):
                await self._escalate(row)

    async def _withdraw_questions(self, row: TaskRow) -> None:
        is_stopped = row.state == "stopped"
        reason = "its task was stopped" if is_stopped else "its task has ended"

        def end_questions(transaction: Transaction) -> tuple[int, int]:
            closed = question_rows.close_cards_of(transaction, row.task_id)
            return closed, approval_rows.withdraw_of_task(transaction, row.task_id, reason, is_stopped=is_stopped)

        closed, withdrawn = await insist(partial(self._store.write, end_questions), "a task's questions")
        if withdrawn:
            self._wake_approvals()
        if closed or withdrawn:
            self._wake_delivery()

    async def _escalate(self, row: TaskRow) -> None:
        group = self._groups().ready.get(row.group_id)
        if group is None or group.mode != "autonomous":
            return
        text = (
            f"A task of {row.group_id} that nobody watched failed ({row.result.code if row.result else 'unknown'}), "
            f"begun by {inline(row.submitter)}. `nightyard trace {row.task_id}` tells more."
        )
        for chat in await self._store.read(decider_rows.chats_of_role, row.group_id, read_who(group.review.who)):
            key = f"exception:{row.task_id}:{chat}"
            await insist(partial(self._store.put_outbound, key, OutboundMessage(chat=chat, text=text)), "an exception")
        self._wake_delivery()


def is_exception(row: TaskRow) -> bool:
    """Return whether a failed task has nobody else who hears of it: no chat, and a submitter who does not listen."""
    return row.state == "failed" and row.chat is None and not row.submitter.startswith(TOLD_ELSEWHERE)
