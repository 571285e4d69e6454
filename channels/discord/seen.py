"""How far each chat is known, kept in a file: what was said after that, while nobody listened, is fetched later.

Discord's ids grow with time, over all chats. Up to `floor` all chats of servers are known; a chat with an entry is
known up to that. Written behind: a host that dies fetches a few messages again, which their ids tell.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channels.discord.rooms import Room
from channels.kept_file import read_kept, write_kept

log = logging.getLogger(__name__)

MAX_DIRECT = 1000
"""Direct chats remembered; those longest silent go first."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    upto: int
    room: Room


class Seen:
    """The marks of one bot account."""

    def __init__(self, path: Path | None) -> None:
        """None: nothing is kept beyond this process."""
        self._path = path
        self._entries: dict[str, _Entry] = {}
        self._is_dirty = False
        self.floor: int | None = None
        """None: this account was never connected before."""

    def upto(self, channel: str) -> int:
        """Return the id up to which a chat is known."""
        entry = self._entries.get(channel)
        return entry.upto if entry else self.floor or 0

    def unlisted(self, listed: set[str]) -> list[Room]:
        """Return the rooms known from before that Discord lists no more, the liveliest first: direct chats, which it
        never lists, and threads that were archived."""
        entries = [entry for channel, entry in self._entries.items() if channel not in listed]
        return [entry.room for entry in sorted(entries, key=lambda entry: -entry.upto)]

    def note(self, room: Room, message: int) -> None:
        """Note that a chat is known up to a message."""
        if message > self.upto(room.channel):
            self._entries[room.channel] = _Entry(upto=message, room=room)
            self._is_dirty = True

    def pin(self, room: Room) -> None:
        """Have a chat stay known as far as it is, whatever becomes of the floor."""
        self._entries.setdefault(room.channel, _Entry(upto=self.upto(room.channel), room=room))

    def raise_floor(self, message: int, but: set[str]) -> None:
        """Note that all chats of servers are known up to there, except `but`: their entries stay as they are."""
        self.floor = max(self.floor or 0, message)
        gone = [
            channel
            for channel, entry in self._entries.items()
            if entry.room.guild and entry.upto <= self.floor and channel not in but
        ]
        direct = sorted((entry.upto, channel) for channel, entry in self._entries.items() if not entry.room.guild)
        for channel in (*gone, *(channel for _, channel in direct[: max(0, len(direct) - MAX_DIRECT)])):
            del self._entries[channel]
        self._is_dirty = True

    async def load(self) -> None:
        if self._path is not None:
            await asyncio.to_thread(self._load, self._path)

    async def keep(self) -> None:
        """Write what has changed since the last time."""
        if self._path is not None and self._is_dirty:
            self._is_dirty = False
            await asyncio.to_thread(
                write_kept, self._path, self._noted(), what="how far chats are known", action="discord_unkept"
            )

    def _noted(self) -> dict[str, object]:
        rows = [
            [entry.upto, entry.room.channel, entry.room.guild, entry.room.parent] for entry in self._entries.values()
        ]
        return {"floor": self.floor, "chats": rows}

    def _load(self, path: Path) -> None:
        try:
            kept: Any = read_kept(path)
            floor = None if kept["floor"] is None else int(kept["floor"])
            for upto, channel, guild, parent in kept["chats"]:
                room = Room(channel=str(int(channel)), guild=str(guild), parent=str(parent))
                self._entries[room.channel] = _Entry(upto=int(upto), room=room)
            self.floor = floor
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("how far chats are known is not known any more: %s", error, extra={"action": "discord_unseen"})
