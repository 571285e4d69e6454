"""The workspace: people, conversations with their messages, files; and the one door through which events go out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twins.clock import Clock
from twins.event_log import EventLog
from twins.slack.refusal import Refusal
from twins.slack.tokens import Tokens

Json = dict[str, Any]

TEAM_ID = "T0TWIN001"
APP_ID = "A0NIGHT01"
BOT_ID = "B0NIGHT01"
BOT_USER_ID = "U0NIGHT01"
BOT_NAME = "nightyard_bot"
DOMAIN = "twin"


@dataclass(slots=True, kw_only=True)
class Conversation:
    info: Json
    members: list[str]
    messages: dict[str, Json] = field(default_factory=dict)
    """By ts, oldest first, as the platform would show them; `metadata` is inside."""
    ephemerals: list[tuple[str, Json]] = field(default_factory=list)
    """Whom it was shown to, and what."""
    statuses: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Thread ts → the assistant's status there, and when it goes (twin seconds)."""
    pins: list[Json] = field(default_factory=list)
    bookmarks: list[Json] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.info["id"])

    @property
    def kind(self) -> str:
        """`im`, `mpim`, `group` (private) or `channel`: what events call channel_type."""
        for flag, kind in (("is_im", "im"), ("is_mpim", "mpim"), ("is_private", "group")):
            if self.info.get(flag):
                return kind
        return "channel"

    def message(self, ts: str, error: str = "message_not_found") -> Json:
        found = self.messages.get(ts)
        if found is None:
            raise Refusal(error)
        return found

    def replies(self, ts: str) -> list[Json]:
        """Return what was answered in a thread, without its first message."""
        return [message for message in self.messages.values() if message.get("thread_ts") == ts != message["ts"]]


@dataclass(slots=True, kw_only=True)
class File:
    info: Json
    content: bytes
    is_complete: bool = True


class World:
    def __init__(self, clock: Clock, log: EventLog, people: list[Json]) -> None:
        self.clock = clock
        self.log = log
        self.address = ""
        """Where the twin serves; set when it does."""
        self.team: Json = {"id": TEAM_ID, "name": "Twin"}
        self.edit_window_s: float | None = None
        """How long a message may be edited; None: for ever, as in a workspace without that rule."""
        self.history_page: int | None = None
        """The most that one call of history gives; None: the usual 999; 15 for apps sold outside the directory."""
        self.people: dict[str, Json] = {str(person["id"]): person for person in people}
        self.tokens = Tokens(BOT_USER_ID, [user_id for user_id in self.people if user_id != BOT_USER_ID])
        self.conversations: dict[str, Conversation] = {}
        self.files: dict[str, File] = {}
        self.scheduled: list[Json] = []
        self.emoji: dict[str, str] = {}
        self.streams: dict[tuple[str, str], str] = {}
        """(Channel, ts) of what still grows → its Markdown so far."""
        self.calls: dict[str, Json] = {}
        self.canvases: dict[str, list[Json]] = {}
        """Canvas → its sections in order."""
        self.presence: dict[str, str] = {}
        self.usergroups: dict[str, Json] = {}
        self.views: dict[str, Json] = {}
        """Open modals by id."""
        self.homes: dict[str, Json] = {}
        """Who → what the app's home shows them."""
        self.triggers: dict[str, float] = {}
        """trigger_id → until when it is good (twin seconds); 0 when it was used."""
        self.publish: Callable[[Json], None]
        """Takes each event that the app is to hear of; the server sets it."""
        self.open_socket: Callable[[], str]
        """Returns the address of a new socket; the server sets it."""
        self.later: Callable[[float, Callable[[], None]], None]
        """Does something after so many of the twin's seconds; the server sets it."""
        self._numbers = itertools.count(1)
        self._last_ts = 0

    @property
    def url(self) -> str:
        """The workspace's own address, as auth.test says it."""
        return f"https://{DOMAIN}.slack.com/"

    def new_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers):08X}"

    def new_ts(self) -> str:
        """Return a new message's ts: the twin's time, never the same twice."""
        self._last_ts = max(int(self.clock.now() * 1_000_000), self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def add(self, conversation: Conversation) -> Conversation:
        self.conversations[conversation.id] = conversation
        return conversation

    def conversation(self, name: str, error: str = "channel_not_found") -> Conversation:
        """Return a conversation by id, by name, or by the person that it is a direct one with."""
        if found := self.conversations.get(name):
            return found
        bare = name.removeprefix("#").lower()
        for conversation in self.conversations.values():
            if bare and bare == conversation.info.get("name"):
                return conversation
            if conversation.info.get("user") == name:
                return conversation
        raise Refusal(error)

    def direct_with(self, user_id: str) -> Conversation:
        """Return the direct conversation of the bot with that person, opened if there was none."""
        for conversation in self.conversations.values():
            if conversation.info.get("user") == user_id and BOT_USER_ID in conversation.members:
                return conversation
        info = {"id": self.new_id("D"), "created": int(self.clock.now()), "is_im": True, "user": user_id}
        info |= {"is_archived": False, "is_org_shared": False, "context_team_id": TEAM_ID, "is_user_deleted": False}
        return self.add(Conversation(info=info, members=[user_id, BOT_USER_ID]))

    def person(self, name: str, error: str = "user_not_found") -> Json:
        """Return a person by id or, in any case, by name."""
        for person in self.people.values():
            if name == person["id"] or name.lower() in (person["name"].lower(), person["real_name"].lower()):
                return person
        raise Refusal(error)

    def sees(self, user_id: str, conversation: Conversation) -> bool:
        """Return whether that person or bot knows of the conversation at all."""
        return user_id in conversation.members or conversation.kind == "channel"
