"""What one person may ask of agents, and whether they have asked too much. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from protocol.ids import GroupId
from runtime.money.payers import PayerDay, payer_purses
from runtime.money.purses import what_is_spent
from runtime.store.records import PersonLimits, SenderFacts

TOO_MANY = "You have sent more messages {window} than I take from one person, which is {limit}. Try again {later}."
TOO_MANY_CALLS = "You have used your {limit} model calls of today (UTC). Tomorrow I go on."
TOO_MUCH_SPENT = "You have used up your ${limit:g} of today (UTC). Tomorrow I go on."
MINUTE, HALF_HOUR, HOUR = timedelta(minutes=1), timedelta(minutes=30), timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverLimit:
    """What was too much."""

    is_rate: bool
    """Messages; False: model calls or money."""
    reason: str
    """For the record."""
    notice: str
    """For the person."""
    every: timedelta = HOUR
    """How often they are told."""


def find_over_limit(facts: SenderFacts, group_id: GroupId, of_agent: PersonLimits) -> OverLimit | None:
    """Return what somebody has asked or spent too much of; None: nothing."""
    own, asked = person_limits(facts, of_agent), facts.asked
    for used, limit, window, later, every in (
        (asked.minute, own.per_minute, "in a minute", "in a minute", MINUTE),
        (asked.hour, own.per_hour, "in an hour", "in an hour", HALF_HOUR),
        (asked.day, own.per_day, "in a day", "tomorrow", HOUR),
    ):
        if limit is not None and used >= limit:
            notice = TOO_MANY.format(limit=limit, window=window, later=later)
            return OverLimit(is_rate=True, reason=f"more messages {window} than {limit}", notice=notice, every=every)
    return _find_spent(facts.spent, group_id, of_agent) if facts.spent is not None else None


def _find_spent(day: PayerDay, group_id: GroupId, of_agent: PersonLimits) -> OverLimit | None:
    for purse in payer_purses(day.payer, group_id, of_agent, day.rows):
        spent = what_is_spent(purse, day.of(purse.name))
        if "calls" in spent:
            notice, reason = TOO_MANY_CALLS.format(limit=purse.model_calls), f"{purse.model_calls} model calls"
            return OverLimit(is_rate=False, reason=f"{reason} of the day are used", notice=notice)
        if "usd" in spent:
            notice, reason = TOO_MUCH_SPENT.format(limit=purse.cost_usd), f"${purse.cost_usd:g}"
            return OverLimit(is_rate=False, reason=f"{reason} of the day are used", notice=notice)
    return None


def person_limits(facts: SenderFacts, of_agent: PersonLimits) -> PersonLimits:
    """Return what holds for a person: their own limits, then the agent's. An owner has only their own."""
    base = PersonLimits() if facts.person is not None and facts.person.role == "owner" else of_agent
    own = facts.limits
    return base if own is None else merge_limits(own, base)


def merge_limits(own: PersonLimits, base: PersonLimits) -> PersonLimits:
    """Return one's own limits, and for those that are not set the others."""

    def first(mine: int | None, other: int | None) -> int | None:
        return other if mine is None else mine

    return PersonLimits(
        per_minute=first(own.per_minute, base.per_minute),
        per_hour=first(own.per_hour, base.per_hour),
        per_day=first(own.per_day, base.per_day),
        model_calls_per_day=first(own.model_calls_per_day, base.model_calls_per_day),
        cost_usd_per_day=base.cost_usd_per_day if own.cost_usd_per_day is None else own.cost_usd_per_day,
    )
