"""What `nightyard usage` looks like in a terminal: a chart by day, sums by key, today's budgets."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.screen import clean_line, cut
from cli.status_text import count
from cli.usage_text import budget_lines, budget_name, chart, has_money, headline, share_bar, tokens_of, usd

BAR_COLUMNS = 24
MAX_ROWS = 20
NAME_COLUMNS = 34
_TITLES = {"group": "agent", "model": "model", "person": "person", "task": "task", "day": "day"}
_STATES = {"asked": "used up: asked", "waiting": "used up: waits", "stopped": "used up: stopped"}


def show_usage(answer: dict[str, Any], console: Console | None = None) -> None:
    """Print the whole answer of the verb `usage`."""
    console = console or Console(highlight=False)
    days = answer["days"]
    span = answer["since"] if answer["since"] == answer["until"] else f"{answer['since']} to {answer['until']}"
    console.print(Text.assemble((f"Usage, {span} (UTC)", "bold"), ("  ", ""), (headline(days), "")))
    if not any(day["model_calls"] for day in days):
        console.print(Text("No model was asked anything.", "dim"))
    else:
        console.print()
        if len(days) > 1:
            _print_chart(console, days)
        console.print(_table(answer))
        _print_notes(console, answer)
    console.print()
    show_budgets(answer, console)


def show_budgets(answer: dict[str, Any], console: Console | None = None) -> None:
    """Print today's budgets."""
    console = console or Console(highlight=False)
    budgets = answer["budgets"]
    if not budgets:
        console.print(
            Text("No budget has an end: `budgets` in nightyard.yaml and `budget` in group.yaml set one.", "dim")
        )
        return
    grid = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for budget in budgets:
        for index, (text, part) in enumerate(budget_lines(budget)):
            style = "red" if part >= 1 else "yellow" if part >= 0.8 else "green"
            bar = share_bar(part, BAR_COLUMNS)
            filled = Text.assemble((bar, style), ("░" * (BAR_COLUMNS - len(bar)), "dim"))
            shown = clean_line(budget_name(budget["budget"], budget.get("person", "")))
            name = Text(cut(shown, NAME_COLUMNS) if index == 0 else "")
            note = _STATES.get(budget["state"], "") if index == 0 else ""
            raised = f"raised {budget['raises']}×" if budget["raises"] and index == 0 else ""
            said = ", ".join(word for word in (note, raised) if word)
            grid.add_row(name, filled, Text(text), Text(said, "yellow", no_wrap=True))
    console.print(Text("Budgets of today (UTC)", "bold"))
    console.print(grid)


def _print_chart(console: Console, days: list[dict[str, Any]]) -> None:
    lines = chart(days)
    margin = max(len(label) for label, _, _ in lines)
    for label, columns, kind in lines:
        mark = "┤" if label and kind == "bars" else "┼" if label else " " if kind == "axis" else "│"
        console.print(
            Text.assemble((f"{label:>{margin}} {mark}", "dim"), (columns, "cyan" if kind == "bars" else "dim")),
            no_wrap=True,
            overflow="crop",
        )
    console.print()


def _table(answer: dict[str, Any]) -> Table:
    rows = answer["rows"]
    in_money = has_money(rows)
    most = max((row["cost_usd"] if in_money else tokens_of(row) for row in rows), default=0)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(_TITLES[answer["by"]], no_wrap=True)
    for title in ("calls", "tokens in", "out", *(["cost"] if in_money else [])):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows[:MAX_ROWS]:
        value = row["cost_usd"] if in_money else tokens_of(row)
        # Where a price is missing the sum is not whole: `≥` says so.
        cost = f"{'≥ ' if row['calls_without_price'] else ''}{usd(row['cost_usd'])}"
        cells = [f"{row['model_calls']:,}", count(row["input_tokens"]), count(row["output_tokens"])]
        bar = Text(share_bar(value / most if most else 0.0, BAR_COLUMNS), "cyan")
        name = Text(cut(clean_line(row["key"]), NAME_COLUMNS) or "not known", "" if row["key"] else "dim")
        table.add_row(name, *cells, *([cost] if in_money else []), bar)
    return table


def _print_notes(console: Console, answer: dict[str, Any]) -> None:
    left = len(answer["rows"]) - MAX_ROWS
    if left > 0:
        console.print(Text(f"and {left} more: `nightyard usage --json` has all", "dim"))
    unknown = sum(day["calls_without_price"] for day in answer["days"])
    if unknown:
        text = f"{unknown:,} calls have no known price: they count as calls and tokens alone (docs/money.md)"
        console.print(Text(text, "yellow"))
