"""Holds all work to its money: finds purses that are empty, has what pays from them wait, asks a person, and lets it go
on when there is money again: because somebody gave more, the settings changed, or the next day (UTC) has begun.

The proxy refuses each call beyond a purse (`credproxy/pipeline/ledger.py`); here is what people notice of it. A group
whose purse is empty is held back like a paused one; a task that was refused in the middle is suspended.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Literal, Protocol

from protocol.ids import ChatKey, GroupId, TaskId
from protocol.link import Ask
from protocol.message import OutboundMessage
from protocol.task import Limits, Purse, Task
from runtime.approvals.records import Approval, NewApproval
from runtime.config import Settings, task_limits
from runtime.group import Group, Groups
from runtime.insist import insist
from runtime.money.mirror import UsageMirror
from runtime.money.payers import Payer, mark_of
from runtime.money.purse_book import PurseBook, TellProxy, used_of
from runtime.money.purses import (
    background_purse,
    day_ends,
    day_of,
    group_of,
    is_closed,
    is_tighter,
    what_is_spent,
)
from runtime.money.records import MEASURES, DayUse, Measure, PurseRow, PurseState, SpentTask, UsedSum
from runtime.money.words import ask_for_purse, ask_for_task, footer, pause_reason, waits_text
from runtime.pauses import BUDGET, Pauses
from runtime.refusal import OperationRefused
from runtime.store import usage_rows
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.store.submission_rows import MAX_QUEUED, StoredSubmission, submission, waiting_submissions
from runtime.waiting_tasks import Asked

log = logging.getLogger(__name__)

SLOW_REREAD_S = 600.0
"""Everything is looked at again at least so often."""
LONGEST_WAIT_S = 30 * 86_400.0
LEAST_DEADLINE_S = 60.0
TASK_DEADLINE_S = 86_400.0
MAX_RAISED_MEANWHILE = 3
TASK = "task"
WAITS = "spending"
"""The kind of the question that a task which waits for money is stored with."""
"""What a task waits for that has used up its own limits."""
BY_HOST = "host"
Word = Literal["raise", "wait", "stop"]
_STATES: Mapping[Word, PurseState] = {"raise": "open", "wait": "waiting", "stop": "stopped"}
STOPPED = "its budget is used up, and it was ended"


class AskPeople(Protocol):
    """The part of `approvals.approvals.Approvals` that asks."""

    async def ask(self, new: NewApproval) -> Approval: ...
    async def withdraw(self, approval_id: str, reason: str) -> bool: ...


class Tasks(Protocol):
    """The part of the dispatcher that ends work."""

    async def stop_chat(self, chat: ChatKey, reason: str) -> object: ...
    async def stop_task(self, task_id: TaskId, reason: str) -> object: ...
    async def cancel(self, submission: StoredSubmission, reason: str) -> object: ...


class Answers(Protocol):
    """The part of `waiting_tasks.WaitingTasks` that lets a task go on."""

    async def resume(self, task_id: TaskId, call_id: str, answer: str, *, is_error: bool = False) -> bool: ...


class Spending:
    """One for the whole host; `load` before anything starts."""

    def __init__(
        self,
        store: Store,
        mirror: UsageMirror,
        *,
        groups: Callable[[], Groups],
        settings: Callable[[], Settings],
        approvals: AskPeople,
        pauses: Pauses,
        answers: Answers,
        tasks: Callable[[], Tasks],
        wake_delivery: Callable[[], None],
        tell_proxy: TellProxy,
    ) -> None:
        self._store = store
        self._mirror = mirror
        self._groups = groups
        self._approvals = approvals
        self._pauses = pauses
        self._answers = answers
        self._tasks = tasks
        self._wake_delivery = wake_delivery
        self._book = PurseBook(store, groups, settings, tell_proxy)
        self._empty: frozenset[str] = frozenset()
        """Purses that are used up, as last looked."""
        self._calls: list[Callable[[], None]] = []
        self._raised_meanwhile: Counter[TaskId] = Counter()
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Say that something was used, decided, or changed in the settings."""
        self._awake.set()

    def when_changed(self, call: Callable[[], None]) -> None:
        """Have `call` called when a purse becomes empty, or has money again."""
        self._calls.append(call)

    def holds_background(self, group_id: GroupId) -> bool:
        """Return whether a group's purse for background work is empty: its schedules begin nothing then."""
        return background_purse(group_id) in self._empty

    async def load(self) -> None:
        """Read what was decided today, and who sits behind which program."""
        await self._book.load()

    def purses(self) -> tuple[Purse, ...]:
        """Return every budget of today that has an end, with what it was given besides."""
        return self._book.purses()

    def used(self, purse: str, use: DayUse) -> tuple[UsedSum, str]:
        """Return what was paid from a purse, and the name of the person whose it is (empty: of nobody)."""
        return self._book.used(purse, use), self._book.who(purse)

    # --- For tasks

    def checked(self, group_id: GroupId) -> GroupId:
        """Return a group that there is; OperationRefused for another."""
        return self._groups().checked(group_id)

    def purses_of(self, group: Group, submitter: str, payer: Payer | None = None) -> tuple[Purse, ...]:
        """Return what a task of this submitter pays from, for its lease. `payer`: whose limits it counts for."""
        return self._book.purses_of(group, submitter, payer)

    async def payer_of(self, row: TaskRow) -> Payer | None:
        """Return whose limits a task counts for; None: nobody's."""
        return await self._book.payer_of(row)

    def limits_of(self, task: Task) -> Limits:
        """Return a task's own limits, with what it was given besides."""
        return self._book.limits_of(task)

    async def suspend(self, row: TaskRow, task: Task, attempt_id: str, code: str) -> bool:
        """Have a task wait that was refused a model call with this code; False if it is to end with it: the code is not
        of money, it has not used up what it says, or its submitter asked for that limit."""
        if not code.startswith("limit_"):
            return False
        await self._mirror.settle(task.task_id)
        spent = await self._what_is_spent(row, task, code)
        if spent is None:
            return False
        asked = Ask(call_id=f"spending:{attempt_id}", kind=WAITS, text=code, timeout_s=LONGEST_WAIT_S)
        job = partial(self._store.write, usage_rows.wait_for_money, task.task_id, spent, asked)
        if not await insist(job, "a task that waits for money"):
            return False
        log.info("a task waits for money", extra={"action": "task_spent", "task_id": task.task_id, "purse": spent})
        if row.chat is not None:
            payer = await self.payer_of(row) if mark_of(spent) else None
            message = OutboundMessage(chat=row.chat, text=waits_text(spent, payer.name if payer is not None else ""))
            key = f"{task.task_id}:spent:{attempt_id}"
            await insist(partial(self._store.put_outbound, key, message, task.task_id), "a notice")
            self._wake_delivery()
        if spent == TASK:
            await self._ask_for_task(row, task, code)
        self.wake()
        return True

    async def asked(self, asked: Asked) -> str | None:
        """Answer a suspended task: None while it waits for money, so that it is left alone. Where its wait has ended
        and nobody could say so any more (the host died), it goes on."""
        waiting = await self._store.read(usage_rows.spent_tasks)
        return None if any(spent.call_id == asked.ask.call_id for spent in waiting) else "There is money again."

    async def _what_is_spent(self, row: TaskRow, task: Task, code: str) -> str | None:
        group = self._groups().ready.get(row.group_id)
        if group is None:
            return None
        if code.startswith("limit_day_"):
            use = await self._store.read(usage_rows.use_of_day, day_of(datetime.now(UTC)))
            purses = self.purses_of(group, row.submitter, await self.payer_of(row))
            day = await self._store.read(usage_rows.payer_day, row.payer) if row.payer else None
            spent = (each.name for each in purses if what_is_spent(each, used_of(each.name, use, day)))
            return next(spent, None) or self._what_was_spent(task, purses)
        if await self._is_submitters_own(row, group, code):
            return None
        return TASK if await self._book.has_reached(task) else None

    async def _is_submitters_own(self, row: TaskRow, group: Group, code: str) -> bool:
        """Return whether a limit is what its submitter asked for, tighter than the group's: then it is the submitter's
        to do more. A schedule's is its maker's, who is not there to be told."""
        if row.submission_id is None or row.submitter.startswith("schedule:"):
            return False
        found = await self._store.read(submission, row.submission_id)
        asked = found.new.limits if found is not None else None
        return asked is not None and is_tighter(asked, task_limits(group.limits), code)

    def _what_was_spent(self, task: Task, purses: tuple[Purse, ...]) -> str | None:
        """Return what a task waits for that was refused by a budget which was raised meanwhile: it goes on at once,
        under a new lease. An agent that only says so is believed a few times."""
        self._raised_meanwhile[task.task_id] += 1
        is_believed = self._raised_meanwhile[task.task_id] <= MAX_RAISED_MEANWHILE
        return purses[-1].name if purses and is_believed else None

    async def footer_of(self, group: Group, task_id: TaskId) -> str:
        """Return the line under a group's answer that says what it cost, empty where it wants none."""
        if not group.footer:
            return ""
        await self._mirror.settle(task_id)
        return footer(await self._store.read(usage_rows.use_of_task, task_id))

    # --- For people

    async def decided(self, approval: Approval) -> None:
        """Follow a person's word about money. Told twice it does nothing more."""
        payload = approval.payload if isinstance(approval.payload, dict) else {}
        if approval.task_id is not None:
            await self._decide_task(approval.task_id, is_yes=approval.is_approved)
        elif payload.get("day") == day_of(datetime.now(UTC)):
            row = (await self._store.read(usage_rows.purse_rows, str(payload["day"]))).get(str(payload["purse"]))
            if row is not None and row.state == "asked" and row.approval_id == approval.approval_id:
                shown = payload.get("measures")
                measures = [each for each in MEASURES if not isinstance(shown, list) or each in shown]
                await self._set(row.purse, "open" if approval.is_approved else "waiting", measures)
        self.wake()

    async def decide(self, purse: str, word: Word) -> None:
        """Raise a purse for today, have what pays from it wait until tomorrow, or end that; OperationRefused."""
        known = {each.name for each in self.purses()}
        if purse not in known:
            message = f"there is no budget {purse[:40]!r} (known: {', '.join(sorted(known)) or 'none'})"
            raise OperationRefused("unknown_budget", message, "./nightyard usage")
        await self._book.refresh()
        row = self._book.rows.get(purse)
        if word != "raise" and (row is None or row.state == "open"):
            raise OperationRefused("not_spent", f"the budget {purse} of today is not used up")
        await self._set(purse, _STATES[word], await self._spent_of(purse) or MEASURES)
        if row is not None and row.state == "asked":  # after the decision: what is withdrawn comes to `decided` too
            await self._approvals.withdraw(row.approval_id, f"decided otherwise: {word}")
        if word == "stop":
            await self._end_what_waits(purse)
        self.wake()

    async def _spent_of(self, name: str) -> tuple[Measure, ...]:
        """Return by which measures a purse is empty now."""
        use = await self._store.read(usage_rows.use_of_day, self._book.day)
        found = (each for each in self.purses() if each.name == name)
        return next((what_is_spent(each, self._book.used(name, use)) for each in found), ())

    async def _set(self, purse: str, state: PurseState, measures: Sequence[Measure]) -> None:
        """`measures`: what of it is given again, where it is open from now on."""
        day, raised = day_of(datetime.now(UTC)), measures if state == "open" else ()
        job = partial(self._store.write, usage_rows.set_purse, day, purse, state, raised=raised)
        await insist(job, "a decision about money")
        await self._book.refresh()

    async def _decide_task(self, task_id: TaskId, *, is_yes: bool) -> None:
        spent = await self._store.read(usage_rows.spent_task, task_id)
        if spent is None or not await self._end_wait(spent, is_raised=is_yes):
            return
        if is_yes:
            await self._book.refresh_raised()
            await self._answers.resume(task_id, spent.call_id, "It was given its limits once more.")
        else:
            await self._tasks().stop_task(task_id, "it has used up its limits, and was given no more")

    async def _end_what_waits(self, purse: str) -> None:
        """End the tasks that wait for this money, and the messages and submissions that are held back with them."""
        for spent in await self._store.read(usage_rows.spent_tasks):
            if spent.purse == purse and await self._end_wait(spent, is_raised=False):
                await self._tasks().stop_task(spent.task_id, STOPPED)
        if purse.startswith(("background:", "person:")):
            return
        group = group_of(purse)
        waiting = await self._store.waiting_messages()
        chats = {each.inbound.chat for each in waiting if group is None or each.group_id == group}
        for chat in sorted(chats):
            await self._tasks().stop_chat(chat, STOPPED)
        for queued in await self._store.read(waiting_submissions, MAX_QUEUED):
            if group is None or queued.new.group_id == group:
                await self._tasks().cancel(queued, STOPPED)

    # --- The loop

    async def run(self) -> None:
        """Look after the purses until cancelled."""
        await self._mirror.has_caught_up.wait()
        while True:
            self._awake.clear()
            await self._look()
            now = datetime.now(UTC)
            with suppress(TimeoutError):
                async with asyncio.timeout(min((day_ends(now) - now).total_seconds() + 0.1, SLOW_REREAD_S)):
                    await self._awake.wait()

    async def _look(self) -> None:
        """Bring everything to where the sums of today say it should be."""
        await self._book.refresh()
        use = await self._store.read(usage_rows.use_of_day, self._book.day)
        waiting = await self._store.read(usage_rows.spent_tasks)
        await self._book.look_at_people(waiting)
        purses = {purse.name: purse for purse in self.purses()}
        empty = {name for name, purse in purses.items() if what_is_spent(purse, self._book.used(name, use))}
        await self._book.say()
        await self._follow_pauses(empty, purses)
        if empty != self._empty:
            self._empty = frozenset(empty)
            for call in self._calls:
                call()
        for name in sorted(empty):
            row = self._book.rows.get(name)
            # A person who has used up what they may is told when they ask for more: a card is for work that waits.
            is_wanted = not mark_of(name) or any(each.purse == name for each in waiting)
            if (row is None or row.state == "open") and is_wanted and not is_closed(purses[name]):
                await self._ask_for_purse(purses[name], self._book.used(name, use))
        for name, row in self._book.rows.items():
            if name not in empty and row.state != "open":
                await self._reopen(row)
        await self._resume_tasks(empty)

    async def _reopen(self, row: PurseRow) -> None:
        """Pay from a purse again: its limit in the settings is higher now."""
        await insist(partial(self._store.write, usage_rows.set_purse, row.day, row.purse, "open"), "a budget")
        if row.state == "asked":
            await self._approvals.withdraw(row.approval_id, "its limit was changed in the settings")

    async def _follow_pauses(self, empty: set[str], purses: Mapping[str, Purse]) -> None:
        for group_id in self._groups().ready:
            held = next((purse for name, purse in purses.items() if name in empty and _holds(name, group_id)), None)
            is_held = any(pause.cause == BUDGET for pause in self._pauses.of(group_id))
            if held is not None and not is_held:
                await self._pauses.pause(group_id, by=BY_HOST, cause=BUDGET, reason=pause_reason(held))
            elif held is None and is_held:
                await self._pauses.resume(group_id, causes=(BUDGET,))

    async def _resume_tasks(self, empty: set[str]) -> None:
        for spent in await self._store.read(usage_rows.spent_tasks):
            if spent.purse != TASK and spent.purse not in empty and await self._end_wait(spent, is_raised=False):
                await self._answers.resume(spent.task_id, spent.call_id, "There is money again.")

    async def _end_wait(self, spent: SpentTask, *, is_raised: bool) -> bool:
        return await insist(
            partial(self._store.write, usage_rows.end_wait, spent.task_id, is_raised=is_raised), "a task's money"
        )

    async def _ask_for_purse(self, purse: Purse, used: UsedSum) -> None:
        now, row = datetime.now(UTC), self._book.rows.get(purse.name)
        left_s = max((day_ends(now) - now).total_seconds(), LEAST_DEADLINE_S)
        new = ask_for_purse(purse, used, self._book.day, row, left_s, who=self._book.who(purse.name))
        approval = await self._ask(new)
        state: PurseState = "asked" if approval is not None else "waiting"
        approval_id = approval.approval_id if approval else ""
        note = partial(usage_rows.set_purse, approval_id=approval_id)
        await insist(partial(self._store.write, note, self._book.day, purse.name, state), "a budget")
        await self._book.refresh()
        if approval is not None and not approval.is_open:
            await self.decided(approval)

    async def _ask_for_task(self, row: TaskRow, task: Task, code: str) -> None:
        used = await self._store.read(usage_rows.use_of_task, task.task_id)
        new = ask_for_task(row, self.limits_of(task), used, code, self._book.raises_of(task.task_id), TASK_DEADLINE_S)
        approval = await self._ask(new)
        if approval is None:
            await self._decide_task(task.task_id, is_yes=False)
            return
        await insist(
            partial(self._store.write, usage_rows.ask_for_task, task.task_id, approval.approval_id), "a task's money"
        )
        if not approval.is_open:
            await self.decided(approval)

    async def _ask(self, new: NewApproval) -> Approval | None:
        try:
            return await self._approvals.ask(new)
        except OperationRefused as refused:
            log.warning("nobody could be asked about money: %s", refused, extra={"action": "spending_unasked"})
            return None


def _holds(purse: str, group_id: GroupId) -> bool:
    """Return whether an empty purse holds a whole group back; one for background work does not."""
    return purse == "machine" or purse == f"group:{group_id}"
