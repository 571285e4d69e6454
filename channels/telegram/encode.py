"""What the host wants said, as the calls that say it on Telegram. Pure.

`sender.py` has the calls made in order. A text longer than a handful of messages goes as its beginning and a file
with the whole. Platform limits are Telegram's own words, 2026: text 4096, caption 1024, button 64 bytes, upload 50 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import PurePosixPath

from channels.channel import DeliveryFailed
from channels.markdown.render import cleaned, plain_text
from channels.markdown.telegram import CHUNK_UNITS, TelegramText, render_telegram
from channels.telegram.calls import ApiCall, OneFile, Rows, SendFiles, SendText
from channels.telegram.places import Place, parse_place
from protocol.ids import ChannelId
from protocol.message import Button, OutboundFile, OutboundMessage

MAX_UPLOAD_BYTES = 50_000_000
MAX_PHOTO_BYTES = 10_000_000
MAX_ALBUM = 10
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


def build_calls(channel_id: ChannelId, message: OutboundMessage, file_sizes: Sequence[int] = ()) -> tuple[ApiCall, ...]:
    """Return the calls that deliver the message, in order; none for an empty one. Raise DeliveryFailed.

    `file_sizes` are the bytes of the message's files, in their order.
    """
    place = parse_place(channel_id, message.chat)
    reply_to = int(message.reply_to) if message.reply_to and message.reply_to.isdecimal() else None
    rows = _button_rows(message.buttons)
    if message.file_path is None:
        return _text_calls(place, message.text, reply_to, rows)
    files = (OutboundFile(path=message.file_path, name=message.file_name), *message.more_files)
    return _file_calls(place, message.text, tuple(zip(files, file_sizes, strict=True)), reply_to, rows)


def preview_text(place: Place, markdown: str) -> TelegramText | None:
    """Return as much of a growing answer as one message shows; None while there is nothing to see."""
    return next(iter(_rendered(place, markdown)), None)


def _rendered(place: Place, markdown: str, limit_units: int = CHUNK_UNITS) -> tuple[TelegramText, ...]:
    return render_telegram(markdown, limit_units, rings_nobody=not place.is_private)


def _text_calls(place: Place, text: str, reply_to: int | None, rows: Rows) -> tuple[ApiCall, ...]:
    whole_limit = MAX_MESSAGES * 4096
    chunks = _rendered(place, text) if len(text) <= whole_limit else ()
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


def _long_text_calls(place: Place, text: str, reply_to: int | None, rows: Rows) -> tuple[ApiCall, ...]:
    beginning = _rendered(place, text[:4096], 3000)
    calls: list[ApiCall] = []
    if beginning:
        first = beginning[0]
        calls.append(SendText(place=place, text=f"{first.text}{CONTINUED}", entities=first.entities, reply_to=reply_to))
    whole = OneFile(name=FULL_TEXT_NAME, content=text.encode("utf-8", "replace"))
    calls.append(SendFiles(place=place, files=(whole,), button_rows=rows))
    return tuple(calls)


def _file_calls(
    place: Place, text: str, files: tuple[tuple[OutboundFile, int], ...], reply_to: int | None, rows: Rows
) -> tuple[ApiCall, ...]:
    """The text is the caption of the first files if it is short enough, else it goes before them. Buttons are under
    the last file, which then goes alone: Telegram has none under an album."""
    albums = [*_albums(files[:-1]), *_albums(files[-1:])] if rows else [*_albums(files)]
    captions = _rendered(place, text, CAPTION_UNITS)
    is_captioned = len(captions) == 1
    calls = list(() if is_captioned else _text_calls(place, text, reply_to, ()))
    for index, (album, as_photos) in enumerate(albums):
        caption = captions[0] if is_captioned and index == 0 else TelegramText(text="")
        calls.append(
            SendFiles(
                place=place,
                files=album,
                caption=caption.text,
                entities=caption.entities,
                as_photos=as_photos,
                reply_to=None if calls else reply_to,
                button_rows=rows if index == len(albums) - 1 else (),
            )
        )
    return tuple(calls)


def _albums(files: tuple[tuple[OutboundFile, int], ...]) -> Iterator[tuple[tuple[OneFile, ...], bool]]:
    """Yield the files in their order, in albums of one kind, and whether they are photos."""
    for as_photos, run in groupby((_checked(file, size) for file, size in files), key=lambda each: each[1]):
        same = [file for file, _ in run]
        for start in range(0, len(same), MAX_ALBUM):
            yield tuple(same[start : start + MAX_ALBUM]), as_photos


def _checked(file: OutboundFile, size: int) -> tuple[OneFile, bool]:
    name = safe_name(file.name or file.path)
    if size > MAX_UPLOAD_BYTES:
        reason = f"{name} has {size / 1e6:.0f} MB; Telegram takes 50 MB from a bot"
        raise DeliveryFailed(reason, permanent=True)
    as_photo = name.lower().endswith(_PHOTO_SUFFIXES) and size <= MAX_PHOTO_BYTES
    return OneFile(name=name, path=file.path), as_photo


def safe_name(name: str) -> str:
    """Return the last part of a name as a person may read it: no folders, no control or direction signs."""
    last = PurePosixPath(cleaned(name).replace("\\", "/").replace("\n", " ")).name.strip()
    return last[-120:] if last not in ("", ".", "..") else "file"


def _button_rows(buttons: tuple[Button, ...]) -> Rows:
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
