"""What one person may ask of agents, and whether they have asked too much. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from runtime.store.records import PersonLimits, SenderFacts, Spent

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


def find_over_limit(facts: SenderFacts, of_agent: PersonLimits) -> OverLimit | None:
    """Return what somebody has asked or spent too much of; None: nothing."""
    own = person_limits(facts, of_agent)
    asked, spent = facts.asked, facts.spent or Spent()
    for used, limit, window, later, every in (
        (asked.minute, own.per_minute, "in a minute", "in a minute", MINUTE),
        (asked.hour, own.per_hour, "in an hour", "in an hour", HALF_HOUR),
        (asked.day, own.per_day, "in a day", "tomorrow", HOUR),
    ):
        if limit is not None and used >= limit:
            notice = TOO_MANY.format(limit=limit, window=window, later=later)
            return OverLimit(is_rate=True, reason=f"more messages {window} than {limit}", notice=notice, every=every)
    if own.model_calls_per_day is not None and spent.model_calls >= own.model_calls_per_day:
        notice = TOO_MANY_CALLS.format(limit=own.model_calls_per_day)
        reason = f"{own.model_calls_per_day} model calls of the day are used"
        return OverLimit(is_rate=False, reason=reason, notice=notice)
    if own.cost_usd_per_day is not None and spent.cost_usd >= own.cost_usd_per_day:
        notice = TOO_MUCH_SPENT.format(limit=own.cost_usd_per_day)
        return OverLimit(is_rate=False, reason=f"${own.cost_usd_per_day:g} of the day are used", notice=notice)
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
