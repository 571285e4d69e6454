"""The loopback door over real sockets: what is answered, what is stored, and that nothing is answered unstored."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from channels.channel import Undecodable, Work
from channels.webhook.channel import WebhookChannel
from channels.webhook.client import MAX_BODY_BYTES
from channels.webhook.hook import PATH, Hook
from channels.webhook.schemes import sign
from protocol.ids import ChannelId

TIMEOUT_S = 20.0
DEPLOYS = Hook(
    name="main/deploys", scheme="hmac", secret="deploys-key", template="{what} went out", events=("done", "failed")
)


class Store:
    """An inbox that keeps what it is given; it may be full."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.asked_to = asyncio.Event()
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def accept(self, channel_id: ChannelId, event_id: str, raw: bytes) -> None:
        assert channel_id == "hooks"
        self.asked_to.set()
        await self.is_open.wait()
        self.kept[event_id] = raw


class Yard:
    def __init__(self, channel: WebhookChannel, store: Store, hooks: dict[str, Hook], asked: list[str]) -> None:
        self.channel = channel
        self.store = store
        self.hooks = hooks
        self.asked = asked
        """The keys that the vault was asked for."""
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{channel.door.port}", trust_env=False)

    async def post(
        self, body: bytes, *, hook: str = "main/deploys", secret: str = "s3", delivery: str = "d-1", event: str = "done"
    ) -> httpx.Response:
        now = int(time.time())
        headers = {
            "X-Nightyard-Id": delivery,
            "X-Nightyard-Timestamp": str(now),
            "X-Nightyard-Signature": sign(secret, delivery, now, body),
            "X-Nightyard-Event": event,
            "Content-Type": "application/json",
        }
        return await self.client.post(f"/hooks/{hook}", content=body, headers=headers)


@asynccontextmanager
async def opened() -> AsyncIterator[Yard]:
    hooks = {DEPLOYS.name: DEPLOYS}
    store = Store()
    asked: list[str] = []

    async def fetch_secret(name: str) -> str:
        asked.append(name)
        if name != "deploys-key":
            raise LookupError(f"there is no secret {name}")
        return "s3"

    channel = WebhookChannel(ChannelId("hooks"), "http://127.0.0.1:0", lambda: hooks, fetch_secret)
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(channel.run(store))
        await channel.door.listening.wait()
        yard = Yard(channel, store, hooks, asked)
        try:
            yield yard
        finally:
            await yard.client.aclose()
            running.cancel()


async def test_a_signed_request_is_stored_and_is_work() -> None:
    """Byte for byte, and then the template's text for the agent."""
    body = json.dumps({"what": "the gate ü"}, ensure_ascii=False).encode()
    async with opened() as yard:
        answered = await yard.post(body)
        assert (answered.status_code, answered.json()) == (202, {"status": "accepted"})
        raw = yard.store.kept["main/deploys:d-1"]
        assert raw.endswith(b"\n" + body)
        assert yard.channel.work_of(raw) == Work(source="main/deploys", text="the gate ü went out")
        assert yard.channel.health() == "ok"


async def test_nothing_is_answered_before_it_is_stored() -> None:
    """A service that hears nothing posts it again."""
    async with opened() as yard:
        yard.store.is_open.clear()
        async with asyncio.TaskGroup() as tasks:
            posting = tasks.create_task(yard.post(b"{}"))
            done, _ = await asyncio.wait({posting}, timeout=0.3)
            assert not done and not yard.store.kept
            yard.store.is_open.set()
        assert posting.result().status_code == 202 and yard.store.kept


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"secret": "wrong"}, 401),
        ({"hook": "main/unknown"}, 404),
        ({"hook": "main/deploys/more"}, 404),
        ({"hook": "../run"}, 404),
    ],
)
async def test_what_is_not_for_a_hook_or_not_signed_is_refused(change: dict[str, str], status: int) -> None:
    """And nothing of it is stored."""
    async with opened() as yard:
        answered = await yard.post(b"{}", **change)
        assert answered.status_code == status and not yard.store.kept


async def test_only_posts_are_taken() -> None:
    """A look with a browser finds nothing."""
    async with opened() as yard:
        assert (await yard.client.get("/hooks/main/deploys")).status_code == 405
        assert (await yard.client.get("/")).status_code == 404


async def test_a_body_that_is_too_large_is_refused() -> None:
    """By its size, and the connection after it works."""
    async with opened() as yard:
        with suppress(httpx.WriteError, httpx.RemoteProtocolError):  # the door may close while it is still posted
            assert (await yard.post(b"x" * (MAX_BODY_BYTES + 1))).status_code == 413
        assert not yard.store.kept
        assert (await yard.post(b"{}")).status_code == 202


async def test_a_key_that_cannot_be_had_is_no_refusal() -> None:
    """The service is to post it again: the vault may be away."""
    async with opened() as yard:
        other = Hook(name="main/other", scheme="hmac", secret="gone", template="x")
        yard.hooks["main/other"] = other
        assert (await yard.post(b"{}", hook="main/other")).status_code == 503


async def test_an_event_that_nobody_wants_is_stored_and_is_no_work() -> None:
    """The service is told yes all the same: it would post it again for days."""
    async with opened() as yard:
        assert (await yard.post(b"{}", event="began")).status_code == 202
        assert yard.channel.work_of(yard.store.kept["main/deploys:d-1"]) is None


async def test_a_hook_that_is_gone_makes_a_dead_letter() -> None:
    """What was stored for it says so, and is not lost."""
    async with opened() as yard:
        await yard.post(b"{}")
        yard.hooks.clear()
        with pytest.raises(Undecodable, match="main/deploys is not in any"):
            yard.channel.work_of(yard.store.kept["main/deploys:d-1"])
        with pytest.raises(Undecodable, match="not in the form"):
            yard.channel.work_of(b"garbage")


async def send_raw(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("data", "begins"),
    [
        (b"not http at all\r\n\r\n", b"HTTP/1.1 400"),
        (b"POST /hooks/main/deploys HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n", b""),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"HTTP/1.1 4"),
        (b"", b""),
    ],
)
async def test_what_is_not_http_hurts_nobody(data: bytes, begins: bytes) -> None:
    """Half a request, a head without end, nothing at all: the next one is served."""
    async with opened() as yard:
        assert (await send_raw(yard.channel.door.port, data)).startswith(begins)
        assert (await yard.post(b"{}")).status_code == 202


async def test_requests_of_one_connection_come_one_after_the_other() -> None:
    """A kept connection serves many."""
    async with opened() as yard:
        codes = [(await yard.post(b"{}", delivery=f"d-{number}")).status_code for number in range(5)]
        assert codes == [202] * 5 and len(yard.store.kept) == 5


def test_a_hook_s_name_is_its_address() -> None:
    """Group and hook, in the letters that both have."""
    assert PATH.fullmatch("/hooks/main/deploys")
    assert not PATH.fullmatch("/hooks/Main/deploys") and not PATH.fullmatch("/hooks/main")
