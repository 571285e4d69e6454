"""/usage and /budget: what was used, and what may be used yet today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocol.message import Button
from protocol.plain_text import escape
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.money.desk import PurseView, UsageDesk, UsageView
from runtime.money.records import KeyedSum, UsedSum
from runtime.money.spending import Word
from runtime.money.words import limit_text, purse_name, usd
from runtime.refusal import OperationRefused
from runtime.store.store import Store

USUAL_DAYS = 7
MAX_LINES = 6
_BARS = "▁▂▃▄▅▆▇█"
_WORDS: Mapping[str, Word] = {"raise": "raise", "wait": "wait", "stop": "stop"}
_DONE: Mapping[Word, str] = {
    "raise": "{name} of today is raised: as much again, until 00:00 UTC.",
    "wait": "What waits for {name} waits until 00:00 UTC.",
    "stop": "What waited for {name} is ended; new work waits until 00:00 UTC.",
}


def money_handlers(desk: UsageDesk, store: Store) -> HandlerTable:
    """Return the handlers of /usage, about the chat's own agent, and of /budget, for owners."""

    async def usage(given: Given) -> Answer:
        binding = await store.binding_of(given.message.inbound.chat)
        if binding is None:
            raise OperationRefused("unknown_chat", "No agent is bound to this chat")
        days = _days(given.command.rest)
        view = await desk.usage(days, "model", binding.group_id)
        return Answer(text=build_usage(binding.group_id, view))

    async def budget(given: Given) -> Answer:
        word, _, name = given.command.rest.partition(" ")
        if not word:
            view = await desk.usage(1)
            return Answer(text=build_budgets(view), buttons=_buttons(view))
        if word not in _WORDS or not name:
            raise OperationRefused("wrong_word", "This is /budget raise, wait or stop, and an agent", "/budget")
        purse = await desk.decide(name.strip(), _WORDS[word])
        text = _DONE[_WORDS[word]].format(name=purse_name(purse))
        return Answer(text=text[0].upper() + text[1:])

    return {"usage": usage, "budget": budget}


def build_usage(group: str, view: UsageView) -> str:
    """Return a few lines about one agent."""
    total = _total(view.days)
    lines = [f"**{escape(group)}, {len(view.days)} days:** {_sum_text(total)}"]
    if len(view.days) > 1:
        lines.append(f"`{bars([_height(each.used, total) for each in view.days])}` {view.since} to {view.until} (UTC)")
    lines += [f"- {_code(each.key) or 'no answer'}: {_sum_text(each.used)}" for each in view.rows[:MAX_LINES]]
    if len(view.rows) > MAX_LINES:
        lines.append(f"- and {len(view.rows) - MAX_LINES} more")
    if total.calls_without_price:
        lines.append(f"{total.calls_without_price} calls have no known price: they count as calls and tokens alone.")
    lines += map(_purse_text, view.purses)
    return "\n".join(lines)


def build_budgets(view: UsageView) -> str:
    """Return every budget of today, the empty ones first."""
    if not view.purses:
        return "No budget has an end. `budgets` in nightyard.yaml and `budget` in group.yaml set one."
    ordered = sorted(view.purses, key=lambda each: _is_open(each))
    return "\n".join(["**Budgets of today (UTC)**", *map(_purse_text, ordered)])


def bars(values: Sequence[float]) -> str:
    """Return values as a row of blocks, the highest at full height; nothing is the lowest."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[round(value / most * (len(_BARS) - 1))] for value in values)


def _buttons(view: UsageView) -> tuple[Button, ...]:
    spent = [each for each in view.purses if not _is_open(each)][:3]
    return tuple(
        Button(label=f"Raise {purse_name(each.purse.name, each.who)}", value=f"/budget raise {each.purse.name}")
        for each in spent
    )


def _purse_text(each: PurseView) -> str:
    used, name = each.used, purse_name(each.purse.name, each.who)
    state = {"asked": ": used up, a person is asked", "waiting": ": used up, waits", "stopped": ": used up"}
    end = state.get(each.row.state, "") if each.row else ""
    shown = usd(used.cost_usd) if each.purse.cost_usd is not None else f"{used.model_calls:,}"
    return f"- {escape(name)} today: {shown} of {limit_text(each.purse, used)}{end}"


def _is_open(each: PurseView) -> bool:
    return each.row is None or each.row.state == "open"


def _sum_text(used: UsedSum) -> str:
    word = "model call" if used.model_calls == 1 else "model calls"
    cost = f", {usd(used.cost_usd)}" if used.cost_usd or not used.calls_without_price else ""
    return f"{used.model_calls:,} {word}, {used.tokens:,} tokens{cost}"


def _height(used: UsedSum, total: UsedSum) -> float:
    """Money where there is any, else tokens."""
    return used.cost_usd if total.cost_usd else float(used.tokens)


def _total(days: Sequence[KeyedSum]) -> UsedSum:
    return UsedSum(
        model_calls=sum(each.used.model_calls for each in days),
        input_tokens=sum(each.used.input_tokens for each in days),
        output_tokens=sum(each.used.output_tokens for each in days),
        cost_usd=sum(each.used.cost_usd for each in days),
        calls_without_price=sum(each.used.calls_without_price for each in days),
    )


def _code(name: str) -> str:
    """Return somebody else's name as code, so that nothing in it is Markdown; empty for none."""
    shown = escape(name).replace("`", "'")
    return f"`{shown}`" if shown else ""


def _days(text: str) -> int:
    if not text:
        return USUAL_DAYS
    if not text.isdecimal() or len(text) > 4:
        raise OperationRefused("wrong_days", f"/usage takes a number of days, not {text[:40]!r}", "/usage 30")
    return int(text)
