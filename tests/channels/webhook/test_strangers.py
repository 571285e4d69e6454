"""What strangers may take of the door: no place that a service needs, little memory, few lines of the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from channels.webhook.client import MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_UNCHECKED_BYTES
from tests.channels.webhook.test_client import Yard, opened

HEAD = b"POST /hooks/main/deploys HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"


@asynccontextmanager
async def strangers(yard: Yard, count: int, data: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Each has a connection, sends this and then nothing."""
    async with AsyncExitStack() as open_ones:
        readers = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", yard.channel.door.port)
            open_ones.callback(writer.close)
            writer.write(data)
            readers.append(reader)
        yield readers


async def is_shut_out(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("data", [b"", b"POST /hooks/main/deploys HTTP/1.1\r\nho", HEAD % 100 + b"half"])
async def test_slow_strangers_do_not_shut_out_a_service(data: bytes) -> None:
    """All connections are theirs, and the oldest of them goes for one that comes."""
    async with opened() as yard, strangers(yard, MAX_CONNECTIONS, data) as readers:
        assert (await yard.post(b"{}")).status_code == 202
        assert await is_shut_out(readers[0])


async def test_what_is_being_stored_is_not_ended_for_a_stranger() -> None:
    """A signed request keeps its place, however many come."""
    async with opened() as yard, asyncio.TaskGroup() as tasks:
        yard.store.is_open.clear()
        posting = tasks.create_task(yard.post(b"{}"))
        await yard.store.asked_to.wait()
        async with strangers(yard, 3 * MAX_CONNECTIONS, b"") as readers:
            assert await is_shut_out(readers[0])
            yard.store.is_open.set()
            assert (await posting).status_code == 202


async def test_large_bodies_of_strangers_go_before_the_memory_does() -> None:
    """All of them together are held up to a limit; then the oldest goes."""
    body = b"x" * (MAX_BODY_BYTES - 1)
    count = MAX_UNCHECKED_BYTES // len(body) + 1
    async with opened() as yard, strangers(yard, count, HEAD % MAX_BODY_BYTES + body) as readers:
        async with asyncio.timeout(10):
            assert await is_shut_out(readers[0])
        assert (await yard.post(b"{}")).status_code == 202


async def test_who_never_reads_its_answers_is_let_go() -> None:
    """It would hold a connection of the host for as long as it likes."""
    async with opened() as yard:
        reader, writer = await asyncio.open_connection("127.0.0.1", yard.channel.door.port, limit=1)
        asked = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 1000
        async with strangers(yard, MAX_CONNECTIONS, b""):
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(10):
                    while True:
                        writer.write(asked)
                        await writer.drain()
        del reader
        writer.close()


async def test_a_flood_of_unsigned_requests_makes_few_lines_and_asks_the_vault_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each line and each look into the vault would be a stranger's to cause, and both are written to the disk."""
    caplog.set_level(logging.WARNING, "channels.webhook.client")
    async with opened() as yard:
        for _ in range(50):
            assert (await yard.post(b"{}", secret="wrong")).status_code == 401
        assert (await yard.post(b"{}")).status_code == 202
        assert len([line for line in caplog.messages if "was refused" in line]) == 1
        assert yard.asked == ["deploys-key"]


async def test_a_body_declared_too_large_is_not_read() -> None:
    """Its head says enough."""
    async with opened() as yard, strangers(yard, 1, HEAD % (MAX_BODY_BYTES + 1)) as (reader,):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")


async def test_a_body_in_a_million_pieces_is_not_read() -> None:
    """Each piece is work for the host, which has other things to do."""
    head = b"POST /hooks/main/deploys HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with opened() as yard:
        async with strangers(yard, 1, head + b"1\r\na\r\n" * 2_500) as (reader,):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        async with strangers(yard, 1, head + b"200\r\n" + b"a" * 0x200 + b"\r\n0\r\n\r\n") as (reader,):
            assert (await reader.readline()).startswith(b"HTTP/1.1 401")


async def test_a_refusal_ends_its_connection() -> None:
    """Thousands of requests that were sent ahead are not looked at one after the other."""
    async with opened() as yard, strangers(yard, 1, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 500) as (reader,):
        async with asyncio.timeout(10):
            told = await reader.read()
        assert told.count(b"HTTP/1.1 404") == 1 and b"connection: close" in told


async def test_a_signature_that_is_there_twice_is_none() -> None:
    """Whatever stands before the door may have read the other one."""
    twice = b"X-Nightyard-Id: a\r\nX-Nightyard-Id: b\r\n"
    asked = b"POST /hooks/main/deploys HTTP/1.1\r\nhost: x\r\nvia: a\r\nvia: b\r\n%scontent-length: 0\r\n\r\n"
    async with opened() as yard:
        for headers, status in ((twice, b"HTTP/1.1 400"), (b"", b"HTTP/1.1 401")):
            async with strangers(yard, 1, asked % headers) as (reader,):
                assert (await reader.readline()).startswith(status)
