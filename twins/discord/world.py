"""What there is in the twin: one server with its people, roles and channels, direct chats, one bot. It changes here and
in `saying.py`; whoever listens (the gateway) is told of each change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twins.clock import Clock
from twins.discord.interactions import Interactions
from twins.discord.permissions import IN_A_DM, Permission, permissions_in
from twins.discord.refusal import Refusal
from twins.discord.snowflake import Snowflakes, as_timestamp
from twins.event_log import EventLog

Json = dict[str, Any]

DEFAULT_TOKEN = "MTAwMDAwMDAwMDAwMDAwMDAx.twin.nightyard-discord-twin"
TYPING_S = 10.0

DM, TEXT, CATEGORY, NEWS_THREAD, PUBLIC_THREAD, PRIVATE_THREAD = 1, 0, 4, 10, 11, 12
THREADS = (NEWS_THREAD, PUBLIC_THREAD, PRIVATE_THREAD)
EPHEMERAL = 64


@dataclass(slots=True, kw_only=True)
class Message:
    body: Json
    """As the API shows it, but for its reactions."""
    reactions: dict[str, list[str]] = field(default_factory=dict)
    """Who reacted, by the emoji as it stands in a path: `👍` or `name:id`."""
    only_for: str | None = None
    """Ephemeral: the one person who sees it."""
    pinned_at: str = ""

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def author_id(self) -> str:
        return str(self.body["author"]["id"])


@dataclass(slots=True, kw_only=True)
class Channel:
    info: Json
    """As the API shows it, but for what is counted: `last_message_id` and a thread's counts."""
    messages: dict[str, Message] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)
    """Who is in a direct chat or has joined a thread."""
    typing_until: dict[str, float] = field(default_factory=dict)
    nonces: dict[str, tuple[float, str]] = field(default_factory=dict)
    """When a nonce was used, and for which message."""
    opened_at: float = 0.0
    """When a thread was begun or opened again."""
    said_at: dict[str, float] = field(default_factory=dict)
    """When a person last said something here: for slow mode."""
    old_edits: list[float] = field(default_factory=list)
    """When messages older than an hour were edited."""
    sent: int = 0
    last_message_id: str | None = None

    @property
    def id(self) -> str:
        return str(self.info["id"])

    @property
    def guild_id(self) -> str | None:
        return self.info.get("guild_id")

    @property
    def is_thread(self) -> bool:
        return self.info["type"] in THREADS

    @property
    def is_direct(self) -> bool:
        return bool(self.info["type"] == DM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A gateway event before anybody's view of it."""

    name: str
    data: Json
    channel: Channel | None = None
    message: Message | None = None
    to_bot: bool = True
    """False: for the log alone (a chat the bot cannot see)."""


@dataclass(slots=True, kw_only=True)
class Upload:
    name: str
    content: bytes
    media_type: str = "application/octet-stream"


@dataclass(slots=True)
class World:
    clock: Clock
    log: EventLog
    token: str = DEFAULT_TOKEN
    users: dict[str, Json] = field(default_factory=dict)
    bot_id: str = ""
    application_id: str = ""
    privileged_intents: int = 0
    """Which privileged intents the portal has switched on for the application."""
    guild: Json = field(default_factory=dict)
    roles: dict[str, Json] = field(default_factory=dict)
    members: dict[str, Json] = field(default_factory=dict)
    """By user id: the member without its user."""
    channels: dict[str, Channel] = field(default_factory=dict)
    commands: dict[str, Json] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    refuses_dms: set[str] = field(default_factory=set)
    """People who take no direct messages from the bot."""
    interactions: Interactions = field(default_factory=Interactions)
    snowflakes: Snowflakes = field(default_factory=Snowflakes)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)

    @property
    def now(self) -> float:
        return self.clock.now()

    @property
    def guild_id(self) -> str:
        return str(self.guild["id"])

    def mint(self) -> str:
        return self.snowflakes.mint(self.now)

    def timestamp(self) -> str:
        return as_timestamp(self.now)

    def channel(self, channel_id: str) -> Channel:
        """Return a channel or thread; raise Refusal 10003 for an unknown one."""
        if channel_id not in self.channels:
            raise Refusal(10003)
        return self.channels[channel_id]

    def message(self, channel: Channel, message_id: str) -> Message:
        found = channel.messages.get(message_id)
        if found is None or found.only_for is not None:
            raise Refusal(10008)
        return found

    def user(self, user_id: str) -> Json:
        if user_id not in self.users:
            raise Refusal(10013)
        return self.users[user_id]

    def parent_of(self, channel: Channel) -> Channel:
        """Return where a thread hangs; any other channel is its own."""
        return self.channels[channel.info["parent_id"]] if channel.is_thread else channel

    def permissions(self, user_id: str, channel: Channel) -> int:
        """Return what somebody may do there."""
        if channel.is_direct:
            return int(IN_A_DM) if user_id in channel.people else 0
        if user_id not in self.members:
            return 0
        held = [self.guild_id, *self.members[user_id]["roles"]]
        return permissions_in(
            owner=user_id == self.guild["owner_id"],
            roles=[self.roles[role] for role in held if role in self.roles],
            own_id=user_id,
            overwrites=self.parent_of(channel).info.get("permission_overwrites", []),
            guild_id=self.guild_id,
        )

    def sees(self, user_id: str, channel: Channel) -> bool:
        if channel.info["type"] == PRIVATE_THREAD and user_id not in channel.people:
            return bool(self.permissions(user_id, channel) & Permission.MANAGE_THREADS)
        return bool(self.permissions(user_id, channel) & Permission.VIEW_CHANNEL)

    def direct_chat(self, user_id: str) -> Channel:
        """Return the bot's direct chat with somebody, made if there was none."""
        for channel in self.channels.values():
            if channel.is_direct and user_id in channel.people:
                return channel
        self.user(user_id)
        info: Json = {"id": self.mint(), "type": DM, "flags": 0}
        channel = Channel(info=info, people=[self.bot_id, user_id])
        self.channels[channel.id] = channel
        return channel

    def add_channel(self, info: Json, **more: Any) -> Channel:
        channel = Channel(info=info, **more)
        self.channels[channel.id] = channel
        return channel

    def publish(
        self,
        name: str,
        data: Json,
        *,
        channel: Channel | None = None,
        message: Message | None = None,
        always: bool = False,
    ) -> None:
        """Tell whoever listens, and the log, what happened; `always`: the bot too where it does not see the chat."""
        seen = always or channel is None or self.sees(self.bot_id, channel)
        event = Event(name=name, data=data, channel=channel, message=message, to_bot=seen)
        self.log.note(name.lower(), data=data)
        for listener in self.listeners:
            listener(event)
