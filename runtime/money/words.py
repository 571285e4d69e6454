"""What people read about money: cards, why a group waits, the line under an answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.task import Limits, Purse
from runtime.approvals.records import NewApproval
from runtime.envelope import clean_name
from runtime.money.payers import mark_of
from runtime.money.purses import group_of, is_closed, what_is_spent
from runtime.money.records import Measure, PurseRow, TaskModelUse, UsedSum
from runtime.store.records import TaskRow

LIMIT_NAMES = {
    "limit_calls": "model calls",
    "limit_input_tokens": "input tokens",
    "limit_output_tokens": "output tokens",
    "limit_cost": "US dollars",
}
"""The proxy's word for a task's own limit, as people call it."""


def purse_name(purse: str, who: str = "") -> str:
    """Return a purse as people call it. `who`: the name of the person whose it is."""
    if mark_of(purse):
        agent = purse.partition("@")[2]
        return f"{clean_name(who) or 'somebody'}'s share{f' of {agent}' if agent else ''}"
    group = group_of(purse)
    if group is None:
        return "the budget of all agents"
    kind = "budget for background work" if purse.startswith("background:") else "budget"
    return f"{group}'s {kind}"


def limit_text(purse: Purse, used: UsedSum) -> str:
    """Return the limits by which a purse is empty (or its first one): `$2.00 and 100 model calls`."""
    spent = what_is_spent(purse, used)
    if not spent:
        spent = ("usd",) if purse.cost_usd is not None else ("tokens",) if purse.model_calls is None else ("calls",)
    return _amounts(purse, spent, None)


def _amounts(purse: Purse, measures: Sequence[Measure], row: PurseRow | None) -> str:
    """Return what a purse has by each measure; `row`: what one raise adds to that."""
    texts: dict[Measure, str] = {
        "usd": usd((purse.cost_usd or 0) / (row.usd_raises + 1 if row else 1)),
        "calls": f"{round((purse.model_calls or 0) / (row.calls_raises + 1 if row else 1)):,} model calls",
        "tokens": f"{round((purse.tokens or 0) / (row.tokens_raises + 1 if row else 1)):,} tokens",
    }
    return " and ".join(texts[measure] for measure in measures)


def pause_reason(purse: Purse) -> str:
    """Return why a group is held back, without a full stop."""
    if is_closed(purse):
        group = group_of(purse.name)
        where = "budgets in nightyard.yaml" if group is None else f"limits and budget in groups/{group}/group.yaml"
        return f"{purse_name(purse.name)} is 0: {where} say so"
    return f"{purse_name(purse.name)} of today is used up"


def waits_text(spent: str, who: str = "") -> str:
    """Return what the chat reads whose task was refused a model call for money."""
    if spent == "task":
        return "⏸ This has used up what one task may use. An owner is asked whether it may go on."
    return (
        f"⏸ {purse_name(spent, who)} of today is used up, so this waits: until an owner raises it, or 00:00 UTC. "
        "/stop ends it."
    )


def ask_for_purse(
    purse: Purse, used: UsedSum, day: str, row: PurseRow | None, deadline_s: float, *, who: str = ""
) -> NewApproval:
    """Return the card for an empty purse: yes raises what of it is used up for today, no waits until tomorrow."""
    measures, raises = what_is_spent(purse, used), row.raises if row else 0
    more = _amounts(purse, measures, row)
    unknown = used.calls_without_price
    lines = [
        f"used up: {limit_text(purse, used)} of {day} (UTC)",
        f"used so far: {used.model_calls:,} model calls, {used.tokens:,} tokens, {usd(used.cost_usd)}",
        *([f"{unknown:,} of the calls have no known price: they count as calls and tokens alone"] if unknown else []),
        f"raise for today: {more} more, until 00:00 UTC",
        "wait until tomorrow: what waits goes on at 00:00 UTC",
        "stop: what waits is ended, each with a word",
    ]
    payload = {"day": day, "purse": purse.name, "raises": raises, "more": more, "measures": list(measures)}
    return NewApproval(
        kind="spending",
        group_id=group_of(purse.name),
        payload=payload,
        summary=f"{purse_name(purse.name, who)} of today is used up, and work waits",
        lines=tuple(lines),
        deadline_s=deadline_s,
        key=f"purse:{day}:{purse.name}:{raises}",
    )


def ask_for_task(
    row: TaskRow, limits: Limits, used: Sequence[TaskModelUse], code: str, raises: int, deadline_s: float
) -> NewApproval:
    """Return the card for a task that has used up its own limits: yes gives them once more, no ends it."""
    calls = sum(each.used.model_calls for each in used)
    tokens = sum(each.used.tokens for each in used)
    cost = sum(each.used.cost_usd for each in used)
    what = LIMIT_NAMES.get(code, "limits")
    lines = (
        f"task: {row.task_id}",
        f"used so far: {calls:,} model calls, {tokens:,} tokens, {usd(cost)}",
        f"its limits: {limits.model_calls:,} model calls, {limits.input_tokens:,} tokens in, "
        f"{limits.output_tokens:,} out" + (f", {usd(limits.cost_usd)}" if limits.cost_usd is not None else ""),
        "as much once more: it goes on where it was",
        "end it: it is stopped here",
    )
    return NewApproval(
        kind="spending",
        group_id=row.group_id,
        task_id=row.task_id,
        payload={"task": row.task_id, "limit": code, "raises": raises},
        summary=f"a task of {row.group_id} has used up its {what}, and waits",
        lines=lines,
        deadline_s=deadline_s,
        key=f"task:{row.task_id}:{raises}",
    )


def footer(used: Sequence[TaskModelUse]) -> str:
    """Return the line under an answer that says what it cost, empty if nothing is known."""
    calls = sum(each.used.model_calls for each in used)
    if not calls:
        return ""
    tokens = sum(each.used.tokens for each in used)
    unknown = sum(each.used.calls_without_price for each in used)
    cost = "price not known" if unknown else usd(sum(each.used.cost_usd for each in used))
    word = "model call" if calls == 1 else "model calls"
    return f"_{cost} · {calls} {word} · {tokens:,} tokens_"


def usd(dollars: float) -> str:
    """Return money as people read it: cents, and more places below one."""
    if 0 < dollars < 0.01:
        return f"${dollars:.4f}"
    return f"${dollars:,.2f}"
