"""Tunnels without TLS in them, as tools open them for `ws://`: plain http, judged as such request by request."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest

from tests.credproxy.pipeline.test_frame_search import frame
from tests.credproxy.pipeline.test_websocket import SHAKE, accepting, end
from tests.credproxy.street import CANARY, TIMEOUT_S, Arrived, Client, Street, Upstream

HOST = "printer.test"


@pytest.fixture
async def upstream(street: Street) -> AsyncIterator[Upstream]:
    """A server without TLS, granted as plain http."""
    async with street.upstream() as upstream:
        street.addresses[HOST] = ["127.0.0.1"]
        street.grants = (
            f"- {{host: {HOST}, scheme: http, port: {upstream.port}, addresses: [127.0.0.1], paths: [/a/**]}}"
        )
        await street.lease()
        yield upstream


async def connect(client: Client, port: int) -> Client:
    """Open a tunnel, and speak nothing in it yet."""
    client.writer.write(f"CONNECT {HOST}:{port} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
    async with asyncio.timeout(TIMEOUT_S):
        head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return Client(client.reader, client.writer)


async def test_plain_requests_pass_one_after_another(street: Street, upstream: Upstream) -> None:
    """Each is decided by itself, under the scheme http; what is not granted is refused with what would grant it."""
    async with street.client() as client:
        inside = await connect(client, upstream.port)
        host = f"{HOST}:{upstream.port}"
        assert (await inside.ask("GET", "/a/1", host=host)).status == 200
        refused = await inside.ask("POST", "/b", host=host, body=b"x" * 100_000)
        assert (refused.status, refused.headers["x-nightyard"]) == (403, "path_not_granted")
        assert b"--scheme http" in refused.body
        assert (await inside.ask("PUT", "/a/2", host=host, body=b"y" * 700_000)).status == 200
        other = await inside.ask("GET", "/a/3", host="other.test")
        assert (other.status, other.headers["x-nightyard"]) == (421, "misdirected")
    assert [arrived.line for arrived in upstream.inbox] == ["GET /a/1 HTTP/1.1", "PUT /a/2 HTTP/1.1"]


async def test_a_plain_websocket_passes_both_ways(street: Street, upstream: Upstream) -> None:
    """`ws://` as tools do it: a tunnel, the upgrade in it, then frames."""

    async def echo(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"welcome"))
        await end(arrived, writer)

    upstream.respond = accepting(echo)
    async with street.client() as client:
        inside = await connect(client, upstream.port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in SHAKE)
        answer = await inside.raw(f"GET /a/socket HTTP/1.1\r\nHost: {HOST}:{upstream.port}\r\n{lines}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(frame(b"welcome") + frame(b"\x03\xe8", opcode=8))


async def test_tls_where_only_plain_is_granted_is_refused_in_words(street: Street, upstream: Upstream) -> None:
    """A tool that speaks TLS there gets to read the refusal: https at this port is another grant."""
    async with street.client() as client:
        inside = await client.tunnel(HOST, upstream.port, street.ca)
        refused = await inside.ask("GET", "/a/1", host=f"{HOST}:{upstream.port}")
    assert (refused.status, refused.headers["x-nightyard"]) == (403, "host_not_granted")
    assert upstream.everything == b""


async def test_plain_where_only_tls_is_granted_reaches_nobody(street: Street) -> None:
    """A key that is granted under TLS never goes out in clear; the owner reads what was tried, and what allows it."""
    async with street.upstream(HOST) as upstream:
        street.addresses[HOST] = ["127.0.0.1"]
        street.grants = (
            f"- {{host: {HOST}, port: {upstream.port}, addresses: [127.0.0.1], secret: key, inject: bearer}}"
        )
        await street.lease()
        async with street.client() as client:
            inside = await connect(client, upstream.port)
            await inside.raw(f"GET / HTTP/1.1\r\nHost: {HOST}:{upstream.port}\r\n\r\n".encode())
        assert upstream.everything == b""
        event = await street.event("denied")
    assert (event.target, event.detail) == (f"CONNECT http://{HOST}:{upstream.port}", "host_not_granted")


async def test_both_grants_at_one_port_keep_their_own(street: Street) -> None:
    """Where https has the key and plain http none, what is spoken in the tunnel says which grant counts."""
    async with street.upstream(HOST) as upstream:
        place = f"host: {HOST}, port: {upstream.port}, addresses: [127.0.0.1]"
        street.addresses[HOST] = ["127.0.0.1"]
        street.grants = f"- {{{place}, secret: key, inject: bearer}}\n- {{{place}, scheme: http}}"
        await street.lease()
        async with street.client() as client:
            inside = await client.tunnel(HOST, upstream.port, street.ca)
            assert (await inside.ask("GET", "/", host=f"{HOST}:{upstream.port}")).status == 200
        assert upstream.inbox[0].header("authorization") == [f"Bearer {CANARY}"]
        before = bytes(upstream.everything)
        async with street.client() as client:
            inside = await connect(client, upstream.port)
            response = await inside.ask("GET", "/", host=f"{HOST}:{upstream.port}")
        assert response.status == 502  # in clear to a server that speaks TLS: it hangs up
        assert upstream.everything == before


@pytest.mark.parametrize(
    "spoken",
    [b"SSH-2.0-x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00\x00\r\n\r\n", b"CONNECT b:1 HTTP/1.1\r\n\r\n"],
)
async def test_what_is_neither_is_refused(street: Street, upstream: Upstream, spoken: bytes) -> None:
    """A tunnel carries HTTP or TLS, nothing else."""
    async with street.client() as client:
        inside = await connect(client, upstream.port)
        assert (await inside.raw(spoken)).startswith(b"HTTP/1.1 400 ")
    assert upstream.everything == b""


async def test_a_tunnel_in_which_nobody_speaks_ends(street: Street, upstream: Upstream) -> None:
    """At the handshake's deadline, or as soon as its opener leaves."""
    street.proxy.deadlines = type(street.proxy.deadlines)(handshake_s=0.05)
    async with street.client() as client:
        inside = await connect(client, upstream.port)
        async with asyncio.timeout(TIMEOUT_S):
            assert await inside.reader.read() == b""
    street.proxy.deadlines = type(street.proxy.deadlines)()
    door = next(iter(street.proxy.doors.values()))
    async with street.client() as client:
        await connect(client, upstream.port)
        serving = tuple(door.connections)
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*serving)
    assert not door.connections


async def test_a_handshake_in_pieces_is_one(street: Street, upstream: Upstream) -> None:
    """The first byte says that it is TLS; the rest may take its time, and none of it is lost."""
    reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(street.ca))
    async with street.client() as client:
        inside = await connect(client, upstream.port)
        tls = context.wrap_bio(reads, writes, server_hostname=HOST)
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    hello = writes.read()
                    for at in range(0, len(hello), 50):
                        inside.writer.write(hello[at : at + 50])
                        await inside.writer.drain()
                        await asyncio.sleep(0)
                    reads.write(await inside.reader.read(65536))
    assert tls.version() == "TLSv1.3"
