"""What today's purses are and what was paid from them, as the store has it: read before whoever asks is answered.

What becomes of an empty one is `spending.py`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from credproxy.admin_client.link import ProxyError
from protocol.ids import TaskId
from protocol.task import Limits, Purse, Task
from runtime.config import TERMINAL, Settings
from runtime.group import Group, Groups
from runtime.money.payers import Payer, PayerDay, mark_of, payer_purses
from runtime.money.purses import MACHINE, all_purses, day_of, is_background, purses_of, raised_limits
from runtime.money.records import NOTHING_USED, DayUse, PurseRow, SpentTask, UsedSum
from runtime.store import program_rows, usage_rows
from runtime.store.records import TaskRow
from runtime.store.store import Store

log = logging.getLogger(__name__)

TellProxy = Callable[[Sequence[Purse]], Awaitable[None]]
"""Has purses hold for the tools of the machine, too; raises ProxyError."""


class PurseBook:
    """One for the whole host; `load` before anything starts."""

    def __init__(
        self, store: Store, groups: Callable[[], Groups], settings: Callable[[], Settings], tell_proxy: TellProxy
    ) -> None:
        self._store = store
        self._groups = groups
        self._settings = settings
        self._tell_proxy = tell_proxy
        self._told: tuple[Purse, ...] | None = None
        """What the proxy has been told."""
        self.rows: Mapping[str, PurseRow] = {}
        """What was decided today."""
        self.day = ""
        self.payers: Mapping[str, PayerDay] = {}
        """For whom something was done today, or waits, by their mark; where people have limits."""
        self._raised: Mapping[TaskId, int] = {}
        self._attended: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Read what was decided today, and who sits behind which program."""
        await self.refresh()
        await self.refresh_raised()
        programs = await self._store.read(program_rows.programs)
        self._attended = frozenset(each.name for each in programs if each.is_attended)

    async def refresh(self) -> None:
        self.day = day_of(datetime.now(UTC))
        self.rows = await self._store.read(usage_rows.purse_rows, self.day)

    async def refresh_raised(self) -> None:
        self._raised = await self._store.read(usage_rows.raised_tasks)

    def raises_of(self, task_id: TaskId) -> int:
        """Return how often a task was given its own limits again."""
        return self._raised.get(task_id, 0)

    def limits_of(self, task: Task) -> Limits:
        """Return a task's own limits, with what it was given besides."""
        return raised_limits(task.limits, self.raises_of(task.task_id))

    async def has_reached(self, task: Task) -> bool:
        """Return whether a task has used up one of its own limits."""
        used = await self._store.read(usage_rows.use_of_task, task.task_id)
        limits = self.limits_of(task)
        cost = sum(each.used.cost_usd for each in used)
        return (
            sum(each.used.model_calls for each in used) >= limits.model_calls
            or sum(each.used.input_tokens for each in used) >= limits.input_tokens
            or sum(each.used.output_tokens for each in used) >= limits.output_tokens
            or (limits.cost_usd is not None and cost >= limits.cost_usd)
        )

    def purses_of(self, group: Group, submitter: str, payer: Payer | None) -> tuple[Purse, ...]:
        """Return what a task of this submitter pays from; `payer`: whose limits it counts for."""
        in_background = is_background(submitter, self._attended)
        purses = purses_of(group, self._settings().budgets, self.rows, in_background=in_background)
        own = payer_purses(payer, group.group_id, group.people.limits, self.rows) if payer is not None else ()
        return (*purses, *own)

    async def payer_of(self, row: TaskRow) -> Payer | None:
        """Return whose limits a task counts for; None: nobody's. Who can open a terminal owns the home."""
        if not row.payer or row.payer.startswith(f"{TERMINAL}:"):
            return None
        return await self._store.read(usage_rows.payer, row.payer)

    def purses(self) -> tuple[Purse, ...]:
        """Return every budget of today that has an end, with what it was given besides; of people those for whom
        something was done today, or waits."""
        groups = self._groups().ready
        of_people = {
            purse.name: purse
            for day in self.payers.values()
            for group_id in day.by_group
            if group_id in groups
            for purse in payer_purses(day.payer, group_id, groups[group_id].people.limits, self.rows)
        }
        return (*all_purses(groups.values(), self._settings().budgets, self.rows), *of_people.values())

    async def look_at_people(self, waiting: Sequence[SpentTask]) -> None:
        """Read what was done for people, if any of them has limits; `waiting`: the tasks that wait for money."""
        of_agents = (group.people.limits for group in self._groups().ready.values())
        has_limits = any(
            each.model_calls_per_day is not None or each.cost_usd_per_day is not None for each in of_agents
        ) or await self._store.read(usage_rows.has_person_limits)
        days = await self._store.read(usage_rows.payers_of_day, self.day, waiting) if has_limits else ()
        self.payers = {day.payer.mark: day for day in days}

    async def say(self) -> None:
        """Have the tools of the machine held to the budgets too: what they may, the proxy lends by itself. Where it is
        away it is told when something is looked at again."""
        purses = tuple(each for each in self.purses() if each.name == MACHINE or each.name.startswith("group:"))
        if purses == self._told:
            return
        try:
            await self._tell_proxy(purses)
            self._told = purses
        except ProxyError as error:
            log.warning("the proxy does not know today's budgets: %s", error, extra={"action": "purses_unsaid"})

    def who(self, purse: str) -> str:
        """Return the name of the person whose a purse is, empty for another purse."""
        day = self.payers.get(mark_of(purse))
        return day.payer.name if day is not None else ""

    def used(self, purse: str, use: DayUse) -> UsedSum:
        """Return what was paid from any purse."""
        return used_of(purse, use, self.payers.get(mark_of(purse)))


def used_of(purse: str, use: DayUse, day: PayerDay | None) -> UsedSum:
    """Return what was paid from a purse; `day`: of the person whose it may be."""
    if not mark_of(purse):
        return use.of(purse)
    return day.of(purse) if day is not None else NOTHING_USED
