"""What the server does with a text and its entities before a message is made of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twins.telegram.entities import Entity, end_of, in_order, units, untangled
from twins.telegram.found import found_entities
from twins.telegram.html_text import parse_html
from twins.telegram.links import checked_link, is_time_format
from twins.telegram.markdown import parse_markdown, parse_markdown_v2
from twins.telegram.reader import CannotParse
from twins.telegram.refusal import bad_request

MAX_TEXT = 4096
MAX_RAW_BYTES = 32768
MAX_CAPTION = 1024
MAX_ENTITIES = 100
MAX_OFFSET = 1_000_000
PARSERS: dict[str, Callable[[str], tuple[str, list[Entity]]]] = {
    "markdown": parse_markdown,
    "markdownv2": parse_markdown_v2,
    "html": parse_html,
}
_PLAIN = frozenset(
    {
        "bold",
        "italic",
        "underline",
        "strikethrough",
        "spoiler",
        "code",
        "blockquote",
        "expandable_blockquote",
    }
)
_FOUND = frozenset({"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"})
_GONE = re.compile("[\r\u2028-\u202e\u0333\u033f\u030a]")
_BLANKED = re.compile("[\0-\x09\x0b\x0c\x0e-\x1f]")


def checked_text(text: str, entities: Any, parse_mode: str = "") -> tuple[str, list[Entity]]:
    """Return a message's text and entities as the server keeps them; raise Refusal."""
    if not text:
        raise bad_request("message text is empty")
    kept, kept_entities = formatted(text, entities, parse_mode)
    if not kept:
        raise bad_request("text must be non-empty")
    if len(kept) > MAX_TEXT:
        raise bad_request("message is too long")
    return kept, kept_entities


def checked_caption(text: str, entities: Any, parse_mode: str = "") -> tuple[str, list[Entity]]:
    kept, kept_entities = formatted(text, entities, parse_mode)
    if len(kept) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    return kept, kept_entities


