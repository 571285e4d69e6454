"""Markdown to Telegram messages: text and entities, never a parse mode. Pure.

Telegram counts an entity's offset and length in UTF-16 units. Sending entities instead of marked-up text removes the
whole class of `can't parse entities` errors.

Nobody is rung: only web addresses are links (`tg://user?id=…` would be a mention), and where it matters a space of no
width stands in a `@name`, of which Telegram itself would make one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from channels.markdown.markup import BARE_ADDRESS, UNSEEN
from channels.markdown.render import render_markdown
from channels.markdown.split import split_styled
from channels.markdown.styled import SpanKind, Styled

CHUNK_UNITS = 4000
"""Aim of a message; Telegram's limit is 4096 characters, and UTF-16 units are never fewer than those."""
MAX_ENTITIES = 100
"""Telegram ignores what is beyond."""
MAX_LANGUAGE_CHARS = 64
_RINGING = re.compile(r"(?<!\w)@(?=[a-zA-Z0-9_]{2})")

_TYPES: dict[SpanKind, str] = {
    "bold": "bold",
    "italic": "italic",
    "strikethrough": "strikethrough",
    "code": "code",
    "pre": "pre",
    "link": "text_link",
    "quote": "blockquote",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One styled range; offset and length in UTF-16 units."""

    type: str
    offset: int
    length: int
    url: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramText:
    text: str
    entities: tuple[Entity, ...] = ()


def utf16_units(text: str) -> int:
    """Return the length of the text as Telegram counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def render_telegram(
    markdown: str, limit_units: int = CHUNK_UNITS, *, rings_nobody: bool = False
) -> tuple[TelegramText, ...]:
    """Return the messages that say what the Markdown says; none for a text of white space alone. With `rings_nobody` a
    `@name` is no mention: a space of no width stands in it."""
    styled = render_markdown(markdown).with_headings_bold().without("bullet")
    if rings_nobody:
        styled = _unrung(styled)
    chunks = split_styled(styled, limit_units, lambda part: utf16_units(part.text), MAX_ENTITIES)
    return tuple(_telegram_text(chunk) for chunk in chunks)


def _unrung(styled: Styled) -> Styled:
    is_silent = bytearray(len(styled.text))  # Telegram finds no mention in code, in a link, in an address
    for start, end in (
        *((span.start, span.end) for span in styled.spans if span.kind in ("code", "pre", "link")),
        *(address.span() for address in BARE_ADDRESS.finditer(styled.text)),
    ):
        is_silent[start:end] = bytes([1]) * (end - start)
    found = (mention.end() for mention in _RINGING.finditer(styled.text) if not is_silent[mention.start()])
    return styled.with_inserts([(at, UNSEEN) for at in found])


def _telegram_text(chunk: Styled) -> TelegramText:
    astral = [index for index, sign in enumerate(chunk.text) if sign > "\uffff"]

    def units_before(offset: int) -> int:
        return offset + bisect_right(astral, offset - 1)

    entities = []
    for span in sorted(chunk.spans, key=lambda span: (span.start, -span.end)):
        offset = units_before(span.start)
        length = units_before(span.end) - offset
        url = span.detail if span.kind == "link" else ""
        language = span.detail[:MAX_LANGUAGE_CHARS] if span.kind == "pre" else ""
        entities.append(Entity(type=_TYPES[span.kind], offset=offset, length=length, url=url, language=language))
    return TelegramText(text=chunk.text, entities=tuple(entities))
