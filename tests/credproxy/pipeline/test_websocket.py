"""WebSockets through the proxy: decided as both reading and writing, verified, spliced, searched, and cut when over."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from protocol.task import Effects
from tests.credproxy.pipeline.test_frame_search import frame
from tests.credproxy.street import CANARY, DOOR, Arrived, Client, Respond, Street, Upstream

KEY = base64.b64encode(b"sixteen bytes ok").decode()
SHAKE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
)


def proof(key: str = KEY) -> bytes:
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def accepting(then: Respond, *, accept: bytes | None = None, extra: bytes = b"") -> Respond:
    """An upstream that speaks WebSocket."""

    async def respond(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + (accept or proof()) + b"\r\n" + extra + b"\r\n"
        )
        await then(arrived, writer)

    return respond


async def stay(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    await asyncio.Event().wait()


def sends(*frames: bytes) -> Respond:
    async def respond(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(frames))
        await writer.drain()
        await asyncio.Event().wait()

    return respond


async def end(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
    writer.write(frame(b"\x03\xe8", opcode=8))
    await writer.drain()
    writer.close()


@pytest.fixture
async def upstream(street: Street) -> AsyncIterator[Upstream]:
    """A WebSocket server under TLS, granted with the secret."""
    async with street.upstream("ws.test") as upstream:
        street.addresses["ws.test"] = ["127.0.0.1"]
        street.grants = (
            f"- {{host: ws.test, port: {upstream.port}, secret: key, inject: bearer, addresses: [127.0.0.1]}}"
        )
        await street.lease()
        yield upstream


async def shake(street: Street, client: Client, upstream: Upstream, *headers: tuple[str, str]) -> tuple[Client, bytes]:
    """Ask for a WebSocket in a tunnel; return the client inside and the answer's head."""
    inside = await client.tunnel("ws.test", upstream.port, street.ca)
    lines = [f"{name}: {value}\r\n" for name, value in headers or SHAKE]
    inside.writer.write(f"GET /socket HTTP/1.1\r\nHost: ws.test:{upstream.port}\r\n{''.join(lines)}\r\n".encode())
    async with asyncio.timeout(5):
        return inside, await inside.reader.readuntil(b"\r\n\r\n")


async def test_frames_pass_both_ways(street: Street, upstream: Upstream) -> None:
    """After a verified 101 frames go both ways at once, the secret stays with the upstream, and both ends are told."""
    got = asyncio.Event()

    async def echo(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"welcome"))
        await writer.drain()
        await got.wait()
        await end(_arrived, writer)

    upstream.respond = accepting(echo)
    async with street.client() as client:
        inside, head = await shake(street, client, upstream)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert proof() in head
        async with asyncio.timeout(5):
            assert await inside.reader.readexactly(len(frame(b"welcome"))) == frame(b"welcome")
            inside.writer.write(b"\x81\x85abcdhello")
            got.set()
            assert await inside.reader.read() == frame(b"\x03\xe8", opcode=8)
    (arrived,) = upstream.inbox
    assert arrived.header("authorization") == [f"Bearer {CANARY}"]
    assert arrived.header("upgrade") == ["websocket"]
    assert (await street.event("call_ended")).detail == "101"


async def test_bytes_behind_the_101_are_not_lost(street: Street, upstream: Upstream) -> None:
    """Frames that come in one piece with the 101 reach the agent."""
    upstream.respond = accepting(sends(frame(b"one"), frame(b"two")))
    async with street.client() as client:
        inside, _head = await shake(street, client, upstream)
        expected = frame(b"one") + frame(b"two")
        async with asyncio.timeout(5):
            assert await inside.reader.readexactly(len(expected)) == expected


async def test_reflected_secret_cuts_the_socket(street: Street, upstream: Upstream) -> None:
    """A secret in a message, spread over two fragments, ends the connection before it passes."""
    half = len(CANARY) // 2
    pieces = frame(CANARY[:half].encode(), is_final=False) + frame(CANARY[half:].encode(), opcode=0)
    upstream.respond = accepting(sends(pieces))
    async with street.client() as client:
        inside, _head = await shake(street, client, upstream)
        async with asyncio.timeout(5):
            assert CANARY[:half].encode() not in await inside.reader.read()
    assert street.spilled() == []


