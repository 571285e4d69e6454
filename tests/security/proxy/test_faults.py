"""Faults, by accident or on purpose: hangs in every phase, names that stall, full disks, clocks, slow readers, floods
of connections (14, 47, 57). No request hangs for ever, and other containers keep their speed."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import shutil
import socket
import sqlite3
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from credproxy.trust.certificates import CertificateAuthority
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.resolving import THREADS, THREADS_PER_GROUP, SystemResolver
from protocol.ids import GroupId
from tests.credproxy.process import ROOT
from tests.credproxy.street import Arrived, Client, Street, hang, say_json
from tests.security.proxy.scene import PATIENCE_S, A, Scene, code_of, open_scene, status_of

QUICK = replace(
    Deadlines(),
    head_s=0.2,
    handshake_s=0.2,
    body_pause_s=0.3,
    resolve_s=0.2,
    connect_s=0.3,
    answer_s=0.3,
    answer_pause_s=0.3,
)
LONGEST_S = 10.0
"""What any of these may take; the deadlines are a tenth of it."""


@asynccontextmanager
async def quick_scene(folder: Path) -> AsyncIterator[Scene]:
    street = Street(folder)
    street.deadlines = QUICK
    async with open_scene(folder, street) as scene:
        yield scene


@pytest.fixture
async def quick(short_folder: Path) -> AsyncIterator[Scene]:
    """A scene whose deadlines are short."""
    async with quick_scene(short_folder) as scene:
        yield scene


async def half_a_head(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await asyncio.Event().wait()


async def half_a_body(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await asyncio.Event().wait()


async def half_a_chunk(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf")
    await asyncio.Event().wait()


async def hints_only(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    await asyncio.Event().wait()


async def dripping_head(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)  # the drip is what is tested


HANGS = {
    "before its head": (hang, 504),
    "in its head": (half_a_head, 504),
    "in a head that drips": (dripping_head, 504),
    "after its hints": (hints_only, 504),
    "in its body": (half_a_body, 200),
    "in a chunk": (half_a_chunk, 200),
}


@pytest.mark.parametrize("phase", HANGS)
async def test_upstream_that_hangs_is_given_up(quick: Scene, phase: str) -> None:
    """An upstream that stands still, in whatever phase, ends in a 504 or a visible cut within its deadline (47)."""
    quick.a.respond, status = HANGS[phase]
    began = time.monotonic()
    async with quick.inside() as client:
        wire = b"GET /x HTTP/1.1\r\nHost: " + quick.host.encode() + b"\r\nConnection: close\r\n\r\n"
        answer = await client.raw(wire)
    assert status_of(answer) == status
    assert not answer.endswith(b"0\r\n\r\n") or status == 504
    assert time.monotonic() - began < LONGEST_S


@asynccontextmanager
async def listener(serve: Callable[[socket.socket], object] | None) -> AsyncIterator[int]:
    """A TCP port that accepts and then does only what it is told; without a function it does not even accept."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        fillers = [socket.socket() for _ in range(4 if serve is None else 0)]
        for filler in fillers:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
        accepting: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                accepting.append(connection)
                assert serve is not None
                serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        if serve is not None:
            thread.start()
        try:
            yield port
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            if serve is not None:
                thread.join(5)
            for connection in (*fillers, *accepting):
                connection.close()


DEAF = {
    "does not accept": None,
    "accepts and is silent": lambda connection: None,
    "sends half a handshake": lambda connection: connection.sendall(b"\x16\x03\x03\x00\x50\x02\x00"),
    "sends what is no handshake": lambda connection: connection.sendall(b"220 mail.test ESMTP\r\n"),
    "closes at once": lambda connection: connection.close(),
}


@pytest.mark.parametrize("how", DEAF)
async def test_upstream_that_never_shakes_hands(quick: Scene, how: str) -> None:
    """A server that does not accept, or accepts and does not speak TLS, ends in a 502 or 504 in time (47)."""
    async with listener(DEAF[how]) as port:
        await quick.grant(f"- {{host: {A}, port: {port}, addresses: [127.0.0.1], secret: key, inject: bearer}}")
        began = time.monotonic()
        async with quick.inside(A, port) as client:
            response = await client.ask("GET", "/x", host=f"{A}:{port}")
    assert response.status in (502, 504)
    assert time.monotonic() - began < LONGEST_S


async def slow_upload(client: Client, host: str) -> None:
    client.writer.write(f"POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\nslow".encode())


async def slow_chunks(client: Client, host: str) -> None:
    client.writer.write(f"POST /x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsl".encode())


async def slow_head(client: Client, host: str) -> None:
    client.writer.write(f"GET /x HTTP/1.1\r\nHost: {host}\r\n".encode())


