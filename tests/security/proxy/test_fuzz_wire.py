"""Fuzzing over real sockets: mangled requests at the door and in tunnels, mangled answers, all before the oracle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.credproxy.street import CANARY, Arrived, Street, say
from tests.security.proxy.scene import PATIENCE_S, Scene, open_scene

REQUESTS = (
    b"GET /x HTTP/1.1\r\nHost: HOST\r\nAccept: */*\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET http://HOST/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"GET /m/claude/v1/models HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + CANARY.encode() + b"\r\nContent-Length: 36\r\n\r\n" + CANARY.encode(),
    b"HTTP/1.1 204 No Content\r\n\r\n",
)
INSERTED = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"\xff", b"%00", b"%2e%2e/", b"//", b"@b.test"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 1\r\n", b"Host: b.test\r\n", b"Connection: close\r\n"),
    *(b"\r\n\r\n", b"-1", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.1", b"0" * 40, b"A" * 3000),
)
SAMPLED, MANY = 150, 800


def mangled(samples: tuple[bytes, ...], count: int, seed: int) -> Iterator[bytes]:
    """Yield well-formed messages with something cut out, put in, doubled or changed; the same ones each time."""
    chance = random.Random(seed)
    for _ in range(count):
        data = chance.choice(samples)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(4):
                case 0:
                    data = data[:at] + chance.choice(INSERTED) + data[at:]
                case 1:
                    data = data[:at] + data[at + chance.randint(1, 8) :]
                case 2:
                    data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
                case _:
                    data = data[:at] + data[max(0, at - 12) :]
        yield data


@pytest.fixture
async def hasty(short_folder: Path) -> AsyncIterator[Scene]:
    """A scene whose proxy does not wait long for what never comes."""
    street = Street(short_folder)
    street.deadlines = replace(street.deadlines, head_s=0.05, body_pause_s=0.05, answer_s=0.2, answer_pause_s=0.1)
    async with open_scene(short_folder, street) as scene:
        yield scene


async def everything(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: bytes) -> None:
    """Send bytes and read until the proxy closes, or stays silent on a connection that it keeps."""
    writer.write(wire)
    try:
        async with asyncio.timeout(0.15):
            await reader.read()
    except (TimeoutError, ConnectionError):
        return


async def throw_requests(scene: Scene, count: int, seed: int) -> None:
    for number, wire in enumerate(mangled(REQUESTS, count, seed)):
        wire = wire.replace(b"HOST", scene.host.encode())
        if number % 2:
            async with scene.client() as client:
                await everything(client.reader, client.writer, wire)
        else:
            async with scene.inside() as client:
                await everything(client.reader, client.writer, wire)


async def throw_answers(scene: Scene, count: int, seed: int) -> None:
    for wire in mangled(ANSWERS, count, seed):
        scene.a.respond = say(wire, closes=True)
        async with scene.inside() as client:
            head = b"GET /x HTTP/1.1\r\nHost: " + scene.host.encode() + b"\r\nConnection: close\r\n\r\n"
            client.writer.write(head)
            async with asyncio.timeout(PATIENCE_S):
                await client.reader.read()


async def check_it_is_well(scene: Scene) -> None:
    """Nothing was a bug, and an ordinary request still works."""
    assert [line for line in scene.logs.lines if "bug in" in line or "Traceback" in line] == []
    scene.a.respond = say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).status == 200


def keeps_to_its_grant(arrived: Arrived) -> bool:
    path = arrived.line.split(" ")[1].partition("?")[0]
    return path == "/x" or path.startswith("/open/") or path == "/open"


async def test_mangled_requests(hasty: Scene) -> None:
    """Requests with bytes cut, put in, doubled, changed: what reaches A keeps to its grant, none is a bug (18, 19)."""
    await throw_requests(hasty, SAMPLED, seed=1)
    assert all(keeps_to_its_grant(arrived) for arrived in hasty.a.inbox)
    assert all(len(arrived.header("host")) == 1 for arrived in hasty.a.inbox)
    assert hasty.b.connections == 0
    await check_it_is_well(hasty)


async def test_mangled_answers(hasty: Scene) -> None:
    """Answers treated so, some with the secret in them: the agent sees no secret, and nothing is a bug (20, 30, 32)."""
    await throw_answers(hasty, SAMPLED, seed=2)
    await check_it_is_well(hasty)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_many_mangled_messages(hasty: Scene) -> None:
    """Hundreds more of both, from other seeds (18-20, 30)."""
    for seed in range(3, 3 + MANY // 400):
        await throw_requests(hasty, 200, seed)
        await throw_answers(hasty, 200, seed)
        hasty.received.clear()
    assert all(keeps_to_its_grant(arrived) for arrived in hasty.a.inbox)
    await check_it_is_well(hasty)
