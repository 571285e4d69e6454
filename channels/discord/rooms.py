"""What the gateway has told about servers, channels and threads: where a thread hangs, which role is the bot's own, how
far each channel goes. Pure.

discord.py keeps all of it too, as objects; but what it knows may be ahead of the event that is read just now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_TALKED_IN = frozenset({0, 2, 5, 13})
"""Kinds of channels with messages of their own: text, voice, announcements, stage. A forum has only threads."""
_THREADS = frozenset({10, 11, 12})


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A channel or a thread of a server; a direct chat has no `guild`."""

    channel: str
    guild: str = ""
    parent: str = ""
    """The channel that a thread hangs in; empty: it is no thread."""
    last_message: int = 0


class Rooms:
    """The rooms of one connection."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._homes: dict[str, str] = {}
        self._roles: dict[str, set[str]] = {}

    def find(self, channel: str) -> Room | None:
        return self._rooms.get(channel)

    def listed(self) -> Iterator[Room]:
        return iter(self._rooms.values())

    def add(self, room: Room) -> None:
        self._rooms[room.channel] = room

    def of_guild(self, guild: str) -> list[Room]:
        return [room for room in self._rooms.values() if room.guild == guild]

    def roles(self, guild: str) -> list[str]:
        """Return the roles that are the bot itself: Discord makes one of its name in each server."""
        return sorted(self._roles.get(guild, ()))

    def home(self, guild: str) -> str:
        """Return the channel where a server says who came: its system channel, else its first one; empty: none."""
        first = min((int(room.channel) for room in self.of_guild(guild) if not room.parent), default="")
        return self._homes.get(guild) or str(first)

    def clear(self) -> None:
        self._rooms.clear()
        self._homes.clear()
        self._roles.clear()

    def note(self, kind: str, what: Json, bot_id: str) -> None:
        """Take in a gateway event; those that say nothing of rooms are passed over."""
        match kind:
            case "GUILD_CREATE":
                self._note_guild(what, bot_id)
            case "GUILD_UPDATE":
                self._homes[what["id"]] = what.get("system_channel_id") or ""
            case "GUILD_DELETE":
                self._rooms = {key: room for key, room in self._rooms.items() if room.guild != what["id"]}
            case "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE":
                self._note_role(what["guild_id"], what["role"], bot_id)
            case "CHANNEL_CREATE" | "CHANNEL_UPDATE" | "THREAD_CREATE" | "THREAD_UPDATE":
                self.note_room(what, what.get("guild_id") or "")
            case "THREAD_LIST_SYNC":
                for thread in what["threads"]:
                    self.note_room(thread, what["guild_id"])
            case "CHANNEL_DELETE" | "THREAD_DELETE":
                self._rooms.pop(what["id"], None)

    def note_room(self, info: Json, guild: str) -> None:
        """Take in a channel or thread as Discord describes it."""
        kind = info.get("type")
        if guild and kind in _TALKED_IN | _THREADS:
            self._rooms[info["id"]] = Room(
                channel=info["id"],
                guild=guild,
                parent=info["parent_id"] if kind in _THREADS else "",
                last_message=int(info.get("last_message_id") or 0),
            )

    def _note_guild(self, guild: Json, bot_id: str) -> None:
        for info in (*guild.get("channels", ()), *guild.get("threads", ())):
            self.note_room(info, guild["id"])
        for role in guild.get("roles", ()):
            self._note_role(guild["id"], role, bot_id)
        self._homes[guild["id"]] = guild.get("system_channel_id") or ""

    def _note_role(self, guild: str, role: Json, bot_id: str) -> None:
        if (role.get("tags") or {}).get("bot_id") == bot_id:
            self._roles.setdefault(guild, set()).add(role["id"])
