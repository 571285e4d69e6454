"""Numbers of `nightyard usage` as people read them, and the columns of its chart. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

from cli.status_text import count

EIGHTHS = " ▁▂▃▄▅▆▇█"
CHART_ROWS = 8
NARROW_DAYS = 14
"""Up to so many days a column is three wide and has its weekday under it."""
WIDE_DAYS = 60
"""Beyond this, days are put together until they fit."""


def usd(dollars: float) -> str:
    """Return money in cents, with more places below one."""
    return f"${dollars:.4f}" if 0 < dollars < 0.01 else f"${dollars:,.2f}"


def tokens_of(row: dict[str, Any]) -> int:
    return int(row["input_tokens"]) + int(row["output_tokens"])


def has_money(rows: Sequence[dict[str, Any]]) -> bool:
    """Return whether any price was known: else tokens are charted."""
    return any(row["cost_usd"] > 0 for row in rows)


def headline(days: Sequence[dict[str, Any]]) -> str:
    """Return the sums over all days."""
    calls = sum(row["model_calls"] for row in days)
    cost = f"{usd(sum(row['cost_usd'] for row in days))} · " if has_money(days) else ""
    return f"{cost}{calls:,} model call{'' if calls == 1 else 's'} · {count(sum(map(tokens_of, days)))} tokens"


def merged(days: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most WIDE_DAYS columns: of a longer span several days make one."""
    size = math.ceil(len(days) / WIDE_DAYS)
    parts = [days[start : start + size] for start in range(0, len(days), size)]
    keys = ("model_calls", "input_tokens", "output_tokens", "cost_usd", "calls_without_price")
    return [{"key": part[0]["key"], **{key: sum(day[key] for day in part) for key in keys}} for part in parts]


def chart(days: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return a column chart's lines from the top: (axis label, columns, what they are: `bars` or `axis`)."""
    columns = merged(days)
    in_money = has_money(columns)
    values = [float(row["cost_usd"]) if in_money else float(tokens_of(row)) for row in columns]
    top = round_up(max(values, default=0.0))
    label = usd if in_money else lambda value: count(round(value))
    width, gap = (3, 2) if len(columns) <= NARROW_DAYS else (1, 0)
    lines = []
    for row in reversed(range(CHART_ROWS)):
        cells = [_cell(value / top * CHART_ROWS - row if top else 0.0) * width for value in values]
        at = label(top * (row + 1) / CHART_ROWS) if (row + 1) in (CHART_ROWS, CHART_ROWS // 2) else ""
        lines.append((at, (" " * gap).join(cells), "bars"))
    length = len(columns) * (width + gap) - gap
    lines.append((label(0.0), "─" * length, "axis"))
    lines.append(("", _day_names(columns, width, gap), "axis"))
    return lines


def share_bar(part: float, width: int) -> str:
    """Return a horizontal bar for a part of one, in eighths of a column."""
    blocks = " ▏▎▍▌▋▊▉█"
    eighths = round(min(max(part, 0.0), 1.0) * width * 8)
    return "█" * (eighths // 8) + (blocks[eighths % 8] if eighths % 8 else "")


def round_up(value: float) -> float:
    """Return the next round number: what an axis ends at."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power for step in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if step * power >= value * (1 - 1e-9)
    )


def budget_name(name: str, person: str = "") -> str:
    """Return a budget as people call it; `person`: the name of whose it is."""
    kind, _, group = name.partition(":")
    if kind == "person" and person:
        agent = group.partition("@")[2]
        return f"{person}, {agent}" if agent else person
    return {"machine": "all agents", "group": group, "background": f"{group}, background"}.get(kind, name)


def budget_lines(budget: dict[str, Any]) -> list[tuple[str, float]]:
    """Return each limit of a budget as (`$1.20 of $2.00`, the part that is used)."""
    limits, used = budget["limits"], budget["used"]
    found: list[tuple[str, float]] = []
    for limit, spent, shown, unit in (
        (limits["cost_usd"], used["cost_usd"], usd, ""),
        (limits["tokens"], tokens_of(used), lambda value: count(round(value)), " tokens"),
        (limits["model_calls"], used["model_calls"], lambda value: f"{value:,}", " calls"),
    ):
        if limit is not None:
            found.append((f"{shown(spent)} of {shown(limit)}{unit}", spent / limit if limit else 1.0))
    return found


def _cell(filled: float) -> str:
    """Return one character of a column: how much of this row is filled."""
    return EIGHTHS[round(min(max(filled, 0.0), 1.0) * 8)]


def _day_names(columns: Sequence[dict[str, Any]], width: int, gap: int) -> str:
    if width == 3:
        return (" " * gap).join(f"{date.fromisoformat(row['key']):%a}" for row in columns)
    first, last = columns[0]["key"][5:], columns[-1]["key"][5:]
    return f"{first}{last:>{max(len(columns) - len(first), 1)}}"
