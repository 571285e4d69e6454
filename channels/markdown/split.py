"""Cut a Styled text into messages that a platform takes. Pure.

The best cut is between blocks, then at a line's end, then at a space, then anywhere but inside a character that
is drawn as one. What is lost is only the white space at a cut.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

from channels.markdown.styled import Span, Styled

LEAST_FILL = 0.3
"""A better kind of cut is preferred only if the message is then at least so full."""
_ZERO_WIDTH_JOINER = "\u200d"
_UNSEEN_CATEGORIES = ("Cc", "Cf", "Zl", "Zp", "Zs")
_BLANK_SIGNS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
"""Letters, signs and marks that are drawn as nothing."""
_GLUE_CATEGORIES = ("Mn", "Me", "Mc", "Sk")
_LONGEST_CLUSTER = 32
"""A drawn character of more code points than this is an attack on the renderer, and may be cut."""


def split_styled(styled: Styled, limit: int, length: Callable[[Styled], int], max_spans: int) -> Iterator[Styled]:
    """Yield the text in messages of at most `limit` units (as `length` counts them) and `max_spans` spans.

    A unit is never more than one character of the text. A single character that is longer is yielded all the same.
    """
    start, total = 0, len(styled.text)
    spans = sorted(styled.spans, key=lambda span: span.start)
    while (start := _skip_blank(styled, start)) < total:
        furthest = start + _furthest(styled.part(start, start + limit), limit, length)
        furthest = _within_span_count(spans, start, furthest, max_spans)
        end = total if furthest >= total else _best_cut(styled, start, furthest)
        chunk = _trimmed(styled.part(start, end))
        if is_seen(chunk.text):
            yield chunk
        start = end


def is_seen(text: str) -> bool:
    """Return whether anything of the text can be seen: platforms refuse a message of nothing but invisible signs."""
    return any(_is_seen_sign(sign) for sign in text)


def _is_seen_sign(sign: str) -> bool:
    return sign not in _BLANK_SIGNS and unicodedata.category(sign) not in _UNSEEN_CATEGORIES


def _skip_blank(styled: Styled, start: int) -> int:
    """Return where the next message begins: past blank lines, keeping a first line's indentation inside a pre."""
    text = styled.text
    at = start
    while at < len(text) and text[at].isspace():
        at += 1
    if any(span.kind == "pre" and span.start < at < span.end for span in styled.spans):
        line = text.rfind("\n", start, at)
        return line + 1 if line >= 0 else start
    return at


def _trimmed(chunk: Styled) -> Styled:
    return chunk.part(0, len(chunk.text.rstrip()))


def _furthest(rest: Styled, limit: int, length: Callable[[Styled], int]) -> int:
    end = len(rest.text)
    while end > 1 and (excess := length(rest.part(0, end)) - limit) > 0:
        end -= min(max(1, excess // 2), max(1, end // 2))
    return max(end, 1)


def _within_span_count(spans: list[Span], start: int, end: int, max_spans: int) -> int:
    inside = [span for span in spans if span.start < end and span.end > start]
    if len(inside) <= max_spans:
        return end
    return max(start + 1, inside[max_spans].start)


def _best_cut(styled: Styled, start: int, furthest: int) -> int:
    text = styled.text
    least = start + int((furthest - start) * LEAST_FILL)
    block = max((cut for cut in styled.cuts if least < cut <= furthest), default=0)
    if block:
        return block
    for mark in ("\n", " "):
        at = text.rfind(mark, least, furthest + 1)
        if at > start:
            return min(at + 1, furthest)
    return _between_clusters(text, start, furthest)


def _between_clusters(text: str, start: int, furthest: int) -> int:
    for at in range(furthest, max(start, furthest - _LONGEST_CLUSTER), -1):
        if not _glued(text, at):
            return at
    return furthest


def _glued(text: str, at: int) -> bool:
    """Whether a cut before `at` would tear a drawn character: a combining mark, a joined or coloured emoji."""
    before, after = text[at - 1], text[at]
    return (
        after == _ZERO_WIDTH_JOINER
        or before == _ZERO_WIDTH_JOINER
        or unicodedata.category(after) in _GLUE_CATEGORIES
        or "\ufe00" <= after <= "\ufe0f"
    )
