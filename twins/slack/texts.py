"""What Slack does to words: control sequences in angle brackets, three escapes, a cut at 40,000 characters. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_TEXT = 40_000
"""Longer texts are cut there, without an error; the published advice is 4,000."""
MAX_MARKDOWN_TEXT = 12_000

_CONTROL = re.compile(r"<(?:@[UW]\w+|#[CDG]\w+|![^<>]+|(?:https?|mailto|tel|slack):[^<>]*)(?:\|[^<>]*)?>")
_LINK = re.compile(r"https?://[^\s<>|]+[^\s<>|.,;:!?)\]'\"*_~`]")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt);)")
_EVERYBODY = re.compile(r"(?<![\w<!])@(here|channel|everyone)\b")
_NAME = re.compile(r"(?<![\w<@])@(\w+)")
_CHANNEL = re.compile(r"(?<![\w<#&])#([a-z0-9_-]+)")


def unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def stored_text(text: str) -> str:
    """Return a text as the platform keeps it: control sequences stay, bare links become such, the rest is escaped."""
    kept: list[str] = []
    at = 0
    for control in _CONTROL.finditer(text):
        kept += [_escape_rest(text[at : control.start()]), control[0]]
        at = control.end()
    kept.append(_escape_rest(text[at:]))
    return "".join(kept)[:MAX_TEXT]


def typed_text(text: str, people: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """Return what a person typed as it is stored; `people` and `channels` are lower-case names → ids.

    `@name`, `#channel` and `@here` become control sequences, as the composer makes them; each `&` is escaped, one that
    looks like the beginning of an escape too.
    """
    text = text.replace("&", "&amp;")

    def mention(found: re.Match[str]) -> str:
        user_id = people.get(found[1].lower())
        return found[0] if user_id is None else f"<@{user_id}>"

    def channel(found: re.Match[str]) -> str:
        channel_id = channels.get(found[1])
        return found[0] if channel_id is None else f"<#{channel_id}|{found[1]}>"

    text = _NAME.sub(mention, _EVERYBODY.sub(r"<!\1>", text))
    return stored_text(_CHANNEL.sub(channel, text))


def shown_text(text: str, names: Mapping[str, str]) -> str:
    """Return a stored text as a person reads it; `names` are ids → names. Marks such as `*bold*` stay."""

    def read(found: re.Match[str]) -> str:
        target, _, label = found[0][1:-1].partition("|")
        match target[0]:
            case "@":
                return f"@{names.get(target[1:], target[1:])}"
            case "#":
                return f"#{label or names.get(target[1:], target[1:])}"
            case "!":
                return label or f"@{target[1:].partition('^')[0]}"
            case _:
                return label or target.removeprefix("mailto:")

    return unescape(_CONTROL.sub(read, text))


def mentioned(text: str) -> set[str]:
    """Return the ids of who is mentioned in a stored text."""
    return set(re.findall(r"<@(\w+)(?:\|[^>]*)?>", text))


def rich_text(text: str) -> list[dict[str, Any]]:
    """Return the blocks that the composer sends with what a person typed."""
    parts: list[dict[str, Any]] = []
    at = 0
    for control in _CONTROL.finditer(text):
        if plain := unescape(text[at : control.start()]):
            parts.append({"type": "text", "text": plain})
        parts.append(_rich_part(control[0][1:-1]))
        at = control.end()
    if plain := unescape(text[at:]):
        parts.append({"type": "text", "text": plain})
    return [{"type": "rich_text", "block_id": "b1", "elements": [{"type": "rich_text_section", "elements": parts}]}]


def rich_words(block: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return a `rich_text` block as a person reads it, without its styles."""
    return "\n".join(line for frame in block.get("elements") or [] for line in _framed(frame, names))


def _framed(frame: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    elements = frame.get("elements") or []
    if frame.get("type") != "rich_text_list":
        yield "".join(_word(element, names) for element in elements)
        return
    indent = "    " * int(frame.get("indent") or 0)
    for number, item in enumerate(elements, int(frame.get("offset") or 0) + 1):
        bullet = f"{number}." if frame.get("style") == "ordered" else "•"
        yield f"{indent}{bullet} " + "".join(_word(element, names) for element in item.get("elements") or [])


def _word(element: Mapping[str, Any], names: Mapping[str, str]) -> str:
    match element.get("type"):
        case "user":
            user_id = str(element.get("user_id"))
            return f"@{names.get(user_id, user_id)}"
        case "channel":
            channel_id = str(element.get("channel_id"))
            return f"#{names.get(channel_id, channel_id)}"
        case "broadcast":
            return f"@{element.get('range')}"
        case "emoji":
            codes = str(element.get("unicode") or "")
            return "".join(chr(int(code, 16)) for code in codes.split("-")) if codes else f":{element.get('name')}:"
        case _:
            return str(element.get("text") or element.get("url") or "")


def _rich_part(control: str) -> dict[str, Any]:
    target, _, label = control.partition("|")
    match target[0]:
        case "@":
            return {"type": "user", "user_id": target[1:]}
        case "#":
            return {"type": "channel", "channel_id": target[1:]}
        case "!":
            return {"type": "broadcast", "range": target[1:]}
        case _:
            return {"type": "link", "url": unescape(target), **({"text": label} if label else {})}


def _escape_rest(text: str) -> str:
    pieces: list[str] = []
    at = 0
    for link in _LINK.finditer(text):
        pieces += [_escape_piece(text[at : link.start()]), f"<{_ENTITY.sub('&amp;', link[0])}>"]
        at = link.end()
    return "".join([*pieces, _escape_piece(text[at:])])


def _escape_piece(text: str) -> str:
    return _ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
