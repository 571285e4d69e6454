"""`nightyard usage`: the numbers, the chart, and what a terminal shows of them."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.usage_screen import show_usage
from cli.usage_text import budget_lines, budget_name, chart, headline, merged, round_up, share_bar


def row(key: str, calls: int = 10, cost: float = 1.0, unknown: int = 0) -> dict[str, Any]:
    return {
        "key": key,
        "model_calls": calls,
        "input_tokens": calls * 1_000,
        "output_tokens": calls * 100,
        "cost_usd": cost,
        "calls_without_price": unknown,
    }


def days(*costs: float) -> list[dict[str, Any]]:
    first = date(2026, 11, 21) - timedelta(days=len(costs) - 1)
    found = [row((first + timedelta(days=index)).isoformat(), cost=cost) for index, cost in enumerate(costs)]
    return [
        {**each, "model_calls": 0, "input_tokens": 0, "output_tokens": 0} if not each["cost_usd"] else each
        for each in found
    ]


def answer(**more: Any) -> dict[str, Any]:
    spent = {
        "budget": "group:main",
        "state": "asked",
        "raises": 1,
        "limits": {"model_calls": 100, "tokens": None, "cost_usd": 2.0},
        "used": row("", 50, 2.0),
    }
    usual = {
        "since": "2026-11-15",
        "until": "2026-11-21",
        "by": "group",
        "rows": [row("main", 60, 2.5), row("\x1b[31mside", 3, 0.0, unknown=3)],
        "days": days(0, 1, 2, 0.5, 0, 3, 1),
        "budgets": [spent],
    }
    return {**usual, **more}


def screen(value: dict[str, Any], width: int = 100) -> str:
    out = io.StringIO()
    show_usage(value, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_the_screen_has_chart_sums_and_budgets() -> None:
    """One look tells how much, when, by whom, and how much is left."""
    shown = screen(answer())
    assert "Usage, 2026-11-15 to 2026-11-21 (UTC)" in shown and "$7.50" in shown
    assert "┤" in shown and "███" in shown and "Sat" in shown
    assert "≥ $0.00" in shown and "$2.50" in shown
    assert "used up: asked, raised 1×" in shown and "$2.00 of $2.00" in shown
    assert "\x1b[31m" not in shown, "a name steers no terminal"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_screen_fits_its_terminal(width: int) -> None:
    """No line is wider than the terminal, however narrow."""
    wide = answer(days=days(*(1.0 + index % 7 for index in range(200))))
    assert max(len(line) for line in screen(wide, width).splitlines()) <= width


def test_an_unused_house_says_so() -> None:
    """No chart of nothing, and where budgets are set."""
    empty = answer(rows=[], days=days(0, 0), budgets=[])
    assert "No model was asked anything." in screen(empty) and "No budget has an end" in screen(empty)


def test_without_prices_tokens_are_charted() -> None:
    """The axis then has tokens, and no column of dollars is shown."""
    free = [row(f"2026-11-2{index}", cost=0.0, unknown=10) for index in range(2)]
    shown = screen(answer(rows=[row("main", 20, 0.0, 20)], days=free))
    assert "$" not in shown.split("Budgets")[0] and "15k" in shown
    assert "20 calls have no known price" in shown


def test_a_long_span_is_put_together() -> None:
    """More days than columns: several make one, and none is lost."""
    columns = merged(days(*([1.0] * 365)))
    assert len(columns) <= 60 and sum(each["cost_usd"] for each in columns) == 365.0


def test_the_chart_stands_on_its_axis() -> None:
    """The highest day reaches to the top where the axis ends at it; a day without use is empty."""
    lines = chart(days(0, 2.0))
    bars = [columns for _, columns, kind in lines if kind == "bars"]
    assert bars[0].endswith("███") and all(line.startswith("   ") for line in bars)
    assert lines[0][0] == "$2.00" and lines[-2][0] == "$0.00"


@given(st.floats(0.0001, 1e9))
def test_an_axis_ends_at_a_round_number_above(value: float) -> None:
    """At the next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten: never below, never twice as high."""
    top = round_up(value)
    assert value * (1 - 1e-6) <= top <= value * 2


def test_small_words() -> None:
    """Bars, names and limits of budgets."""
    assert (share_bar(0.5, 4), share_bar(2.0, 4), share_bar(0.0, 4)) == ("██", "████", "")
    assert [budget_name(name) for name in ("machine", "group:a", "background:a")] == [
        "all agents",
        "a",
        "a, background",
    ]
    named = [budget_name(name, "Ben") for name in ("person:0f", "person:0f@main")]
    assert named == ["Ben", "Ben, main"] and budget_name("person:0f") == "person:0f"
    assert headline([row("x", 1, 0.0)]) == "1 model call · 1100 tokens"
    (line,) = budget_lines({"limits": {"model_calls": 0, "tokens": None, "cost_usd": None}, "used": row("", 0)})
    assert line == ("0 of 0 calls", 1.0)
