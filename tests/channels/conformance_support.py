"""What the conformance suite stands on: a platform with its twin, a person's phone, an inbox that keeps, an outbox."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from channels.channel import Channel, DeliveryFailed
from protocol.ids import ChannelId, ChatKey
from protocol.message import InboundMessage, OutboundMessage, Receipt

PATIENCE_S = 20.0
"""For what should come; a wrong channel is found out by a test that ends here."""
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A twin that runs."""

    url: str
    """As `channels.<name>.url` in the settings has it."""
    api: str
    """Where the user's side is."""
    secret: str
    """What the vault holds for the channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A chat, in the twin's words and in ours."""

    chat: str | int
    key: ChatKey
    thread: str | int | None = None

    def where(self) -> Json:
        return {"chat": self.chat} if self.thread is None else {"chat": self.chat, "thread": self.thread}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a platform says of itself to be tested."""

    channel_id: ChannelId
    anna: str | int
    """The twin's id of the person who owns the installation; alone with the bot in `direct`."""
    ben: str | int
    direct: Room
    second_direct: Room
    """Ben's."""
    many: Room
    mention: str
    """How a person writes the bot's name."""
    send_method: str
    """The twin's name of the call by which a text is sent."""
    receive_methods: tuple[str, ...]
    """The calls by which a client connects: counted to see that nothing hurries."""
    losses: tuple[tuple[Json, ...], ...]
    """Faults, together, after which a client must come back by itself; a count below zero lasts till it is cleared."""
    duplicate: Json
    """The fault by which an event comes twice."""
    message_chars: int
    """More than this no message of the platform's holds."""
    emoji: str = "👍"
    """That one, as a person of this platform gives it."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Tests (by their names) of what the platform cannot do, and why."""


class Platform(Protocol):
    """A platform to be tested: what is tested are the four files of its folder."""

    @property
    def facts(self) -> Facts: ...

    def serve(self) -> AbstractAsyncContextManager[Served]:
        """Run a twin whose rules of quantity do not slow down what is not about them."""

    def build(self, fetch_secret: Callable[[], Awaitable[str]], url: str, kept: Path, token_retry_s: float) -> Channel:
        """Return a channel with short times."""

    def reads(self, message: Json) -> str:
        """Return the words that a person reads in a message of the twin's."""

    async def replace_token(self, phone: Phone, secret: str) -> str:
        """Have the platform take another token than the vault's, and return the vault's new secret."""

    async def open_thread(self, phone: Phone) -> Room:
        """Return a thread or topic in `many`."""

    async def forward(self, phone: Phone, text: str) -> None:
        """Have Anna pass on in `direct` what Ben said."""


