"""The proxy as a process: killed, started again, told to end; what outlives it and what it never leaves behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from credproxy.admin_client.audit import AuditFilter, read_log
from credproxy.admin_client.link import ProxyAdmin
from credproxy.audit.chain import verify_chain
from credproxy.trust.certificates import CertificateAuthority
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.proxy_admin import ProxyEvent
from protocol.task import Effects, Lease, Limits
from tests.credproxy.process import ROOT, ProxyProcess
from tests.credproxy.street import CANARY, Arrived, Client, Response, Upstream, hang, say_json

DOOR = DoorId("door_cccccccccccccccc")
USE = b'{"model":"claude-haiku-4-5","usage":{"input_tokens":3,"output_tokens":2}}'


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream(respond=say_json(USE))
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    yield upstream
    server.close()
    await upstream.end()


@pytest.fixture
def proxy(short_folder: Path, upstream: Upstream) -> Iterator[ProxyProcess]:
    proxy = ProxyProcess(short_folder)
    address = f"http://127.0.0.1:{upstream.port}"
    (proxy.fork / "nightyard.yaml").write_text(
        f"routes: {{claude: {{api: anthropic, url: '{address}', secret: key}}}}\n"
    )
    (proxy.fork / "groups" / "main").mkdir()
    grant = f"- {{host: 127.0.0.1, scheme: http, port: {upstream.port}}}\n"
    (proxy.fork / "groups" / "main" / "grants.yaml").write_text(grant)
    with proxy.started():
        yield proxy


def lease(limits: Limits, attempt: str = "attempt_1") -> Lease:
    return Lease(
        task_id=TaskId("task_1"),
        attempt_id=AttemptId(attempt),
        group_id=GroupId("main"),
        effects=Effects.LIVE,
        limits=limits,
        routes=("claude",),
    )


def door_path(proxy: ProxyProcess) -> Path:
    path = proxy.home / "run" / "c" / "cc" / "proxy.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


async def open_client(proxy: ProxyProcess) -> Client:
    async with asyncio.timeout(10):
        while True:
            try:
                return Client(*await asyncio.open_unix_connection(door_path(proxy)))
            except OSError:  # the proxy is starting again
                await asyncio.sleep(0.01)


async def ask_model(proxy: ProxyProcess) -> Response:
    client = await open_client(proxy)
    response = await client.ask("POST", "/m/claude/v1/messages", body=b"{}")
    client.close()
    return response


async def test_killed_in_the_middle_of_a_call(proxy: ProxyProcess, upstream: Upstream) -> None:
    """kill -9 during a POST: the call is on record without an answer, the next process opens doors and leases again by
    the client that stayed, the chain says how the process ended, and limits go on where they were."""
    asked = asyncio.Event()

    async def note_and_hang(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await hang(arrived, writer)

    admin = ProxyAdmin(proxy.admin_path)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(admin.run())
        await admin.secret_add("key", CANARY, "key")
        await admin.open_door(DOOR, door_path(proxy))
        await admin.grant(DOOR, lease(Limits(model_calls=3)))
        assert (await ask_model(proxy)).status == 200
        upstream.respond = note_and_hang
        client = await open_client(proxy)
        host = f"127.0.0.1:{upstream.port}"
        await client.begin("POST", f"http://{host}/order", host=host, body=b"1")
        await asked.wait()
        proxy.end(signal.SIGKILL)
        assert await client.reader.read() == b""
        client.close()
        upstream.respond = say_json(USE)
        await asyncio.to_thread(proxy.start)
        (call,) = await admin.calls(TaskId("task_1"))
        assert (call.target, call.status) == (f"POST http://{host}/order", None)
        assert [(await ask_model(proxy)).status for _number in range(3)] == [200, 200, 402]
        health = await admin.health()
        assert (health.doors, health.leases) == ((DOOR,), (DOOR,))
        await admin.freeze(True)
        running.cancel()
    assert proxy.end(signal.SIGTERM) == 0
    assert verify_chain(proxy.home / "audit.db").rows > 0
    proxy.start()
    assert (await proxy.ask(lambda admin: admin.health())).is_frozen
    assert proxy.spilled(CANARY.encode()) == []


async def test_killed_the_moment_a_request_has_arrived(proxy: ProxyProcess, upstream: Upstream) -> None:
    """What an upstream has got is on record, also if the proxy is killed before its next commit."""

    async def kill(_arrived: Arrived, _writer: asyncio.StreamWriter) -> None:
        proxy.end(signal.SIGKILL)

    upstream.respond = kill
    async with asyncio.timeout(30):

        async def open_door(admin: ProxyAdmin) -> None:
            await admin.open_door(DOOR, door_path(proxy), lease=lease(Limits()))

        await proxy.ask(open_door)
        client = await open_client(proxy)
        host = f"127.0.0.1:{upstream.port}"
        await client.begin("GET", f"http://{host}/page", host=host)
        assert await client.reader.read() == b""
        client.close()
        await asyncio.to_thread(proxy.start)
        log = await proxy.ask(lambda admin: read_log(admin, AuditFilter()))
    told = [(row.kind, row.target.rpartition("/")[2], row.detail[-1:]) for row in log.rows if row.kind != "start"]
    assert told == [("begin", "page", ""), ("unclean", "", "1")]
    assert verify_chain(proxy.home / "audit.db").rows == 4


async def test_changed_files_count_from_the_next_lease(proxy: ProxyProcess, upstream: Upstream) -> None:
    """grants.yaml is read again when a lease is granted; a mistake in it grants nothing and is named."""
    admin = ProxyAdmin(proxy.admin_path)
    events: list[ProxyEvent] = []
    host = f"127.0.0.1:{upstream.port}"
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(admin.run(events.append))
        await admin.open_door(DOOR, door_path(proxy))
        codes = []
        for number, text in enumerate(
            ("- {hots: x}", "[]", f"- {{host: 127.0.0.1, scheme: http, port: {upstream.port}}}")
        ):
            (proxy.fork / "groups" / "main" / "grants.yaml").write_text(text)
            await admin.grant(DOOR, lease(Limits(), f"attempt_{number}"))
            client = await open_client(proxy)
            response = await client.ask("GET", f"http://{host}/", host=host)
            codes.append(response.headers.get("x-nightyard", str(response.status)))
            client.close()
        assert codes == ["grants_broken", "host_not_granted", "200"]
        assert [event.detail for event in events] == ["grants_broken", "host_not_granted"]
        running.cancel()


async def test_second_proxy_of_a_home_is_refused(proxy: ProxyProcess) -> None:
    """Two proxies never share a vault; the second says who is in the way."""
    environment = {**os.environ, **proxy.environment}
    command = [sys.executable, "-m", "services.credproxy"]
    second = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 3
    assert "another proxy runs" in second.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_memory_is_small_and_private(proxy: ProxyProcess) -> None:
    """Idle without a heavy module (bench credproxy holds it to the megabyte); no core file; its memory is root's."""
    assert proxy.process is not None
    folder = Path(f"/proc/{proxy.process.pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    assert int(status["VmRSS"].split()[0]) < 60_000
    assert "Max core file size        0                    0" in (folder / "limits").read_text()
    assert (folder / "mem").stat().st_uid == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_through_a_tunnel(short_folder: Path) -> None:
    """An unmodified curl, told of the proxy and its authority, reaches a TLS server with the injected key."""
    outside = CertificateAuthority(short_folder / "outside")
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=outside.context_for("localhost"))
    port = server.sockets[0].getsockname()[1]
    proxy = ProxyProcess(short_folder)
    (proxy.fork / "groups" / "main").mkdir()
    (proxy.fork / "groups" / "main" / "grants.yaml").write_text(
        f"- {{host: localhost, port: {port}, addresses: [127.0.0.1, '::1'], secret: key, inject: bearer}}"
    )
    with proxy.started(NIGHTYARD_UPSTREAM_CA=str(short_folder / "outside" / "ca.pem")):
        admin = ProxyAdmin(proxy.admin_path)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            running = group.create_task(admin.run())
            await admin.secret_add("key", CANARY, "key")
            await admin.open_door(DOOR, door_path(proxy))
            await admin.grant(DOOR, lease(Limits()))
            forwarder = Forwarder(door_path(proxy))
            listening = await asyncio.start_server(forwarder.carry, "127.0.0.1", 0)
            forwarder_port = listening.sockets[0].getsockname()[1]
            curl = await asyncio.create_subprocess_exec(
                "curl",
                "--silent",
                "--show-error",
                "--max-time",
                "10",
                "--proxy",
                f"http://127.0.0.1:{forwarder_port}",
                "--cacert",
                str(proxy.home / "ca" / "bundle.pem"),
                "--header",
                "Authorization: Bearer placeholder",
                "--data",
                "hello",
                f"https://localhost:{port}/anything",
                stdout=asyncio.subprocess.PIPE,
            )
            output, _errors = await curl.communicate()
            listening.close()
            await forwarder.end()
            running.cancel()
    server.close()
    await upstream.end()
    assert output == b"{}"
    assert upstream.inbox[0].header("authorization") == [f"Bearer {CANARY}"]
    assert upstream.inbox[0].body == b"hello"


class Forwarder:
    """Bytes between TCP connections and the door, as the agent's forwarder carries them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: set[asyncio.Task[None]] = set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._open.add(task)
        door_reader, door_writer = await asyncio.open_unix_connection(self._path)
        try:
            await asyncio.gather(copy(reader, door_writer), copy(door_reader, writer), return_exceptions=True)
        finally:
            for each in (door_writer, writer):
                each.close()
            await asyncio.gather(door_writer.wait_closed(), writer.wait_closed(), return_exceptions=True)
            self._open.discard(task)

    async def end(self) -> None:
        """Return when nothing is open any more."""
        while self._open:
            await asyncio.wait(self._open)


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(65536):
        sink.write(chunk)
        await sink.drain()
    sink.close()
