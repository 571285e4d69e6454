"""The verbs of money: what was used, today's budgets, changing one for today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.codec import Json
from protocol.ids import GroupId
from protocol.task import Purse
from runtime.control.verb import VerbTable, verb
from runtime.money.desk import PurseView, UsageDesk, UsageView
from runtime.money.records import KeyedSum, UsedSum


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageArguments:
    days: int = 7
    by: str = "group"
    group: GroupId | None = None
    """None: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetArguments:
    budget: str
    """`machine`, a group's name, or `background:` and one."""
    word: Literal["raise", "wait", "stop"]


def money_verbs(desk: UsageDesk) -> VerbTable:
    """Return the verbs that the usage desk carries out."""

    async def usage(given: UsageArguments) -> Json:
        return view_usage(await desk.usage(given.days, given.by, given.group))

    async def budget(given: BudgetArguments) -> Json:
        return {"budget": await desk.decide(given.budget, given.word), "word": given.word}

    return {"usage": verb(UsageArguments, usage), "budget": verb(BudgetArguments, budget)}


def view_usage(usage: UsageView) -> Json:
    return {
        "since": usage.since,
        "until": usage.until,
        "by": usage.by,
        "rows": [_view_keyed(each) for each in usage.rows],
        "days": [_view_keyed(each) for each in usage.days],
        "budgets": [_view_purse(each) for each in usage.purses],
    }


def _view_keyed(each: KeyedSum) -> Json:
    return {"key": each.key, **_view_sum(each.used)}


def _view_sum(used: UsedSum) -> dict[str, Json]:
    return {
        "model_calls": used.model_calls,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cost_usd": round(used.cost_usd, 9),
        "calls_without_price": used.calls_without_price,
    }


def _view_purse(view: PurseView) -> Json:
    return {
        "budget": view.purse.name,
        "person": view.who,
        "state": view.row.state if view.row else "open",
        "raises": view.row.raises if view.row else 0,
        "limits": _view_limits(view.purse),
        "used": _view_sum(view.used),
    }


def _view_limits(purse: Purse) -> Json:
    return {"model_calls": purse.model_calls, "tokens": purse.tokens, "cost_usd": purse.cost_usd}