async def dripping(client: Client, host: str) -> None:
    for byte in f"GET /x HTTP/1.1\r\nHost: {host}\r\n".encode() + b"X: y\r\n" * 20:
        if client.reader.at_eof() or client.writer.is_closing():
            return
        client.writer.write(bytes([byte]))
        await asyncio.sleep(0.02)  # the drip is what is tested


@pytest.mark.parametrize("slow", [slow_upload, slow_chunks, slow_head, dripping])
async def test_client_that_stands_still_is_cut(quick: Scene, slow: Callable[[Client, str], Awaitable[None]]) -> None:
    """A container that stops in the middle of its head or body is let go at its deadline, and A gets no secret (47)."""
    began = time.monotonic()
    async with quick.inside() as client:
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionError):
                await slow(client, quick.host)
                await client.reader.read()
    assert time.monotonic() - began < LONGEST_S
    assert quick.a.inbox == []


async def test_handshake_that_never_comes_is_cut(quick: Scene) -> None:
    """A tunnel in which nothing follows its 200 is closed at its deadline (47)."""
    async with quick.client() as client:
        answer = await client.raw(f"CONNECT {quick.host} HTTP/1.1\r\nHost: {quick.host}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200")


async def test_reader_that_stops_reading_is_cut(quick: Scene) -> None:
    """A container that asks for much and reads nothing is cut off; what waits for it in the proxy stays small (47)."""

    async def pour(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(1024):
            writer.write(bytes(1 << 20))
            await writer.drain()

    quick.a.respond = pour
    before = resident_bytes()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(quick.inside()) for _ in range(8)]
        for client in clients:
            transport = client.writer.transport
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()
            client.writer.write(b"GET /x HTTP/1.1\r\nHost: " + quick.host.encode() + b"\r\n\r\n")
        door = next(iter(quick.street.proxy.doors.values()))
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: not door.connections)
    assert resident_bytes() - before < 64 << 20


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what has no event of its own; the caller sets the limit."""
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_a_thousand_connections_of_one_container(scene: Scene) -> None:
    """One container opens a thousand connections: most are told to go, and another one is served as before (47)."""
    other = await scene.other_door("b")
    async with scene.street.upstream() as model:
        model.respond = say_json(b"{}")
        scene.street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{model.port}", "key")
        await scene.grant(scene.street.grants)
        await scene.other_door("b")
        held: list[asyncio.StreamWriter] = []
        told = 0
        for _ in range(1000):
            reader, writer = await asyncio.open_unix_connection(scene.street.door_path)
            held.append(writer)
            if len(held) > 64:
                async with asyncio.timeout(PATIENCE_S):
                    told += code_of(await reader.readuntil(b"\r\n\r\n")) == "too_many_connections"
        assert told >= 900
        async with scene.client(other) as client:
            took = [await timed(client, "/m/claude/v1/models") for _ in range(50)]
        for writer in held:
            writer.close()
    assert statistics.median(took) < 0.5


async def timed(client: Client, target: str) -> float:
    began = time.perf_counter()
    response = await client.ask("GET", target)
    assert response.status == 200
    return time.perf_counter() - began


async def test_flood_of_one_container_leaves_the_others_their_speed(scene: Scene) -> None:
    """While one container hammers with refused requests on many connections, another's calls stay quick (47)."""
    other = await scene.other_door("b")
    stop = asyncio.Event()

    async def hammer() -> None:
        while not stop.is_set():
            async with scene.client() as client:
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, AssertionError):
                    for _ in range(20):
                        await client.ask("GET", "http://nobody.test/", host="nobody.test")

    async with scene.street.upstream() as model:
        model.respond = say_json(b"{}")
        scene.street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{model.port}", "key")
        await scene.grant(scene.street.grants)
        await scene.other_door("b")
        door = next(iter(scene.street.proxy.doors.values()))
        async with scene.client(other) as client, asyncio.timeout(60), asyncio.TaskGroup() as group:
            alone = [await timed(client, "/m/claude/v1/models") for _ in range(50)]
            hammers = [group.create_task(hammer()) for _ in range(16)]
            await until(lambda: door.denials > 500)
            beside = [await timed(client, "/m/claude/v1/models") for _ in range(100)]
            stop.set()
            for task in hammers:
                task.cancel()
    assert statistics.median(beside) < 10 * statistics.median(alone) + 0.02


