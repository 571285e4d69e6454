"""Which purses a task pays from, how much is in them, and whether one is empty. Pure.

A purse is what several tasks may spend together in one day (UTC): the machine's, a group's, and within a group's a
small one for background work, which no person waits for. The proxy holds everybody to them; here is what they are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from protocol.ids import GroupId
from protocol.record import replace
from protocol.task import Limits, Purse
from runtime.config import BudgetSettings
from runtime.group import Group
from runtime.money.records import Measure, PurseRow, UsedSum

MACHINE = "machine"


def group_purse(group_id: GroupId) -> str:
    return f"group:{group_id}"


def background_purse(group_id: GroupId) -> str:
    return f"background:{group_id}"


def group_of(purse: str) -> GroupId | None:
    """Return the group that a purse is of, None for the machine's."""
    kind, _, group = purse.partition(":")
    return GroupId(group) if kind in ("group", "background") else None


def is_background(submitter: str, attended: Collection[str]) -> bool:
    """Return whether no person waits for a submitter's work; `attended`: programs that somebody sits behind."""
    kind, _, name = submitter.partition(":")
    return kind in ("schedule", "group") or (kind == "program" and name not in attended)


def purses_of(
    group: Group, budgets: BudgetSettings, rows: Mapping[str, PurseRow], *, in_background: bool
) -> tuple[Purse, ...]:
    """Return what a task of the group pays from; `rows` is what was decided today."""
    names = [MACHINE, group_purse(group.group_id)]
    if in_background:
        names.append(background_purse(group.group_id))
    found = (purse_of(name, group, budgets, rows) for name in names)
    return tuple(purse for purse in found if has_limit(purse))


def all_purses(groups: Iterable[Group], budgets: BudgetSettings, rows: Mapping[str, PurseRow]) -> tuple[Purse, ...]:
    """Return every purse that has an end: the machine's first, then each group's and its one for background work."""
    found = [raised(_machine(budgets), rows)]
    for group in groups:
        found += [purse_of(name(group.group_id), group, budgets, rows) for name in (group_purse, background_purse)]
    return tuple(purse for purse in found if has_limit(purse))


def purse_of(name: str, group: Group, budgets: BudgetSettings, rows: Mapping[str, PurseRow]) -> Purse:
    """Return one purse as it is today, with what it was given besides."""
    if name == MACHINE:
        return raised(_machine(budgets), rows)
    own = group.budget
    whole = Purse(
        name=name,
        model_calls=group.limits.calls_per_day,
        tokens=own.tokens_per_day,
        cost_usd=own.usd_per_day,
    )
    if name == background_purse(group.group_id):
        part = own.background_percent / 100
        return raised(_scaled(whole, part, part, part), rows)
    return raised(whole, rows)


def _machine(budgets: BudgetSettings) -> Purse:
    return Purse(
        name=MACHINE,
        model_calls=budgets.calls_per_day,
        tokens=budgets.tokens_per_day,
        cost_usd=budgets.usd_per_day,
    )


def has_limit(purse: Purse) -> bool:
    return any(limit is not None for limit in (purse.model_calls, purse.tokens, purse.cost_usd))


def is_closed(purse: Purse) -> bool:
    """Return whether nothing may be spent at all: its owner wrote 0, and nobody need be asked about that."""
    return 0 in (purse.model_calls, purse.tokens, purse.cost_usd)


def what_is_spent(purse: Purse, used: UsedSum) -> tuple[Measure, ...]:
    """Return by which measures a purse is empty; none: it is not."""
    have: dict[Measure, tuple[float, float | None]] = {
        "usd": (used.cost_usd, purse.cost_usd),
        "calls": (used.model_calls, purse.model_calls),
        "tokens": (used.tokens, purse.tokens),
    }
    return tuple(measure for measure, (spent, limit) in have.items() if limit is not None and spent >= limit)


def raised_limits(limits: Limits, raises: int) -> Limits:
    """Return a task's limits given so many times again."""
    times = raises + 1
    if times == 1:
        return limits
    return replace(
        limits,
        model_calls=limits.model_calls * times,
        input_tokens=limits.input_tokens * times,
        output_tokens=limits.output_tokens * times,
        cost_usd=None if limits.cost_usd is None else limits.cost_usd * times,
    )


def is_tighter(asked: Limits, usual: Limits, code: str) -> bool:
    """Return whether the limit that a code names is a lower one than usual."""
    pairs: Mapping[str, tuple[float | None, float | None]] = {
        "limit_calls": (asked.model_calls, usual.model_calls),
        "limit_input_tokens": (asked.input_tokens, usual.input_tokens),
        "limit_output_tokens": (asked.output_tokens, usual.output_tokens),
        "limit_cost": (asked.cost_usd, usual.cost_usd),
    }
    mine, other = pairs.get(code, (None, None))
    return mine is not None and (other is None or mine < other)


def day_of(moment: datetime) -> str:
    """Return the UTC day that a call counts for: `2026-01-31`."""
    return moment.astimezone(UTC).date().isoformat()


def day_ends(moment: datetime) -> datetime:
    """Return when the next UTC day begins."""
    tomorrow = moment.astimezone(UTC).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC)


def raised(purse: Purse, rows: Mapping[str, PurseRow]) -> Purse:
    """Return a purse with what it was given besides today."""
    row = rows.get(purse.name)
    if row is None or not row.raises:
        return purse
    return _scaled(purse, row.calls_raises + 1, row.tokens_raises + 1, row.usd_raises + 1)


def _scaled(purse: Purse, calls: float, tokens: float, usd: float) -> Purse:
    return replace(
        purse,
        model_calls=None if purse.model_calls is None else math.ceil(purse.model_calls * calls),
        tokens=None if purse.tokens is None else math.ceil(purse.tokens * tokens),
        cost_usd=None if purse.cost_usd is None else purse.cost_usd * usd,
    )
