"""The nouns of money: use of models, purses, what a person decided about one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from protocol.ids import GroupId, PersonKey, TaskId

UsageKey = Literal["day", "group", "model", "person", "task"]
USAGE_KEYS: tuple[UsageKey, ...] = ("day", "group", "model", "person", "task")

Measure = Literal["calls", "tokens", "usd"]
MEASURES: tuple[Measure, ...] = ("usd", "calls", "tokens")
"""In the order in which people are told of them."""

PurseState = Literal["open", "asked", "waiting", "stopped"]
"""`open`: paid from; `asked`: empty, and a person is asked; `waiting`: until tomorrow, as a person said; `stopped`: and
what waited was ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedSum:
    """Use of models, added up."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    """Of the calls whose price is known."""
    calls_without_price: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


NOTHING_USED = UsedSum()


def add(one: UsedSum, other: UsedSum) -> UsedSum:
    return UsedSum(
        model_calls=one.model_calls + other.model_calls,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cost_usd=one.cost_usd + other.cost_usd,
        calls_without_price=one.calls_without_price + other.calls_without_price,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedSum:
    """The use under one key: a day, a group, a model, a person, a task."""

    key: str
    used: UsedSum


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskModelUse:
    """What one task has used of one model over one route, over all its days."""

    model: str
    used: UsedSum
    route: str = ""
    last_at: str = ""
    """When the newest of its calls ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurseRow:
    """What was decided about a purse on one day."""

    day: str
    purse: str
    state: PurseState
    raises: int = 0
    """How often it was given more."""
    calls_raises: int = 0
    """How often as many calls again; so the next two."""
    tokens_raises: int = 0
    usd_raises: int = 0
    approval_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentTask:
    """A task that waits because its money is used up."""

    task_id: TaskId
    group_id: GroupId
    purse: str
    """What it waits for; `task`: its own limits."""
    call_id: str
    raises: int = 0
    approval_id: str = ""
    payer: PersonKey | Literal[""] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUse:
    """All that purses are compared with on one day, as one state of the store."""

    machine: UsedSum
    groups: Mapping[GroupId, UsedSum]
    background: Mapping[GroupId, UsedSum]

    def of(self, purse: str) -> UsedSum:
        """Return what was paid from a purse, by its name; a person's purses are `payers.py`'s."""
        kind, _, group = purse.partition(":")
        if kind == "machine":
            return self.machine
        sums = self.background if kind == "background" else self.groups
        return sums.get(GroupId(group), NOTHING_USED)