async def test_names_that_stall_hold_up_their_own_group_only() -> None:
    """One group asks for a hundred names that never resolve: another group's names are found at once (14, 47)."""
    never, stalled = threading.Event(), threading.Semaphore(0)

    def look_up(host: str, _port: int) -> Sequence[str]:
        if host.endswith(".stall.test"):
            stalled.release()
            never.wait(PATIENCE_S)
        return ("127.0.0.1",)

    resolver = SystemResolver(look_up)

    async def ask(host: str, group: str, patience_s: float) -> bool:
        try:
            async with asyncio.timeout(patience_s):
                return bool(await resolver(host, 443, GroupId(group)))
        except TimeoutError:
            return False

    try:
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            stalling = [group.create_task(ask(f"n{number}.stall.test", "hostile", 0.5)) for number in range(100)]
            for _ in range(THREADS_PER_GROUP):
                await asyncio.to_thread(stalled.acquire)
            found = [await ask(f"n{number}.test", "other", PATIENCE_S / 10) for number in range(THREADS)]
    finally:
        never.set()
    assert all(found)
    assert not any(task.result() for task in stalling)
    assert not stalled.acquire(blocking=False), "no further thread was given to the names that stall"


async def test_name_that_stalls_ends_in_time(quick: Scene) -> None:
    """A granted name that is never resolved ends in a 502 at its deadline (47)."""

    async def never(_host: str, _port: int, _group: GroupId) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    quick.street.proxy.upstreams._resolver = never  # the street's name server, which has stopped answering
    began = time.monotonic()
    async with quick.inside() as client:
        response = await client.ask("GET", "/x", host=quick.host)
    assert (response.status, response.headers["x-nightyard"]) == (502, "dns_failed")
    assert time.monotonic() - began < LONGEST_S


FULL_DISK = """
import asyncio, pathlib, sys
from tests.security.proxy.scene import A, open_scene, code_of
from tests.credproxy.street import say_json

async def main(folder):
    async with open_scene(folder) as scene:
        async with scene.inside() as client:
            assert (await client.ask("GET", "/x", host=scene.host)).status == 200
        filler = (folder / "filler").open("wb", buffering=0)
        try:
            while True:
                filler.write(bytes(65536))
        except OSError:
            pass
        codes = []
        before = len(scene.a.inbox)
        for number in range(3000):
            async with scene.inside() as client:
                response = await client.ask("POST", "/x", host=scene.host, body=b"pay")
            codes.append(response.headers.get("x-nightyard", str(response.status)))
            if codes[-1] == "audit_failed":
                break
        sent = len(scene.a.inbox)
        for _ in range(5):
            async with scene.inside() as client:
                response = await client.ask("POST", "/x", host=scene.host, body=b"pay")
            assert response.headers["x-nightyard"] == "audit_failed", response
        assert len(scene.a.inbox) == sent, "sent without a row"
        filler.close()
        (folder / "filler").unlink()
        async with asyncio.timeout(20):
            while True:
                async with scene.inside() as client:
                    response = await client.ask("POST", "/x", host=scene.host, body=b"pay")
                if response.status == 200:
                    break
                await asyncio.sleep(0.05)
        print(codes[-1], response.status)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, to give a small disk to one process")
def test_full_disk_stops_what_cannot_be_recorded(short_folder: Path) -> None:
    """On a full disk nothing goes out that cannot be written down; with room again, things go on by themselves (57)."""
    script = f"mount -t tmpfs -o size=3m tmpfs {short_folder} && exec {sys.executable} - {short_folder}"
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        input=FULL_DISK,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip("namespaces or mounts are forbidden here")
    assert done.stdout.split() == ["audit_failed", "200"], done.stderr


async def test_locked_audit_stops_what_cannot_be_recorded(scene: Scene) -> None:
    """While another process holds the audit's file, requests are refused: none goes out unrecorded (57)."""
    await scene.street.admin.health()
    with closing(sqlite3.connect(scene.street.folder / "audit.db", timeout=5, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        async with scene.inside() as client:
            response = await client.ask("POST", "/x", host=scene.host, body=b"pay")
        assert response.headers["x-nightyard"] == "audit_failed"
        assert scene.a.inbox == []
        holder.execute("ROLLBACK")
    async with scene.inside() as client:
        assert (await client.ask("POST", "/x", host=scene.host, body=b"pay")).status == 200


async def shakes_hands(context: ssl.SSLContext, ca: Path) -> bool:
    """Whether a client that looks at its clock accepts what a tunnel would show."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cafile=str(ca))
    try:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=A)
    except ssl.SSLError:
        return False
    finally:
        server.close()
    writer.close()
    return True


@pytest.mark.parametrize("days", [-30, -1, 1, 8, 400])
async def test_clock_that_is_set_right_breaks_no_tunnel(tmp_path: Path, days: int) -> None:
    """The clock was wrong by days or weeks and is set right: the next tunnel's certificate is of the right time."""
    wrong = datetime.timedelta(days=days)

    def clock() -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) + wrong

    authority = CertificateAuthority(tmp_path, clock)
    assert await shakes_hands(authority.context_for(A), tmp_path / "ca.pem") == (days == -1)
    wrong = datetime.timedelta()
    assert await shakes_hands(authority.context_for(A), tmp_path / "ca.pem")
