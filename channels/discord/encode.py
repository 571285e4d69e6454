"""What the host wants said, as the messages that say it on Discord. Pure.

`client.py` sends them in order. A text longer than a handful of messages goes as its beginning and a file with the
whole. Platform limits are Discord's own words, 2026: content 2000, nonce 25, 10 files of 10 MiB and 25 MiB together,
5 rows of 5 buttons, label 80, custom_id 100.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from channels.channel import DeliveryFailed
from channels.markdown.discord import render_discord
from channels.markdown.render import cleaned, plain_text
from protocol.ids import ChannelId, ChatKey
from protocol.message import Button, OutboundMessage

CONTENT_CHARS = 2000
MAX_UPLOAD_BYTES = 10 << 20
MAX_REQUEST_BYTES = 24 << 20
"""Of Discord's 25 MiB, with room for what else is in a request."""
MAX_FILES = 10
MAX_VALUE_CHARS = 100
MAX_LABEL_CHARS = 80
ROW_WIDTH, MAX_ROWS = 5, 5
WIDE_LABEL_CHARS = 14
"""Buttons with short labels share a row of three; longer ones have one each while there are rows."""
MAX_MESSAGES = 8
"""A longer answer becomes a file: 50 messages in a chat help nobody."""
BEGINNING_CHARS = 1800
FULL_TEXT_NAME = "answer.md"
CONTINUED = "\n\n… (The whole text is in the file.)"
NONCE_CHARS = 24

Rows = tuple[tuple[Button, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message goes: a channel, a direct chat, or a thread with the channel that it hangs in."""

    channel: int
    parent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    name: str
    path: str = ""
    """A file of the host's; empty: `content` is the file."""
    content: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    place: Place
    content: str = ""
    nonce: str = ""
    """Discord posts a message with the same one again only after some minutes. Empty: none."""
    reply_to: int | None = None
    rows: Rows = ()
    uploads: tuple[Upload, ...] = ()


def parse_place(channel_id: ChannelId, chat: ChatKey) -> Place:
    """Return the place that a chat key names; raise DeliveryFailed for a key of no Discord chat."""
    channel, _, rest = chat.partition(":")
    first, _, second = rest.partition(":")
    try:
        if channel != channel_id:
            raise ValueError
        return Place(channel=int(second), parent=int(first)) if second else Place(channel=int(first))
    except ValueError:
        raise DeliveryFailed(f"`{chat}` names no chat of the channel {channel_id}", permanent=True) from None


def place_key(channel_id: ChannelId, place: Place) -> str:
    """Return the chat key of a place."""
    parent = f"{place.parent}:" if place.parent is not None else ""
    return f"{channel_id}:{parent}{place.channel}"


def build_calls(channel_id: ChannelId, message: OutboundMessage, sizes: Sequence[int] = ()) -> tuple[SendMessage, ...]:
    """Return the messages that deliver it, in order; none for an empty one. Raise DeliveryFailed.

    `sizes` are those of the message's files in bytes, in order.
    """
    place = parse_place(channel_id, message.chat)
    calls = [*_text_calls(place, message.text)]
    packs = _packs(_uploads(message), sizes)
    if packs and len(calls) == 1 and not calls[0].uploads:
        calls = [replace(calls[0], uploads=packs[0])]
        packs = packs[1:]
    calls += [SendMessage(place=place, uploads=pack) for pack in packs]
    rows = _button_rows(message.buttons)
    if not calls:
        return ()
    if message.reply_to and message.reply_to.isdecimal():
        calls[0] = replace(calls[0], reply_to=int(message.reply_to))
    calls[-1] = replace(calls[-1], rows=rows)
    return tuple(
        replace(call, nonce=nonce_of(message.idempotency_key, part)) if message.idempotency_key else call
        for part, call in enumerate(calls)
    )


def nonce_of(key: str, part: int) -> str:
    """Return the nonce of one part of what has the idempotency key."""
    return hashlib.sha256(f"{key}#{part}".encode("utf-8", "replace")).hexdigest()[:NONCE_CHARS]


def content_of(markdown: str) -> str:
    """Return the content that says it in one message; raise DeliveryFailed where that is too long for one."""
    contents = render_discord(markdown)
    if len(contents) != 1:
        what = "too long for one message of Discord's" if contents else "empty"
        raise DeliveryFailed(f"the new text is {what}", permanent=True)
    return contents[0]


def beginning_of(markdown: str) -> str:
    """Return as much as one message shows, empty for a blank text."""
    contents = render_discord(markdown)
    return contents[0] if contents else ""


def safe_name(name: str) -> str:
    """Return the last part of a name as a person may read it: no folders, no control or direction signs."""
    last = PurePosixPath(cleaned(name).replace("\\", "/").replace("\n", " ")).name.strip()
    return last[-120:] if last not in ("", ".", "..") else "file"


def _text_calls(place: Place, text: str) -> Iterator[SendMessage]:
    whole_limit = MAX_MESSAGES * CONTENT_CHARS
    contents = render_discord(text) if len(text) <= whole_limit else ()
    if len(text) <= whole_limit and len(contents) <= MAX_MESSAGES:
        for content in contents:
            yield SendMessage(place=place, content=content)
        return
    beginning = render_discord(text[:CONTENT_CHARS], BEGINNING_CHARS)
    whole = Upload(name=FULL_TEXT_NAME, content=text.encode("utf-8", "replace"))
    yield SendMessage(place=place, content=f"{beginning[0]}{CONTINUED}" if beginning else "", uploads=(whole,))


def _uploads(message: OutboundMessage) -> tuple[Upload, ...]:
    if message.file_path is None:
        return ()
    first = Upload(name=safe_name(message.file_name or message.file_path), path=message.file_path)
    return (first, *(Upload(name=safe_name(file.name or file.path), path=file.path) for file in message.more_files))


def _packs(uploads: Sequence[Upload], sizes: Sequence[int]) -> list[tuple[Upload, ...]]:
    """Return the uploads as they go together into messages."""
    packs: list[list[Upload]] = []
    room = 0
    for upload, size in zip(uploads, sizes, strict=True):
        if size > MAX_UPLOAD_BYTES:
            reason = f"{upload.name} has {size / (1 << 20):.1f} MiB; Discord takes 10 MiB from a bot"
            raise DeliveryFailed(reason, permanent=True)
        if not packs or size > room or len(packs[-1]) == MAX_FILES:
            packs.append([])
            room = MAX_REQUEST_BYTES
        packs[-1].append(upload)
        room -= size
    return [tuple(pack) for pack in packs]


def _button_rows(buttons: Iterable[Button]) -> Rows:
    fitting = tuple(_fitting(button) for button in buttons)
    if len(fitting) > ROW_WIDTH * MAX_ROWS:
        raise DeliveryFailed(f"{len(fitting)} buttons are too many: Discord takes 25", permanent=True)
    width = 3 if all(len(button.label) <= WIDE_LABEL_CHARS for button in fitting) else 1
    if len(fitting) > width * MAX_ROWS:
        width = ROW_WIDTH
    return tuple(fitting[start : start + width] for start in range(0, len(fitting), width))


def _fitting(button: Button) -> Button:
    if not 1 <= len(button.value) <= MAX_VALUE_CHARS:
        reason = f"the button {button.label!r} has a value of {len(button.value)} characters; Discord takes 1 to 100"
        raise DeliveryFailed(reason, permanent=True)
    label = plain_text(button.label).replace("\n", " ") or button.value
    return Button(label=label[:MAX_LABEL_CHARS], value=button.value)
