"""Each platform with a crowd: its twin, rules of quantity and all, and as many people as a test wants, each in a direct
chat with the bot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from channels.channel import Channel
from channels.discord.channel import DiscordChannel
from channels.discord.timings import Timings as DiscordTimings
from channels.slack.channel import SlackChannel
from channels.slack.timings import Timings as SlackTimings
from channels.telegram.channel import TelegramChannel
from channels.telegram.timings import Timings as TelegramTimings
from protocol.ids import ChannelId, ChatKey, PersonKey
from tests.channels.conformance_support import Json
from tests.channels.discord.support import reads as read_discord
from tests.channels.slack.support import SECRET as SLACK_SECRET
from tests.channels.slack.support import read_text as read_slack
from twins.clock import Clock
from twins.discord.seed import user as discord_user
from twins.discord.server import DiscordTwin
from twins.discord.world import DEFAULT_TOKEN as DISCORD_TOKEN
from twins.slack.seed import person_info
from twins.slack.server import SlackTwin
from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN as TELEGRAM_TOKEN

FetchSecret = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Somebody's direct chat with the bot."""

    person: str | int
    chat: str | int
    chat_key: ChatKey
    person_key: PersonKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """A twin that runs, and who is in it."""

    url: str
    api: str
    seats: tuple[Seat, ...]


class Crowded(Protocol):
    """A platform at work with many."""

    @property
    def name(self) -> ChannelId: ...

    @property
    def has_key(self) -> bool:
        """Whether the platform takes a key, or can be asked, so that nothing is said twice."""

    @property
    def weather(self) -> tuple[tuple[Json, ...], ...]:
        """What may go wrong at any moment: one fault, or some that come together."""

    def hall(self, seats: int, clock: Clock) -> AbstractAsyncContextManager[Hall]:
        """Serve a twin with its published limits."""

    def build(self, url: str, kept: Path) -> Channel:
        """Return a channel as the host has it, but that it does not wait long for a connection."""

    def reads(self, message: Json) -> str: ...


class TelegramCrowd:
    name = ChannelId("telegram")
    has_key = False
    weather: tuple[tuple[Json, ...], ...] = (
        ({"kind": "error", "method": "sendmessage"},),
        ({"kind": "reset", "method": "sendmessage"},),
        ({"kind": "lost_answer", "method": "sendmessage"},),
        ({"kind": "garbage", "method": "sendmessage"},),
        ({"kind": "flood", "method": "sendmessage", "retry_after": 2},),
        ({"kind": "delay", "method": "sendmessage", "delay_s": 0.2},),
        ({"kind": "error", "method": "getupdates", "count": 2},),
        ({"kind": "reset", "method": "getupdates"},),
        ({"kind": "lost_answer", "method": "getupdates"},),
        ({"kind": "garbage", "method": "getupdates"},),
        ({"kind": "conflict", "method": "getupdates"},),
    )

    @asynccontextmanager
    async def hall(self, seats: int, clock: Clock) -> AsyncIterator[Hall]:
        twin = TelegramTwin(clock=clock, limits=True)
        people = range(5001, 5001 + seats)
        for number in people:
            twin.world.add_person(number, f"Person {number}")
        async with twin.serve() as address:
            yield Hall(url=address, api=address, seats=tuple(_seat("telegram", number, number) for number in people))

    def build(self, url: str, kept: Path) -> Channel:
        timings = TelegramTimings(longest_backoff_s=1.0, token_retry_s=2.0)
        return TelegramChannel(self.name, _secret(TELEGRAM_TOKEN), url, timings, kept=kept)

    def reads(self, message: Json) -> str:
        return str(message["text"])


class DiscordCrowd:
    name = ChannelId("discord")
    has_key = True
    weather: tuple[tuple[Json, ...], ...] = (
        ({"kind": "error", "method": "create_message"},),
        ({"kind": "reset", "method": "create_message"},),
        ({"kind": "lost_answer", "method": "create_message"},),
        ({"kind": "flood", "method": "create_message", "retry_after": 2},),
        ({"kind": "delay", "method": "create_message", "delay_s": 0.2},),
        ({"kind": "duplicate", "method": "message_create"},),
        ({"kind": "close_socket", "code": 4000},),
        ({"kind": "close_socket", "code": 1001},),
        ({"kind": "close_socket", "code": 4009},),
        ({"kind": "no_resume", "method": "gateway"}, {"kind": "close_socket", "code": 4000}),
    )

    @asynccontextmanager
    async def hall(self, seats: int, clock: Clock) -> AsyncIterator[Hall]:
        twin = DiscordTwin(clock=clock)
        found = []
        for number in range(seats):
            person = str(210_000_000_000_000_000 + number)
            twin.world.users[person] = discord_user(person, f"person{number}", f"Person {number}")
            found.append(_seat("discord", person, twin.world.direct_chat(person).id))
        async with twin.serve() as address:
            yield Hall(url=twin.url, api=address, seats=tuple(found))

    def build(self, url: str, kept: Path) -> Channel:
        timings = DiscordTimings(rebuild_after_s=20.0, longest_backoff_s=1.0, guilds_s=2.0, seen_every_s=0.5)
        return DiscordChannel(self.name, _secret(DISCORD_TOKEN), url, timings, kept=kept)

    def reads(self, message: Json) -> str:
        return read_discord(message)


class SlackCrowd:
    name = ChannelId("slack")
    has_key = True
    weather: tuple[tuple[Json, ...], ...] = (
        ({"kind": "error", "method": "chat.postmessage"},),
        ({"kind": "reset", "method": "chat.postmessage"},),
        ({"kind": "lost_answer", "method": "chat.postmessage"},),
        ({"kind": "garbage", "method": "chat.postmessage"},),
        ({"kind": "flood", "method": "chat.postmessage", "retry_after": 2},),
        ({"kind": "delay", "method": "chat.postmessage", "delay_s": 0.2},),
        ({"kind": "duplicate"},),
        ({"kind": "close_socket", "code": 1000},),
        ({"kind": "close_socket", "code": 4000},),
        ({"kind": "refuse_socket"}, {"kind": "close_socket", "code": 1000}),
    )

    @asynccontextmanager
    async def hall(self, seats: int, clock: Clock) -> AsyncIterator[Hall]:
        twin = SlackTwin(clock=clock)
        found = []
        for number in range(seats):
            person = f"U1CROWD{number:02d}"
            twin.world.people[person] = person_info(person, f"Person{number}")
            found.append(_seat("slack", person, twin.world.direct_with(person).id))
        async with twin.serve() as address:
            yield Hall(url=address, api=address, seats=tuple(found))

    def build(self, url: str, kept: Path) -> Channel:
        timings = replace(SlackTimings(), longest_backoff_s=1.0, seen_every_s=0.5)
        return SlackChannel(self.name, _secret(SLACK_SECRET), url, timings, kept=kept)

    def reads(self, message: Json) -> str:
        return read_slack(message)


CROWDS: tuple[Crowded, ...] = (TelegramCrowd(), DiscordCrowd(), SlackCrowd())


def _seat(channel: str, person: Any, chat: Any) -> Seat:
    return Seat(
        person=person,
        chat=chat,
        chat_key=ChatKey(f"{channel}:{chat}"),
        person_key=PersonKey(f"{channel}:{person}"),
    )


def _secret(secret: str) -> FetchSecret:
    async def fetch() -> str:
        return secret

    return fetch
