"""What the host wants said, as the calls that say it on Telegram. Pure.

`client.py` performs the calls in order. A text longer than a handful of messages goes as its beginning and a file
with the whole. Platform limits are Telegram's own words, 2026: text 4096, caption 1024, button 64 bytes, upload 50 MB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from channels.channel import DeliveryFailed
from channels.markdown.render import cleaned, plain_text
from channels.markdown.telegram import Entity, render_telegram
from protocol.ids import ChannelId, ChatKey
from protocol.message import Button, OutboundMessage

MAX_UPLOAD_BYTES = 50_000_000
MAX_PHOTO_BYTES = 10_000_000
CAPTION_UNITS = 1000
MAX_BUTTON_BYTES = 64
MAX_LABEL_CHARS = 60
"""Longer labels are cut by Telegram's apps, in the middle of a word."""
WIDE_LABEL_CHARS = 14
"""Buttons with short labels share a row of three."""
MAX_MESSAGES = 8
"""A longer answer becomes a file: 250 messages in a chat help nobody, and Telegram takes 20 a minute in a group."""
FULL_TEXT_NAME = "answer.md"
CONTINUED = "…\n\n(The whole text is in the file.)"
_PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a call goes: a chat, and a topic in it."""

    chat_id: int
    topic_id: int | None = None

    @property
    def is_private(self) -> bool:
        """One person's chat with the bot: those have the person's id."""
        return self.chat_id > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SendText:
    place: Place
    text: str
    entities: tuple[Entity, ...] = ()
    reply_to: int | None = None
    button_rows: tuple[tuple[Button, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFile:
    place: Place
    name: str
    path: str = ""
    """A file of the host's; empty: `content` is the file."""
    content: bytes = b""
    caption: str = ""
    entities: tuple[Entity, ...] = ()
    as_photo: bool = False
    reply_to: int | None = None
    button_rows: tuple[tuple[Button, ...], ...] = ()


ApiCall = SendText | SendFile


def parse_place(channel_id: ChannelId, chat: str) -> Place:
    """Return the place that a chat key names; raise DeliveryFailed for a key of no Telegram chat."""
    channel, _, rest = chat.partition(":")
    chat_id, _, topic = rest.partition(":")
    try:
        if channel != channel_id:
            raise ValueError
        return Place(chat_id=int(chat_id), topic_id=int(topic) if topic else None)
    except ValueError:
        raise DeliveryFailed(f"`{chat}` names no chat of the channel {channel_id}", permanent=True) from None


def place_key(channel_id: ChannelId, place: Place) -> ChatKey:
    """Return the chat key of a place."""
    topic = "" if place.topic_id is None else f":{place.topic_id}"
    return ChatKey(f"{channel_id}:{place.chat_id}{topic}")


def build_calls(channel_id: ChannelId, message: OutboundMessage, file_bytes: int = 0) -> tuple[ApiCall, ...]:
    """Return the calls that deliver the message, in order; none for an empty one. Raise DeliveryFailed.

    `file_bytes` is the size of the message's file, if it has one.
    """
    place = parse_place(channel_id, message.chat)
    reply_to = int(message.reply_to) if message.reply_to and message.reply_to.isdecimal() else None
    rows = _button_rows(message.buttons)
    if message.file_path is not None:
        return _file_calls(place, message, file_bytes, reply_to, rows)
    return _text_calls(place, message.text, reply_to, rows)


def _text_calls(
    place: Place, text: str, reply_to: int | None, rows: tuple[tuple[Button, ...], ...]
) -> tuple[ApiCall, ...]:
    whole_limit = MAX_MESSAGES * 4096
    chunks = render_telegram(text) if len(text) <= whole_limit else ()
    if len(text) > whole_limit or len(chunks) > MAX_MESSAGES:
        return _long_text_calls(place, text, reply_to, rows)
    last = len(chunks) - 1
    return tuple(
        SendText(
            place=place,
            text=chunk.text,
            entities=chunk.entities,
            reply_to=reply_to if index == 0 else None,
            button_rows=rows if index == last else (),
        )
        for index, chunk in enumerate(chunks)
    )


def _long_text_calls(
    place: Place, text: str, reply_to: int | None, rows: tuple[tuple[Button, ...], ...]
) -> tuple[ApiCall, ...]:
    beginning = render_telegram(text[:4096], 3000)
    calls: list[ApiCall] = []
    if beginning:
        first = beginning[0]
        calls.append(SendText(place=place, text=f"{first.text}{CONTINUED}", entities=first.entities, reply_to=reply_to))
    content = text.encode("utf-8", "replace")
    calls.append(SendFile(place=place, name=FULL_TEXT_NAME, content=content, button_rows=rows))
    return tuple(calls)


def _file_calls(
    place: Place,
    message: OutboundMessage,
    file_bytes: int,
    reply_to: int | None,
    rows: tuple[tuple[Button, ...], ...],
) -> tuple[ApiCall, ...]:
    path = message.file_path or ""
    name = safe_name(message.file_name or path)
    if file_bytes > MAX_UPLOAD_BYTES:
        megabytes = file_bytes / 1e6
        raise DeliveryFailed(f"{name} has {megabytes:.0f} MB; Telegram takes 50 MB from a bot", permanent=True)
    captions = render_telegram(message.text, CAPTION_UNITS)
    caption = captions[0] if len(captions) == 1 else None
    before = _text_calls(place, message.text, reply_to, ()) if len(captions) > 1 else ()
    upload = SendFile(
        place=place,
        name=name,
        path=path,
        caption=caption.text if caption else "",
        entities=caption.entities if caption else (),
        as_photo=name.lower().endswith(_PHOTO_SUFFIXES) and file_bytes <= MAX_PHOTO_BYTES,
        reply_to=None if before else reply_to,
        button_rows=rows,
    )
    return (*before, upload)


def simpler_call(call: ApiCall, refusal: str) -> ApiCall | None:
    """Return the call in a form that Telegram may take after it refused this one, None if there is none."""
    words = refusal.lower()
    if call.entities and "entit" in words:
        return replace(call, entities=())
    if isinstance(call, SendFile) and call.as_photo and ("photo" in words or "image" in words):
        return replace(call, as_photo=False)
    return None


def safe_name(name: str) -> str:
    """Return the last part of a name as a person may read it: no folders, no control or direction signs."""
    last = PurePosixPath(cleaned(name).replace("\\", "/").replace("\n", " ")).name.strip()
    return last[-120:] if last not in ("", ".", "..") else "file"


def _button_rows(buttons: tuple[Button, ...]) -> tuple[tuple[Button, ...], ...]:
    fitting = tuple(_fitting(button) for button in buttons)
    width = 3 if all(len(button.label) <= WIDE_LABEL_CHARS for button in fitting) else 1
    return tuple(fitting[start : start + width] for start in range(0, len(fitting), width))


def _fitting(button: Button) -> Button:
    value_bytes = len(button.value.encode())
    if not 1 <= value_bytes <= MAX_BUTTON_BYTES:
        reason = f"the button {button.label!r} has a value of {value_bytes} bytes; Telegram takes 1 to 64"
        raise DeliveryFailed(reason, permanent=True)
    label = plain_text(button.label).replace("\n", " ") or button.value
    return Button(label=label[:MAX_LABEL_CHARS], value=button.value)
