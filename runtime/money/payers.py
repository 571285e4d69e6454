"""What a person may use in a day: their purses, which are reserved from before each call as every purse is. Pure.

A person's own limits (`nightyard person limit`) are one purse for all agents together; what an agent takes from
everybody (`people` in group.yaml) is another one for each agent, for what their own limits leave open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.ids import GroupId, PersonKey
from protocol.task import Purse
from runtime.money.purses import has_limit, raised
from runtime.money.records import NOTHING_USED, PurseRow, UsedSum, add
from runtime.store.records import PersonLimits, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """A person whose limits count for what is done for them."""

    person: PersonKey
    mark: str
    """Stands for them in the names of purses: the proxy and the journal are told nobody's key."""
    name: str
    """As others know them; their key where nobody does."""
    role: Role | None
    limits: PersonLimits
    """Their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerDay:
    """What was done for a person today (UTC), by agent, and what was decided about their purses."""

    payer: Payer
    by_group: Mapping[GroupId, UsedSum]
    rows: Mapping[str, PurseRow] = field(default_factory=dict)

    def of(self, purse: str) -> UsedSum:
        """Return what was paid from one of the person's purses."""
        _, _, group = purse.partition("@")
        if group:
            return self.by_group.get(GroupId(group), NOTHING_USED)
        used = NOTHING_USED
        for each in self.by_group.values():
            used = add(used, each)
        return used


def payer_purses(
    payer: Payer, group_id: GroupId, of_agent: PersonLimits, rows: Mapping[str, PurseRow]
) -> tuple[Purse, ...]:
    """Return what a task of a group that counts for a person pays from; `of_agent`: what the group takes from everybody
    but owners."""
    own, other = payer.limits, PersonLimits() if payer.role == "owner" else of_agent
    purses = (
        Purse(
            name=f"person:{payer.mark}",
            model_calls=own.model_calls_per_day,
            cost_usd=own.cost_usd_per_day,
        ),
        Purse(
            name=f"person:{payer.mark}@{group_id}",
            model_calls=other.model_calls_per_day if own.model_calls_per_day is None else None,
            cost_usd=other.cost_usd_per_day if own.cost_usd_per_day is None else None,
        ),
    )
    return tuple(raised(purse, rows) for purse in purses if has_limit(purse))


def mark_of(purse: str) -> str:
    """Return the mark of the person whose purse it is, empty for another purse."""
    kind, _, name = purse.partition(":")
    return name.partition("@")[0] if kind == "person" else ""
