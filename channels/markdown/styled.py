"""Styled text: characters, the spans that style them, and the places where it may be cut. Pure.

Offsets are Python characters (code points); the UTF-16 units that Telegram counts in are made at the very end, in
`telegram.py`. The renderer builds one Styled for a whole document, `split.py` cuts it into messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

SpanKind = Literal["bold", "italic", "strikethrough", "code", "pre", "link", "quote", "heading", "bullet"]
"""`heading` is a line's style where a platform has headings, else bold; `bullet` the sign before an item of a list,
for platforms that draw their own."""
VERBATIM: tuple[SpanKind, ...] = ("code", "pre")
"""No other style may lie inside or around these, but a quote around them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    start: int
    end: int
    kind: SpanKind
    detail: str = ""
    """The address of a link, the language of a pre, the level of a heading."""


@dataclass(frozen=True, slots=True)
class Styled:
    text: str = ""
    spans: tuple[Span, ...] = ()
    """In the order of their ends; a span that contains another comes after it."""
    cuts: tuple[int, ...] = ()
    """Where one block ends and the next begins: the best places to cut, ascending."""

    def wrapped(self, kind: SpanKind, detail: str = "") -> Styled:
        """Return the same text with one more span around all of it."""
        if not self.text:
            return self
        return replace(self, spans=(*self.spans, Span(start=0, end=len(self.text), kind=kind, detail=detail)))

    def without(self, *kinds: SpanKind) -> Styled:
        return replace(self, spans=tuple(span for span in self.spans if span.kind not in kinds))

    def indented(self, first: str, rest: str) -> Styled:
        """Return the text with `first` before its first line and `rest` before every other one.

        Lines inside a pre stay as they are: its characters are meant literally.
        """
        inside_pre = [(span.start, span.end) for span in self.spans if span.kind == "pre"]
        inserts = [(0, first)]
        for match in re.finditer(r"\n(?!\n|$)", self.text):
            at = match.end()
            if not any(start <= at < end for start, end in inside_pre):
                inserts.append((at, rest))
        return self.with_inserts(inserts)

    def with_headings_bold(self) -> Styled:
        """Return the text for a platform without headings."""
        spans = (replace(span, kind="bold", detail="") if span.kind == "heading" else span for span in self.spans)
        return flattened(replace(self, spans=tuple(spans)))

    def with_inserts(self, inserts: list[tuple[int, str]]) -> Styled:
        """Return the text with more text at offsets, ascending: after what ends there, before what begins there."""
        pieces: list[str] = []
        shifts: list[tuple[int, int]] = []  # from this old offset on, add so much
        position, added = 0, 0
        for at, text in inserts:
            pieces += [self.text[position:at], text]
            position = at
            added += len(text)
            shifts.append((at, added))
        pieces.append(self.text[position:])
        starts = _shifted([span.start for span in self.spans], shifts, at_insert=True)
        ends = _shifted([span.end for span in self.spans], shifts, at_insert=False)
        spans = tuple(
            replace(span, start=start, end=end) for span, start, end in zip(self.spans, starts, ends, strict=True)
        )
        return Styled("".join(pieces), spans, tuple(_shifted(list(self.cuts), shifts, at_insert=False)))

    def part(self, start: int, end: int) -> Styled:
        """Return the characters from start to end, with what of each span lies there: a cut fence is open in both."""
        spans = tuple(
            replace(span, start=max(span.start, start) - start, end=min(span.end, end) - start)
            for span in self.spans
            if span.start < end and span.end > start
        )
        return Styled(self.text[start:end], spans, tuple(cut - start for cut in self.cuts if start < cut < end))


def joined(parts: Iterable[Styled], separator: str = "", *, cut: bool = False) -> Styled:
    """Return the parts one after another; with `cut`, each join is marked as a good place to cut."""
    texts: list[str] = []
    spans: list[Span] = []
    cuts: list[int] = []
    length = 0
    for part in parts:
        if not part.text:
            continue
        if length:
            texts.append(separator)
            length += len(separator)
            if cut:
                cuts.append(length)
        spans += [replace(span, start=span.start + length, end=span.end + length) for span in part.spans]
        cuts += [at + length for at in part.cuts]
        texts.append(part.text)
        length += len(part.text)
    return Styled("".join(texts), tuple(spans), tuple(cuts))


def flattened(styled: Styled) -> Styled:
    """Return the text with its spans made as a platform wants them: no style around code, one of a kind at a place."""
    verbatim = [span for span in styled.spans if span.kind in VERBATIM]
    seen: dict[SpanKind, int] = {}
    kept: list[Span] = []
    for span in sorted(styled.spans, key=lambda span: (span.start, -span.end)):
        if span.start < seen.get(span.kind, 0):
            continue  # bold in bold, a quote in a quote: the outer one says it
        seen[span.kind] = span.end
        if span.kind in VERBATIM or span.kind in ("quote", "heading", "bullet"):
            kept.append(span)
        else:
            kept += _around(span, verbatim)
    return replace(styled, spans=tuple(span for span in kept if styled.text[span.start : span.end].strip()))


def _around(span: Span, holes: list[Span]) -> list[Span]:
    pieces: list[Span] = []
    start = span.start
    for hole in holes:
        if hole.end <= start or hole.start >= span.end:
            continue
        if hole.start > start:
            pieces.append(replace(span, start=start, end=hole.start))
        start = hole.end
    if start < span.end:
        pieces.append(replace(span, start=start))
    return pieces


def _shifted(offsets: list[int], shifts: list[tuple[int, int]], *, at_insert: bool) -> list[int]:
    """Return each offset after the inserts; one that lies exactly at an insert moves with it only if `at_insert`."""
    order = sorted(range(len(offsets)), key=offsets.__getitem__)
    result = list(offsets)
    added, position = 0, 0
    for index in order:
        offset = offsets[index]
        while position < len(shifts) and (
            shifts[position][0] < offset or (at_insert and shifts[position][0] == offset)
        ):
            added = shifts[position][1]
            position += 1
        result[index] = offset + added
    return result