async def test_extensions_are_not_offered_where_frames_are_searched(street: Street, upstream: Upstream) -> None:
    """Compression would hide the secret: it is not asked for, and a server that begins with it is refused."""
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate")
    upstream.respond = accepting(stay, extra=b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
    async with street.client() as client:
        _inside, head = await shake(street, client, upstream, *SHAKE, offer)
    assert upstream.inbox[0].header("sec-websocket-extensions") == []
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"websocket_refused" in head


@pytest.mark.parametrize("accept", [proof(base64.b64encode(b"another key 1234").decode()), b"x"])
async def test_only_the_matching_answer_is_an_upgrade(street: Street, upstream: Upstream, accept: bytes) -> None:
    """A 101 that does not answer this request's key is no upgrade."""
    upstream.respond = accepting(stay, accept=accept)
    async with street.client() as client:
        _inside, head = await shake(street, client, upstream)
    assert b"websocket_refused" in head


async def test_refused_upgrade_is_an_answer_like_others(street: Street, upstream: Upstream) -> None:
    """A server that does not speak WebSocket answers in HTTP, and the connection serves on."""
    async with street.client() as client:
        inside, head = await shake(street, client, upstream)
        assert head.startswith(b"HTTP/1.1 200 ")
        async with asyncio.timeout(5):
            assert await inside.reader.readexactly(2) == b"{}"
        assert (await inside.ask("GET", "/", host=f"ws.test:{upstream.port}")).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
        (*SHAKE[:3], ("Sec-WebSocket-Key", "short")),
        (*SHAKE, ("Sec-WebSocket-Key", KEY)),
        (*SHAKE[:2], ("Sec-WebSocket-Version", "8"), SHAKE[3]),
    ],
    ids=["no key", "short key", "two keys", "old version"],
)
async def test_crooked_handshakes_stay_here(
    street: Street, upstream: Upstream, headers: tuple[tuple[str, str], ...]
) -> None:
    """A handshake that is not in the one form is answered 400 and not sent."""
    async with street.client() as client:
        _inside, head = await shake(street, client, upstream, *headers)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert upstream.inbox == []


@pytest.mark.parametrize("upgrade", ["h2c", "tls/1.3", "websocketx"])
async def test_other_upgrades_are_not_asked_for(street: Street, upstream: Upstream, upgrade: str) -> None:
    """An upgrade to anything else is taken out of the request, and a 101 all the same is an error."""
    upstream.respond = accepting(stay)
    async with street.client() as client:
        _inside, head = await shake(street, client, upstream, ("Connection", "Upgrade"), ("Upgrade", upgrade))
    assert upstream.inbox[0].header("upgrade") == []
    assert head.startswith(b"HTTP/1.1 502 ")


async def test_reading_grant_gives_no_websocket(street: Street, upstream: Upstream) -> None:
    """A grant for GET alone does not let a WebSocket write; nor does a task in shadow."""
    both = street.grants
    street.grants = both.replace("secret:", "methods: [GET], secret:")
    await street.lease(attempt="attempt_2")
    async with street.client() as client:
        _inside, head = await shake(street, client, upstream)
    assert b"x-nightyard: websocket_not_granted" in head
    street.grants = both.replace(", secret: key, inject: bearer", "")
    await street.lease(attempt="attempt_3", effects=Effects.SHADOW)
    async with street.client() as client:
        _inside, head = await shake(street, client, upstream)
    assert b"x-nightyard: shadow" in head
    assert upstream.inbox == []


async def test_end_of_a_lease_cuts_the_socket(street: Street, upstream: Upstream) -> None:
    """A WebSocket ends with the lease it was opened under, and its upstream leg with it."""
    upstream.respond = accepting(stay)
    async with street.client() as client:
        inside, _head = await shake(street, client, upstream)
        await street.admin.end(DOOR)
        async with asyncio.timeout(1):
            assert await inside.reader.read() == b""


async def test_silence_ends_the_socket(street: Street, upstream: Upstream) -> None:
    """Both sides silent for too long: cut."""
    street.proxy.deadlines = replace(street.proxy.deadlines, silence_s=0.05)
    upstream.respond = accepting(stay)
    async with street.client() as client:
        inside, _head = await shake(street, client, upstream)
        async with asyncio.timeout(5):
            assert await inside.reader.read() == b""
    assert (await street.event("call_ended")).detail == "101"
