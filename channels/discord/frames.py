"""Gateway events to what is stored of them: which say something to us, under which id, in which envelope. Pure.

`decode.py` reads the envelopes again. An event that Discord sends twice (after a resumed session, or from history) gets
the same id each time.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from channels.discord.rooms import Json, Room, Rooms

MAX_AUTHORS = 2000
"""Messages whose authors are remembered: a deletion does not say who had written."""
_SAID = frozenset({0, 19})
_CAME_OR_WENT = frozenset({1, 2})
_WELCOMED = 7
_IN_A_CHANNEL = frozenset(
    {
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "MESSAGE_DELETE_BULK",
        "MESSAGE_REACTION_ADD",
        "MESSAGE_REACTION_REMOVE",
        "INTERACTION_CREATE",
    }
)
_ABOUT_ROOMS = frozenset(
    {
        "READY",
        "GUILD_CREATE",
        "GUILD_UPDATE",
        "GUILD_DELETE",
        "GUILD_ROLE_CREATE",
        "GUILD_ROLE_UPDATE",
        "GUILD_MEMBER_ADD",
        "GUILD_MEMBER_REMOVE",
        "CHANNEL_CREATE",
        "CHANNEL_UPDATE",
        "CHANNEL_DELETE",
        "THREAD_CREATE",
        "THREAD_UPDATE",
        "THREAD_DELETE",
        "THREAD_LIST_SYNC",
    }
)
_COMMAND, _PRESS = 2, 3


def is_of_interest(kind: str) -> bool:
    """Whether an event may say something."""
    return kind in _IN_A_CHANNEL or kind in _ABOUT_ROOMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one event comes to."""

    room: Room
    message: int = 0
    """The new message's id: so far the chat is known. 0: it is about none."""
    event_id: str = ""
    raw: bytes = b""
    """Empty: nothing is to be stored, it is our own or says nothing."""


class Frames:
    """Reads the events of one bot, in order. Outlives its connections."""

    def __init__(self) -> None:
        self.rooms = Rooms()
        self.bot_id = ""
        self.hears_members = False
        """Joins come as events of their own: the server's greetings say nothing new."""
        self._session = ""
        self._authors: OrderedDict[str, str] = OrderedDict()
        """By message; empty: a bot's, this one's above all."""

    def room_wanted(self, kind: str, what: Json) -> str:
        """Return the channel that must be known before the event is read, empty if it is: a thread that was archived
        when the session began comes back without a word now and then."""
        if kind not in _IN_A_CHANNEL or not what.get("guild_id"):
            return ""
        channel = str(what.get("channel_id") or "")
        return "" if self.rooms.find(channel) else channel

    def read(self, kind: str, what: Json, sequence: int, at: str) -> Iterator[Heard]:
        """Return what an event says; `at`: when it came, ISO 8601."""
        if kind == "READY":
            self._session, self.bot_id = what["session_id"], what["user"]["id"]
            self.rooms.clear()
        self.rooms.note(kind, what, self.bot_id)
        if kind == "MESSAGE_DELETE_BULK":
            for message in what["ids"]:
                yield from self._read("MESSAGE_DELETE", {**what, "id": message}, sequence, at)
        else:
            yield from self._read(kind, what, sequence, at)

    def read_history(self, message: Json, room: Room, at: str) -> Iterator[Heard]:
        """Return what a message out of a chat's history says, as if it had come now."""
        what = {**message, "guild_id": room.guild} if room.guild else message
        yield from self._read("MESSAGE_CREATE", what, 0, at)

    def _read(self, kind: str, what: Json, sequence: int, at: str) -> Iterator[Heard]:
        match kind:
            case "MESSAGE_CREATE":
                self._remember(what["id"], "" if _is_bots(what) else what["author"]["id"])
                event_id = what["id"] if self._says(what) else ""
                yield self._heard(kind, what, event_id, at, message=int(what["id"]))
            case "MESSAGE_UPDATE":
                is_edit = bool(what.get("edited_timestamp")) and what.get("type") in _SAID and not _is_bots(what)
                if is_edit:
                    yield self._heard(kind, what, f"e:{what['id']}:{what['edited_timestamp']}", at)
            case "MESSAGE_DELETE":
                author = self._authors.get(what["id"])
                if author != "":
                    yield self._heard(kind, what, f"d:{what['id']}", at, author=author or "")
            case "MESSAGE_REACTION_ADD" | "MESSAGE_REACTION_REMOVE":
                if what["user_id"] != self.bot_id:
                    yield self._heard(kind, what, f"r:{self._session}:{sequence}", at)
            case "INTERACTION_CREATE":
                if what["type"] in (_COMMAND, _PRESS):
                    yield self._heard(kind, what, what["id"], at)
            case "GUILD_MEMBER_ADD" | "GUILD_MEMBER_REMOVE":
                home = self.rooms.home(what["guild_id"])
                if home and not what["user"].get("bot"):
                    yield self._heard(kind, what, f"m:{self._session}:{sequence}", at, home=home)

    def _says(self, said: Json) -> bool:
        if said["type"] == _WELCOMED:
            return not self.hears_members and not said["author"].get("bot")
        return said["type"] in _CAME_OR_WENT or (said["type"] in _SAID and not _is_bots(said))

    def _heard(
        self, kind: str, what: Json, event_id: str, at: str, *, message: int = 0, author: str = "", home: str = ""
    ) -> Heard:
        channel, guild = str(what.get("channel_id") or home), str(what.get("guild_id") or "")
        room = self.rooms.find(channel) or Room(channel=channel, guild=guild)
        if not event_id:
            return Heard(room=room, message=message)
        envelope = {
            "bot": {"id": self.bot_id, "roles": self.rooms.roles(guild)},
            "event_id": event_id,
            "at": at,
            "parent": room.parent,
            "author": author,
            "home": home,
            "t": kind,
            "d": what,
        }
        return Heard(room=room, message=message, event_id=event_id, raw=json.dumps(envelope).encode())

    def _remember(self, message: str, author: str) -> None:
        self._authors[message] = author
        if len(self._authors) > MAX_AUTHORS:
            self._authors.popitem(last=False)


def _is_bots(said: Json) -> bool:
    return bool(said["author"].get("bot") or said.get("webhook_id"))
