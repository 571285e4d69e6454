"""A table as lines of text: columns under each other where a phone has room for them, else a record a row. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from channels.markdown.styled import Styled, joined

MAX_WIDTH = 48
"""Signs of a fixed-width font. Phones show some 40 to 50 of them and break longer lines, which leaves no columns."""
MAX_PART_CHARS = 1200
"""A longer table is in parts, each under its head, so that no message begins in the middle of nameless columns."""

NOTHING = "–"
"""The value of an empty cell."""


def table_text(rows: Sequence[Sequence[Styled]], plain: list[list[str]]) -> Styled:
    """Return the table, `plain` being its cells without styles; the first row is the head."""
    lines = aligned_rows(plain)
    if shown_width(lines[1]) > MAX_WIDTH and len(rows) > 1:
        return _records(rows)
    head, body = lines[:2], lines[2:]
    each = max(1, (MAX_PART_CHARS // (len(lines[1]) + 1)) - len(head))
    parts = [[*head, *body[start : start + each]] for start in range(0, max(1, len(body)), each)]
    return joined((Styled("\n".join(part)).wrapped("pre") for part in parts), "\n", cut=True)


def _records(rows: Sequence[Sequence[Styled]]) -> Styled:
    """Return each row as lines of `column: value`."""
    head, *body = rows
    return joined((_record(head, row) for row in body), "\n\n", cut=True)


def _record(head: Sequence[Styled], row: Sequence[Styled]) -> Styled:
    lines: list[Styled] = []
    for number, cell in enumerate(row):
        name = head[number] if number < len(head) else Styled()
        value = cell if cell.text else Styled(NOTHING if name.text else "")
        lines.append(joined([name.without("bold").wrapped("bold"), Styled(": " if name.text else ""), value]))
    return joined(lines, "\n")


def aligned_rows(rows: list[list[str]]) -> list[str]:
    """Return the rows as lines, the first as a head with a line under it, columns padded to their widest cell."""
    columns = max(map(len, rows))
    full = [row + [""] * (columns - len(row)) for row in rows]
    widths = [max(shown_width(row[column]) for row in full) for column in range(columns)]
    lines = [" | ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in full]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    return lines


def shown_width(text: str) -> int:
    """Return how many columns of a fixed-width font the text takes: two for wide signs, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_sign_width(sign) for sign in text)


def _sign_width(sign: str) -> int:
    if unicodedata.combining(sign) or unicodedata.category(sign) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - shown_width(cell))