def formatted(text: str, entities: Any, parse_mode: str = "") -> tuple[str, list[Entity]]:
    """Return a text of any length with the entities that it will have, found ones too; raise Refusal."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_RAW_BYTES:
        raise bad_request("text is too long")
    parsed, marked = _parsed(text, parse_mode) if text else (text, None)
    given = _given(entities) if marked is None else marked
    clean, moved = _cleaned(parsed, untangled(given))
    trimmed, kept = _trimmed(clean, untangled(moved))
    return trimmed, untangled(kept, found_entities(trimmed))[:MAX_ENTITIES]


def typed_entities(text: str) -> list[Entity]:
    """Return the entities of what a person typed without formatting it."""
    return untangled((), found_entities(text))


def _parsed(text: str, parse_mode: str) -> tuple[str, list[Entity] | None]:
    mode = parse_mode.lower()
    if mode in ("", "none"):
        return text, None
    if mode not in PARSERS:
        raise bad_request("unsupported parse_mode")
    try:
        return PARSERS[mode](text)
    except CannotParse as error:
        raise bad_request(f"can't parse entities: {error}") from error


def _given(entities: Any) -> list[Entity]:
    if not isinstance(entities, list):
        return []
    kept = [_entity(each) for each in entities]
    for entity in kept:
        if entity is not None and not 0 <= entity["offset"] <= MAX_OFFSET:
            raise bad_request(f"receive an entity with incorrect offset {entity['offset']}")
        if entity is not None and not 0 <= entity["length"] <= MAX_OFFSET:
            raise bad_request(f"receive an entity with incorrect length {entity['length']}")
    return [entity for entity in kept if entity is not None and entity["length"]]


def _entity(given: Any) -> Entity | None:
    """Return one entity that a client sent; None for a kind that the server finds itself, or one that says nothing."""
    if not isinstance(given, dict):
        raise _cannot_read("expected an Object")
    entity: Entity = {name: _number(given, name) for name in ("offset", "length")}
    kind = given.get("type")
    if not isinstance(kind, str) or not kind:
        raise _cannot_read("Type is not specified" if kind == "" else 'Can\'t find field "type"')
    entity["type"] = kind
    match kind:
        case _ if kind in _FOUND:
            return None
        case _ if kind in _PLAIN:
            return entity
        case "pre":
            return {**entity, "language": given["language"]} if given.get("language") else entity
        case "text_link":
            if "url" not in given:
                raise _cannot_read('Can\'t find field "url"')
            url = checked_link(str(given["url"]))
            return {**entity, "url": url} if url else None
        case "text_mention":
            return {**entity, "user": {"id": _number(given.get("user") or {}, "id")}}
        case "custom_emoji":
            return {**entity, "custom_emoji_id": str(_number(given, "custom_emoji_id"))}
        case "date_time":
            form = str(given.get("date_time_format") or "")
            if not is_time_format(form):
                raise _cannot_read("Invalid date-time format specified")
            moment = {**entity, "unix_time": _number(given, "unix_time")}
            return {**moment, "date_time_format": form} if form else moment
        case _:
            raise _cannot_read("Unsupported type specified")


def _number(given: dict[str, Any], name: str) -> int:
    try:
        return int(given[name])
    except KeyError:
        raise _cannot_read(f'Can\'t find field "{name}"') from None
    except (TypeError, ValueError):
        raise _cannot_read(f'Field "{name}" must be of type Number') from None


def _cannot_read(words: str) -> Exception:
    return bad_request(f"can't parse MessageEntity: {words}")


def _cleaned(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Return the text without control characters, and the entities moved along; raise Refusal for one that begins or
    ends within a symbol or beyond the text."""
    edges = _edges(text)
    for entity in entities:
        _check_edges(entity, edges, text)
    # What is only blanked keeps its length; what is taken out moves all that follows.
    gone = [units(text[: found.start()]) for found in _GONE.finditer(text)]
    moved = []
    for entity in entities:
        before = sum(1 for each in gone if each < entity["offset"])
        within = sum(1 for each in gone if entity["offset"] <= each < end_of(entity))
        if entity["length"] > within:
            moved.append({**entity, "offset": entity["offset"] - before, "length": entity["length"] - within})
    return _BLANKED.sub(" ", _GONE.sub("", text)), moved


def _edges(text: str) -> dict[int, int]:
    """Return where in the UTF-8 text each UTF-16 offset lies that is between two symbols."""
    edges, offset, at = {0: 0}, 0, 0
    for character in text:
        offset += 2 if ord(character) > 0xFFFF else 1
        at += len(character.encode("utf-8", "surrogatepass"))
        edges[offset] = at
    return edges


def _check_edges(entity: Entity, edges: dict[int, int], text: str) -> None:
    begin, end, last = entity["offset"], end_of(entity), units(text)
    if begin > last:
        raise bad_request(f"entity begins after the end of the text at UTF-16 offset {begin}")
    if begin not in edges:
        raise bad_request(f"entity begins in a middle of a UTF-16 symbol at byte offset {edges[begin + 1]}")
    if end > last:
        words = f"entity beginning at UTF-16 offset {begin} ends after the end of the text at UTF-16 offset {end}"
        raise bad_request(words)
    if end not in edges:
        where = f"at byte offset {edges[end + 1]}"
        raise bad_request(f"entity beginning at UTF-16 offset {begin} ends in a middle of a UTF-16 symbol {where}")


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Return the text without blank ends; a blank beginning that an entity covers stays."""
    right = text.rstrip(" \n")
    first = min((entity["offset"] for entity in entities), default=len(right))
    blank = min(len(right) - len(right.lstrip(" \n")), first)
    kept, length = right[blank:], units(right)
    moved = [
        {**entity, "offset": entity["offset"] - blank, "length": min(end_of(entity), length) - entity["offset"]}
        for entity in entities
        if entity["offset"] < length
    ]
    return kept, in_order(moved)
