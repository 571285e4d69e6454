"""Styled text written in a platform's own marks, line by line, for platforms that take no spans. Pure.

The marks themselves and what must be escaped are a `Dialect`: `discord.py` and `slack.py` have one each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from channels.markdown.styled import Span, Styled

UNSEEN = "\u200b"
"""A space of no width: between two characters that would be read as one mark, where a platform has no other escape."""
BARE_ADDRESS = re.compile(r"https?://[^\s<]+[^\s<.,:;\"')\]]", re.IGNORECASE)
"""An address in plain text, which platforms make a link of, without the punctuation after it."""


class Dialect(Protocol):
    """How a platform writes what a Styled says."""

    quote_mark: str
    """Before each line of a quote."""

    def literal(self, whole: str, start: int, end: int) -> str:
        """Return the characters from start to end so that the platform shows just these."""

    def styled(self, span: Span, inside: str, whole: str) -> str:
        """Return what is inside an inline span, already written, with the span's marks around it."""

    def verbatim(self, code: str, language: str, /) -> list[str]:
        """Return the lines of a block of code."""

    def heading(self, line: str, level: int, /) -> str:
        """Return a written line as a heading."""


def written(chunk: Styled, dialect: Dialect) -> str:
    """Return the text in the marks of the dialect."""
    lines: list[tuple[int, str]] = []  # where each stands in the text, and what is written there
    position = 0
    pres = sorted((span for span in chunk.spans if span.kind == "pre"), key=lambda span: span.start)
    for pre in pres:
        lines += _text_lines(chunk, position, pre.start, dialect)
        if pre.start > position and chunk.text[pre.start - 1] == "\n":
            lines.pop()  # the empty one between the line end and the block
        code = chunk.text[pre.start : pre.end]
        lines += [(pre.start, line) for line in dialect.verbatim(code, pre.detail)]
        position = pre.end + (chunk.text[pre.end : pre.end + 1] == "\n")
    if position < len(chunk.text) or not pres:
        lines += _text_lines(chunk, position, len(chunk.text), dialect)
    quotes = [span for span in chunk.spans if span.kind == "quote"]
    return "\n".join(dialect.quote_mark + line if _lies_in(quotes, at) else line for at, line in lines)


def with_written_addresses(styled: Styled, is_linkable: Callable[[Span, str], bool]) -> Styled:
    """Return the text with the address of each link that the platform cannot show as one after the link's text."""
    inserts, spans = [], []
    for span in styled.spans:
        if span.kind == "link" and not is_linkable(span, styled.text[span.start : span.end]):
            inserts.append((span.end, f" ({span.detail})"))
        else:
            spans.append(span)
    if not inserts:
        return styled
    return replace(styled, spans=tuple(spans)).with_inserts(sorted(inserts))


def _lies_in(quotes: Sequence[Span], at: int) -> bool:
    return any(quote.start <= at < quote.end for quote in quotes)


def _text_lines(chunk: Styled, start: int, end: int, dialect: Dialect) -> list[tuple[int, str]]:
    if start >= end:
        return []
    lines: list[tuple[int, str]] = []
    at = start
    for line in chunk.text[start:end].split("\n"):
        lines.append((at + len(line) - len(line.lstrip()), _line(chunk, at, at + len(line), dialect)))
        at += len(line) + 1
    return lines


def _line(chunk: Styled, start: int, end: int, dialect: Dialect) -> str:
    here = [_clipped(chunk.text, span, start, end) for span in chunk.spans if span.start < end and span.end > start]
    heading = next((span for span in here if span.kind == "heading" and span.start == start), None)
    if heading is None:  # one after the mark of a list is none to any platform
        here = [replace(span, kind="bold") if span.kind == "heading" else span for span in here]
    inline = [span for span in here if span.start < span.end and span.kind not in ("pre", "quote", "heading")]
    inline.sort(key=lambda span: (span.start, -span.end, span.kind == "code"))
    line = _inline(chunk.text, start, end, inline, dialect)
    return line if heading is None else dialect.heading(line, int(heading.detail))


def _clipped(text: str, span: Span, start: int, end: int) -> Span:
    """Return what of the span lies on a line, without the blanks at its ends, which no platform takes inside marks."""
    first, last = max(span.start, start), min(span.end, end)
    if span.kind != "code":
        while first < last and text[first].isspace():
            first += 1
        while first < last and text[last - 1].isspace():
            last -= 1
    return replace(span, start=first, end=last)


def _inline(whole: str, start: int, end: int, spans: list[Span], dialect: Dialect) -> str:
    pieces: list[str] = []
    position = start
    while spans:
        outer, rest = spans[0], spans[1:]
        inner = [replace(span, end=min(span.end, outer.end)) for span in rest if span.start < outer.end]
        spans = [span for span in rest if span.start >= outer.end]
        pieces.append(dialect.literal(whole, position, outer.start))
        if outer.kind == "code":
            inside = whole[outer.start : outer.end]
        else:
            inside = _inline(whole, outer.start, outer.end, inner, dialect)
        pieces.append(dialect.styled(outer, inside, whole))
        position = outer.end
    return "".join([*pieces, dialect.literal(whole, position, end)])
