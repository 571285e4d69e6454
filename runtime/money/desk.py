"""What people ask about money: use of the last days, today's budgets, and changing one for today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from protocol.ids import GroupId
from protocol.task import Purse
from runtime.money.mirror import UsageMirror
from runtime.money.purses import day_of, group_of, group_purse
from runtime.money.records import NOTHING_USED, USAGE_KEYS, DayUse, KeyedSum, PurseRow, UsageKey, UsedSum, add
from runtime.money.spending import Spending, Word
from runtime.refusal import OperationRefused
from runtime.store import people_rows, usage_rows
from runtime.store.store import Store

MOST_DAYS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class PurseView:
    """One budget of today."""

    purse: Purse
    row: PurseRow | None
    """None: nothing was decided about it."""
    used: UsedSum
    who: str = ""
    """The person whose it is; empty: of nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView:
    """Use over some days, and today's budgets, as one answer."""

    since: str
    until: str
    """UTC days, both included."""
    by: UsageKey
    rows: tuple[KeyedSum, ...]
    days: tuple[KeyedSum, ...]
    """Each day of the span, in order, also those on which nothing was used."""
    purses: tuple[PurseView, ...]


class UsageDesk:
    """One for the whole host."""

    def __init__(self, store: Store, mirror: UsageMirror, spending: Spending) -> None:
        self._store = store
        self._mirror = mirror
        self._spending = spending

    async def usage(self, days: int, by: str = "group", group: GroupId | None = None) -> UsageView:
        """Return the use of so many days, today among them, of one group or all; OperationRefused."""
        if by not in USAGE_KEYS:
            message = f"use is shown by {', '.join(USAGE_KEYS)}, not by {by[:40]!r}"
            raise OperationRefused("wrong_key", message)
        if not 1 <= days <= MOST_DAYS:
            raise OperationRefused("wrong_days", f"use is shown of 1 to {MOST_DAYS} days, not of {days}")
        now = datetime.now(UTC)
        until, since = day_of(now), day_of(now - timedelta(days=days - 1))
        rows = await self._store.read(usage_rows.use_of_days, since, until, by, group or "")
        if group is not None and not rows:  # one that is gone may have used something
            self._spending.checked(group)
        by_day = await self._store.read(usage_rows.use_of_days, since, until, "day", group or "")
        known = {each.key: each for each in by_day}
        span = [day_of(now - timedelta(days=back)) for back in reversed(range(days))]
        return UsageView(
            since=since,
            until=until,
            by=by,
            rows=await self._as_people(rows) if by == "person" else rows,
            days=tuple(known.get(day) or KeyedSum(key=day, used=NOTHING_USED) for day in span),
            purses=await self._purses(group, await self._store.read(usage_rows.use_of_day, until)),
        )

    async def decide(self, name: str, word: Word) -> str:
        """Raise a budget for today, have what it holds wait until tomorrow, or end that; return the purse's name."""
        purse = name if ":" in name or name == "machine" else group_purse(GroupId(name))
        await self._spending.decide(purse, word)
        return purse

    async def _purses(self, group: GroupId | None, use: DayUse) -> tuple[PurseView, ...]:
        rows, found = await self._store.read(usage_rows.purse_rows, day_of(datetime.now(UTC))), []
        for purse in self._spending.purses():
            if group is None or group_of(purse.name) == group:  # what people may use is told to nobody else
                used, who = self._spending.used(purse.name, use)
                found.append(PurseView(purse=purse, row=rows.get(purse.name), used=used, who=who))
        return tuple(found)

    async def _as_people(self, rows: tuple[KeyedSum, ...]) -> tuple[KeyedSum, ...]:
        """Put the identities of one person together, under the name that they go by; others stay as they are."""
        known = await self._store.read(people_rows.known_people)
        names = {str(key): each.person.name for each in known for key in (each.person.person, *each.identities)}
        return _together(rows, names)


def _together(rows: tuple[KeyedSum, ...], names: Mapping[str, str]) -> tuple[KeyedSum, ...]:
    sums: dict[str, KeyedSum] = {}
    for each in rows:
        kind, _, key = each.key.partition(":")
        shown = names.get(key, key) if kind == "person" else (each.key or "not known")
        before = sums.get(shown)
        used = each.used if before is None else add(before.used, each.used)
        sums[shown] = KeyedSum(key=shown, used=used)
    return tuple(sorted(sums.values(), key=lambda each: (-each.used.cost_usd, -each.used.model_calls)))
