"""Large bodies that are sent again: with the next key, over another connection, as far as they are kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from credproxy.pipeline.proxy import DoorState
from credproxy.pipeline.spool import MAX_SPOOLED_BYTES, Spool
from protocol.ids import DoorId
from tests.credproxy.street import CANARY, DOOR, TIMEOUT_S, Arrived, Client, Street, Upstream

SECOND = "second-key-0123456789abcdefghij"
PICTURE = os.urandom(1 << 20) * 5
MODEL_CALL = "/m/claude/v1/messages"


@asynccontextmanager
async def model(street: Street) -> AsyncIterator[Upstream]:
    """A model that refuses the first key, and takes the one in reserve."""

    async def respond(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        is_second = SECOND in str(arrived.header("x-api-key"))
        writer.write(b"HTTP/1.1 %s X\r\nContent-Length: 2\r\n\r\n{}" % (b"200" if is_second else b"429"))

    street.proxy.vault.add_reserve("key", SECOND)
    async with street.upstream() as upstream:
        upstream.respond = respond
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease()
        yield upstream


def spooled(street: Street) -> int:
    """Return how much is kept at the door now."""
    return street.proxy.doors[DOOR].spooled_bytes


async def send_chunks(client: Client, pieces: Sequence[bytes]) -> bytes:
    head = f"POST {MODEL_CALL} HTTP/1.1\r\nHost: proxy\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    client.writer.write(head.encode())
    for piece in pieces:
        client.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await client.writer.drain()
    return await client.raw(b"0\r\n\r\n")


@pytest.mark.parametrize("form", ["length", "chunks"])
async def test_a_picture_goes_out_with_the_next_key(street: Street, form: str) -> None:
    """A model call of five megabytes that the first key is refused for is sent again with the one in reserve, byte for
    byte; nothing of it is left, and the audit says which key it was."""
    async with model(street) as upstream, street.client() as client:
        if form == "length":
            assert (await client.ask("POST", MODEL_CALL, body=PICTURE)).status == 200
        else:
            pieces = [PICTURE[at : at + 100_000] for at in range(0, len(PICTURE), 100_000)]
            assert (await send_chunks(client, pieces)).startswith(b"HTTP/1.1 200 ")
        assert [arrived.body == PICTURE for arrived in upstream.inbox] == [True, True]
        assert [arrived.header("x-api-key") for arrived in upstream.inbox] == [[CANARY], [SECOND]]
        assert spooled(street) == 0
        assert list(street.folder.glob("spool-*")) == []
        await street.admin.usage()
    with contextlib.closing(sqlite3.connect(street.folder / "audit.db")) as audit, audit:
        assert audit.execute("SELECT note FROM entries WHERE kind = 'end'").fetchall() == [("reserve 1",)]


async def test_an_early_refusal_is_followed_by_the_whole_body(street: Street) -> None:
    """An upstream that refuses a key before it has read the body gets no more of it; the next try begins anew, with
    what has come, and goes on with what comes."""
    bodies: list[bytes] = []
    may_go_on = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if SECOND.encode() not in head:
            await reader.readexactly(600_000)
            writer.write(b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n")
            await reader.read()
        else:
            may_go_on.set()
            bodies.append(await reader.readexactly(len(PICTURE)))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    street.proxy.vault.add_reserve("key", SECOND)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, street.client() as client:
        port = server.sockets[0].getsockname()[1]
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{port}", "key")
        await street.lease()
        head = (
            f"POST {MODEL_CALL} HTTP/1.1\r\nHost: proxy\r\nContent-Length: {len(PICTURE)}\r\nConnection: close\r\n\r\n"
        )
        client.writer.write(head.encode() + PICTURE[:1_000_000])
        async with asyncio.timeout(TIMEOUT_S):
            await may_go_on.wait()
            answer = await client.raw(PICTURE[1_000_000:])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert bodies == [PICTURE]
    assert spooled(street) == 0


async def test_what_does_not_fit_is_sent_once(street: Street) -> None:
    """A container that has much under way already gets the refusal itself; nothing is sent in part."""
    async with model(street) as upstream:
        street.proxy.doors[DOOR].spooled_bytes = MAX_SPOOLED_BYTES - (1 << 20)
        response = await street.ask("POST", MODEL_CALL, body=PICTURE)
        assert response.status == 429
        assert [arrived.body == PICTURE for arrived in upstream.inbox] == [True]
        assert spooled(street) == MAX_SPOOLED_BYTES - (1 << 20)


async def test_a_dead_connection_costs_no_large_call(street: Street) -> None:
    """A kept connection that the model had closed is replaced in silence, for calls with pictures too."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease()
        assert (await street.ask("POST", MODEL_CALL, body=b"{}")).status == 200

        async def close_once(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
            upstream.respond = respond
            writer.close()

        respond, upstream.respond = upstream.respond, close_once
        assert (await street.ask("POST", MODEL_CALL, body=PICTURE)).status == 200
        assert [len(arrived.body) for arrived in upstream.inbox] == [2, len(PICTURE), len(PICTURE)]
        assert spooled(street) == 0


async def test_a_client_that_leaves_leaves_nothing(street: Street) -> None:
    """What was kept of an unfinished request is given back with its connection."""
    async with model(street) as _upstream:
        door = street.proxy.doors[DOOR]
        async with street.client() as client:
            head = f"POST {MODEL_CALL} HTTP/1.1\r\nHost: proxy\r\nContent-Length: {len(PICTURE)}\r\n\r\n"
            client.writer.write(head.encode() + PICTURE[:2_000_000])
            async with asyncio.timeout(TIMEOUT_S):
                while not door.spooled_bytes:  # noqa: ASYNC110  # nobody tells of it
                    await asyncio.sleep(0)
            serving = tuple(door.connections)
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(*serving, return_exceptions=True)
        assert door.spooled_bytes == 0


def test_a_copy_is_the_owners_alone_and_has_no_name(tmp_path: Path) -> None:
    """Others can neither open nor find it; it is read again from its beginning, as often as needed."""
    door = DoorState(DoorId("door"))
    spool = Spool(tmp_path, door)
    assert list(spool.pieces()) == []
    for piece in (b"a" * 70_000, b"b"):
        spool.add(piece)
    assert list(tmp_path.iterdir()) == []
    for _time in range(2):
        assert b"".join(spool.pieces()) == b"a" * 70_000 + b"b"
    spool.add(b"c")
    assert b"".join(spool.pieces()).endswith(b"bc")
    assert door.spooled_bytes == 70_002
    spool.close()
    assert (door.spooled_bytes, list(tmp_path.iterdir())) == (0, [])


def test_a_copy_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    """A folder that is gone, or a full disk: the body goes out once, and nothing counts as kept."""
    door = DoorState(DoorId("door"))
    spool = Spool(tmp_path / "gone", door)
    spool.add(b"a")
    assert (spool.is_whole, door.spooled_bytes, list(spool.pieces())) == (False, 0, [])
