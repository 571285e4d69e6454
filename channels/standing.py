"""Messages of ours that must not outlive this host, noted in a file: those of one that died are taken away by the next.

What cannot be read is as if nothing was noted: a message may then stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Generic

from channels.kept_file import read_kept, write_kept
from channels.rounds import Place
from protocol.ids import PlatformMessageId


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
            noted = [[self._name(place), message] for place, message in standing()]
            await asyncio.to_thread(
                write_kept, self._path, noted, what="what stands in chats", action="standing_unkept"
            )

    async def left(self) -> list[tuple[Place, PlatformMessageId]]:
        """Return what an earlier host has left standing."""
        if self._path is None:
            return []
        return await asyncio.to_thread(self._load, self._path)

    def _load(self, path: Path) -> list[tuple[Place, PlatformMessageId]]:
        try:
            noted: Any = read_kept(path)
            return [(self._place(str(name)), PlatformMessageId(str(message))) for name, message in noted]
        except (OSError, ValueError, TypeError):
            return []
