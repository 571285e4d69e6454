"""The calls by which something is said on Telegram, and their simpler forms. Pure.

`encode.py` builds them, `sender.py` has them made in order, `client.py` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from channels.markdown.telegram import Entity
from channels.telegram.places import Place
from protocol.message import Button

Rows = tuple[tuple[Button, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendText:
    place: Place
    text: str
    entities: tuple[Entity, ...] = ()
    reply_to: int | None = None
    button_rows: Rows = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OneFile:
    name: str
    path: str = ""
    """A file of the host's; empty: `content` is the file."""
    content: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFiles:
    """One file, or two to ten as an album, all of one kind."""

    place: Place
    files: tuple[OneFile, ...]
    caption: str = ""
    """Under the first photo, which shows it under them all, or under the last document."""
    entities: tuple[Entity, ...] = ()
    as_photos: bool = False
    reply_to: int | None = None
    button_rows: Rows = ()
    """Only under one file: Telegram has none under an album."""

    @property
    def captioned(self) -> int:
        """Which of the files has the caption."""
        return 0 if self.as_photos else len(self.files) - 1


ApiCall = SendText | SendFiles


def simpler_call(call: ApiCall, refusal: str) -> ApiCall | None:
    """Return the call in a form that Telegram may take after it refused this one, None if there is none."""
    words = refusal.lower()
    if call.entities and "entit" in words and "too large" not in words:
        return replace(call, entities=())
    if isinstance(call, SendFiles) and call.as_photos and ("photo" in words or "image" in words):
        return replace(call, as_photos=False)
    return None
