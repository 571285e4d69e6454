"""An OutboundMessage as what a terminal shows. Pure. Markdown stays as it is: the screen renders it."""

from __future__ import annotations

import json

from protocol.codec import ShapeError, from_json, to_json
from protocol.control import Choice, Shown
from protocol.message import OutboundMessage
from protocol.record import Record


def encode_message(message: OutboundMessage) -> Shown:
    buttons = tuple(Choice(label=button.label, value=button.value) for button in message.buttons)
    if message.file_path is not None:
        name_and_caption = " – ".join(part for part in (message.file_name, message.text) if part)
        return Shown(kind="file", text=name_and_caption, path=message.file_path, buttons=buttons)
    return Shown(kind="message", text=message.text, buttons=buttons)


class Kept(Record):
    """A message that waits for a terminal."""

    shown: Shown
    name: str = ""
    """As its receipt has it."""


def encode_kept(kept: Kept) -> bytes:
    """Return the line that keeps it: JSON has no raw line ends."""
    return json.dumps(to_json(kept), ensure_ascii=True).encode("ascii")


def decode_kept(line: bytes) -> Kept | None:
    """Return what a line keeps, also one of an earlier version, without a name; None for one that a crash cut short
    (its message is delivered again)."""
    try:
        found = json.loads(line)
        is_named = isinstance(found, dict) and "shown" in found
        return from_json(Kept, found) if is_named else Kept(shown=from_json(Shown, found))
    except (ShapeError, ValueError):
        return None