class Inbox:
    """Stores each event once, in the order of its coming. `refuse`: it fails; `gate`: it takes its time."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.offered: list[str] = []
        self.refuse: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Condition()

    async def accept(self, channel_id: ChannelId, event_id: str, raw: bytes) -> None:
        del channel_id
        await self._note(lambda: self.offered.append(event_id))
        await self.gate.wait()
        if self.refuse is not None:
            raise self.refuse
        await self._note(lambda: self.stored.setdefault(event_id, raw))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)

    async def _note(self, change: Callable[[], object]) -> None:
        async with self._changed:
            change()
            self._changed.notify_all()


class Phone:
    """The user's side of a twin: the same verbs on every platform."""

    def __init__(self, http: httpx.AsyncClient, anna: str | int) -> None:
        self._http = http
        self._anna = anna
        self._newest = 0
        """The number of the newest event that was read."""

    async def post(self, verb: str, **body: Any) -> Any:
        answer = await self._http.post(f"/twin/{verb}", json={"person": self._anna, **body})
        assert answer.status_code == 200, f"{verb}: {answer.text}"
        return answer.json()

    async def get(self, what: str, **query: Any) -> Any:
        answer = await self._http.get(f"/twin/{what}", params=query)
        assert answer.status_code == 200, f"{what}: {answer.text}"
        return answer.json()

    async def type(self, text: str, room: Room, **body: Any) -> str:
        """Return the id of the (last) message."""
        return str((await self.post("type", text=text, **room.where(), **body))["message_ids"][-1])

    async def upload(self, name: str, content: bytes, room: Room, **body: Any) -> None:
        await self.post("upload", name=name, content=base64.b64encode(content).decode(), **room.where(), **body)

    async def clear_faults(self) -> None:
        assert (await self._http.delete("/twin/fault")).status_code == 200

    async def faults_hit(self, within_s: float = PATIENCE_S) -> Mapping[str, int]:
        """Return how often each kind has hit, as soon as all that is prepared has; at the latest after a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while (await self.get("fault"))["prepared"]:
                    await self.next_event(self._newest, wait_s=0.2)
        return dict((await self.get("fault"))["struck"])

    async def sees(self, room: Room) -> list[Json]:
        """Return all messages of the bot's that stand there now, oldest first, each with its neutral part."""
        seen = await self.get("chat", **room.where())
        return [message for message in seen["messages"] if message["is_bot"]]

    async def chat(self, room: Room) -> Json:
        return dict(await self.get("chat", **room.where()))

    async def until_seen(self, room: Room, holds: Callable[[list[Json]], bool]) -> list[Json]:
        """Return the bot's messages as soon as something holds of them; each event of the twin is a look."""
        after = 0
        async with asyncio.timeout(PATIENCE_S):
            while not holds(seen := await self.sees(room)):
                after = await self.next_event(after)
        return seen

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when something holds of the channel; looked at again and again, since a channel says nothing."""
        after = 0
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                after = await self.next_event(after, wait_s=0.02)

    async def calls(self, method: str) -> list[Json]:
        log = await self.get("log", event="call")
        return [entry for entry in log["events"] if str(entry["method"]).lower() == method.lower()]

    async def last_event(self) -> int:
        await self.next_event(self._newest, wait_s=0)
        return self._newest

    async def file(self, file_id: str) -> bytes:
        return (await self._http.get("/twin/file", params={"id": file_id})).content

    async def fault(self, **fault: Any) -> None:
        answer = await self._http.post("/twin/fault", json=fault)
        assert answer.status_code == 200, answer.text

    async def next_event(self, after: int, wait_s: float = 2.0) -> int:
        events = (await self.get("log", after=after, wait_s=wait_s))["events"]
        newest = int(events[-1]["number"]) if events else after
        self._newest = max(self._newest, newest)
        return newest


@dataclass(slots=True, kw_only=True)
class Rig:
    """A platform, its twin, a phone and what is beside the channel in the host."""

    platform: Platform
    served: Served
    phone: Phone
    kept: Path
    inbox: Inbox = field(default_factory=Inbox)
    secret: str = ""
    fetches: int = 0
    """How often the vault was asked."""
    token_retry_s: float = 0.05

    def __post_init__(self) -> None:
        self.secret = self.served.secret

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Channel]:
        """Run a channel, and stop it as the host does; each run is another life of the host."""
        channel = self.platform.build(self._fetch_secret, self.served.url, self.kept, self.token_retry_s)
        async with self._run(channel):
            yield channel

    @asynccontextmanager
    async def run_again(self, channel: Channel) -> AsyncIterator[None]:
        """Run one that was run before, as the host does with what broke, and wait until it is well."""
        async with self._run(channel):
            await self.well(channel)
            yield

    @asynccontextmanager
    async def _run(self, channel: Channel) -> AsyncIterator[None]:
        running = asyncio.ensure_future(channel.run(self.inbox))
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait({running})

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Channel]:
        """As `running`, but begun well."""
        async with self.running() as channel:
            await self.well(channel)
            yield channel

    async def well(self, channel: Channel) -> None:
        await self.phone.until(lambda: channel.health() == "ok")

    async def messages(self, channel: Channel, count: int) -> list[InboundMessage]:
        """Return what was said, as soon as it is so much, in the order of its storing."""
        await self.inbox.until(lambda: len(self._decoded(channel)) >= count)
        return self._decoded(channel)

    async def said(self, channel: Channel, kind: str, count: int = 1) -> list[InboundMessage]:
        """Return what was said of one kind, as soon as it is so much."""

        def of_kind() -> list[InboundMessage]:
            return [message for message in self._decoded(channel) if message.kind == kind]

        await self.inbox.until(lambda: len(of_kind()) >= count)
        return of_kind()

    def _decoded(self, channel: Channel) -> list[InboundMessage]:
        return [message for raw in self.inbox.stored.values() if (message := channel.decode(raw)) is not None]

    async def _fetch_secret(self) -> str:
        self.fetches += 1
        return self.secret


async def deliver(channel: Channel, message: OutboundMessage, *, within_s: float = PATIENCE_S) -> tuple[Receipt, int]:
    """Send as the outbox does, again after each failure that is not for good; return also how many tries it took."""
    tries = 0
    async with asyncio.timeout(within_s):
        while True:
            tries += 1
            try:
                return await channel.send(message), tries
            except DeliveryFailed as failed:
                if failed.permanent:
                    raise
                await asyncio.sleep(failed.retry_after_s or 0.05)


@asynccontextmanager
async def rig_of(platform: Platform, kept: Path) -> AsyncIterator[Rig]:
    async with (
        platform.serve() as served,
        httpx.AsyncClient(base_url=served.api, timeout=30, trust_env=False, verify=False) as http,
    ):
        yield Rig(platform=platform, served=served, phone=Phone(http, platform.facts.anna), kept=kept / "kept")
