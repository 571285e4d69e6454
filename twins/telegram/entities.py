"""A text's entities as the server keeps them: sorted, none across another, styles cut where they must be. Pure.

An entity is the Bot API's own object, offsets in UTF-16 units. Which may lie in which is TDLib's rule: styles (bold,
italic …) are cut at the edges of everything else; links, mentions and code do not overlap; quotes hold what lies whole
inside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Entity = dict[str, Any]

STYLES = ("bold", "italic", "underline", "strikethrough", "spoiler")
QUOTES = frozenset({"blockquote", "expandable_blockquote"})
CODE = frozenset({"pre", "code", "date_time"})
_PRIORITY = {
    "blockquote": 0,
    "expandable_blockquote": 0,
    "pre": 10,
    "code": 20,
    "date_time": 30,
    "text_link": 49,
    "text_mention": 49,
    "bold": 90,
    "italic": 91,
    "underline": 92,
    "strikethrough": 93,
    "spoiler": 94,
    "custom_emoji": 99,
}


def units(text: str) -> int:
    """Return the length in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def end_of(entity: Entity) -> int:
    return int(entity["offset"] + entity["length"])


def in_order(entities: Iterable[Entity]) -> list[Entity]:
    """Return them by their beginnings, the longer first."""
    return sorted(entities, key=lambda each: (each["offset"], -each["length"], _PRIORITY.get(each["type"], 50)))


def untangled(entities: Iterable[Entity], found: Iterable[Entity] = ()) -> list[Entity]:
    """Return the entities as one message may have them; `found` are the server's own, which give way to all others."""
    given = in_order(entities)
    quotes = _apart([each for each in given if each["type"] in QUOTES])
    solid = _apart([each for each in given if each["type"] not in QUOTES and each["type"] not in STYLES])
    solid = [each for each in solid if _fits(each, quotes)]
    solid += [each for each in _apart(in_order(found)) if _fits(each, quotes) and not _touches(each, solid)]
    firm = in_order(quotes + solid)
    styles = [each for each in given if each["type"] in STYLES]
    return in_order([*firm, *_cut(styles, firm)])


def _apart(entities: list[Entity]) -> list[Entity]:
    """Return those that begin when the one before has ended."""
    kept: list[Entity] = []
    for entity in entities:
        if not kept or entity["offset"] >= end_of(kept[-1]):
            kept.append(entity)
    return kept


def _fits(entity: Entity, quotes: list[Entity]) -> bool:
    """Whether it lies whole inside or whole outside of each quote."""
    for quote in quotes:
        overlaps = entity["offset"] < end_of(quote) and quote["offset"] < end_of(entity)
        if overlaps and not (quote["offset"] <= entity["offset"] and end_of(entity) <= end_of(quote)):
            return False
    return True


def _touches(entity: Entity, others: list[Entity]) -> bool:
    return any(entity["offset"] < end_of(other) and other["offset"] < end_of(entity) for other in others)


def _cut(styles: list[Entity], firm: list[Entity]) -> list[Entity]:
    """Return the styles cut at the edges of the firm entities, and at each other's beginnings; those inside of code
    are gone."""
    code = [each for each in firm if each["type"] in CODE]
    edges = {edge for each in firm for edge in (each["offset"], end_of(each))}
    merged = [span for kind in STYLES for span in _merged([each for each in styles if each["type"] == kind])]
    edges |= {span["offset"] for span in merged}
    pieces = [piece for span in merged for piece in _pieces(span, edges)]
    return [piece for piece in pieces if not _touches(piece, code)]


def _merged(spans: list[Entity]) -> list[Entity]:
    """Return spans of one style with those that overlap or touch made one."""
    merged: list[Entity] = []
    for span in spans:
        if merged and span["offset"] <= end_of(merged[-1]):
            merged[-1]["length"] = max(end_of(merged[-1]), end_of(span)) - merged[-1]["offset"]
        else:
            merged.append(dict(span))
    return merged


def _pieces(span: Entity, edges: set[int]) -> list[Entity]:
    inner = sorted(edge for edge in edges if span["offset"] < edge < end_of(span))
    starts = [span["offset"], *inner]
    return [
        {**span, "offset": start, "length": end - start}
        for start, end in zip(starts, [*inner, end_of(span)], strict=True)
    ]
