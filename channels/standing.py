"""Messages of ours that must not outlive this host, noted in a file: those of one that died are taken away by the next.

The file is written whole, beside and then in place of the old one. What cannot be read is as if nothing was noted: a
message may then stay.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic

from channels.rounds import Place
from protocol.ids import PlatformMessageId

log = logging.getLogger(__name__)


class Standing(Generic[Place]):
    """The file of one account."""

    def __init__(self, path: Path | None, name: Callable[[Place], str], place: Callable[[str], Place]) -> None:
        """`name` and `place` turn a place into a text and back; None for `path`: nothing is noted."""
        self._path = path
        self._name = name
        self._place = place
        self._lock = asyncio.Lock()

    async def keep(self, standing: Callable[[], Iterable[tuple[Place, PlatformMessageId]]]) -> None:
        """Note what stands now; what is asked for while an earlier note is written is written after it."""
        if self._path is None:
            return
        async with self._lock:
            text = json.dumps([[self._name(place), message] for place, message in standing()])
            await asyncio.to_thread(_write, self._path, text)

    async def left(self) -> list[tuple[Place, PlatformMessageId]]:
        """Return what an earlier host has left standing."""
        if self._path is None:
            return []
        return await asyncio.to_thread(self._load, self._path)

    def _load(self, path: Path) -> list[tuple[Place, PlatformMessageId]]:
        try:
            noted = json.loads(path.read_text("utf-8"))
            return [(self._place(str(name)), PlatformMessageId(str(message))) for name, message in noted]
        except (OSError, ValueError, TypeError):
            return []


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_suffix(f"{path.suffix}.part")
        part.write_text(text, "utf-8")
        part.replace(path)
    except OSError as error:
        log.warning("what stands in chats was not noted: %s", error.strerror, extra={"action": "standing_unkept"})
