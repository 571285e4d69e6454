"""Attacks on what the proxy leaves behind: logs, files, copies and core files of a real process (51, 53, 54)."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from credproxy.admin_client.link import ProxyAdmin
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits
from tests.credproxy.process import ROOT, ProxyProcess
from tests.credproxy.street import CANARY, Arrived, Client, Response, Upstream, say, say_json
from tests.security.proxy.scene import PATIENCE_S, backup_of, finds

DOOR = DoorId("door_dddddddddddddddd")
USE = b'{"model":"claude-haiku-4-5","usage":{"input_tokens":3,"output_tokens":2}}'


async def break_off(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    writer.transport.abort()


TROUBLES = {
    "a whole answer": say_json(USE),
    "the secret in the answer": say_json(b'{"error": "bad key ' + CANARY.encode() + b'"}'),
    "the secret in a header": say(b"HTTP/1.1 401 No\r\nX-Key: " + CANARY.encode() + b"\r\nContent-Length: 0\r\n\r\n"),
    "the secret in a broken head": say(b"HTTP/1.1 200 OK\r\nX " + CANARY.encode() + b"\r\n\r\n"),
    "the secret in a broken chunk": say(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CANARY.encode() + b"\r\n"
    ),
    "the secret as a status": say(b"HTTP/1.1 " + CANARY.encode() + b"\r\n\r\n"),
    "an answer that breaks off": break_off,
    "nothing": say(b"", closes=True),
}
"""Errors, each of which ends in a log line, an audit row and an answer that somebody wrote a sentence for."""


class House:
    """A proxy process with a model route to an upstream that makes trouble, and a client at its door."""

    def __init__(self, folder: Path) -> None:
        self.proxy = ProxyProcess(folder)
        self.upstream = Upstream(respond=say_json(USE))
        self.received = bytearray()
        self.door_path = self.proxy.home / "run" / "c" / "dd" / "proxy.sock"

    @asynccontextmanager
    async def open(self, **variables: str) -> AsyncIterator[ProxyAdmin]:
        server = await asyncio.start_server(self.upstream.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        (self.proxy.fork / "nightyard.yaml").write_text(
            f"routes: {{claude: {{api: anthropic, url: 'http://127.0.0.1:{port}', secret: key}}}}\n"
        )
        self.door_path.parent.mkdir(parents=True)
        lease = Lease(
            task_id=TaskId("task_1"),
            attempt_id=AttemptId("attempt_1"),
            group_id=GroupId("main"),
            effects=Effects.LIVE,
            limits=Limits(),
            routes=("claude",),
        )
        with self.proxy.started(**variables):
            admin = ProxyAdmin(self.proxy.admin_path)
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                running = group.create_task(admin.run())
                await admin.secret_add("key", CANARY, "key")
                await admin.open_door(DOOR, self.door_path)
                await admin.grant(DOOR, lease)
                try:
                    yield admin
                finally:
                    running.cancel()
        server.close()
        await self.upstream.end()

    async def ask(self, method: str = "POST", target: str = "/m/claude/v1/messages") -> Response:
        client = Client(*await asyncio.open_unix_connection(self.door_path))
        try:
            async with asyncio.timeout(PATIENCE_S):
                response = await client.ask(method, target, body=b"{}")
        finally:
            client.close()
        self.received += repr(response).encode()
        return response

    async def try_to_ask(self) -> None:
        """Ask, whatever comes of it; all that came is kept."""
        reader, writer = await asyncio.open_unix_connection(self.door_path)
        head = b"POST /m/claude/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        writer.write(head + b"{}")
        async with asyncio.timeout(PATIENCE_S):
            self.received += await reader.read()
        writer.close()

    @property
    def pid(self) -> int:
        assert self.proxy.process is not None
        return self.proxy.process.pid

    def leaks(self) -> list[str]:
        found = ["a client"] if finds(bytes(self.received)) else []
        for file in sorted(self.proxy.home.rglob("*")):
            if file.is_file():
                found += [file.name] if finds(file.read_bytes()) else []
                found += [f"backup of {file.name}"] if file.suffix == ".db" and finds(backup_of(file)) else []
        return found


@pytest.fixture
def house(short_folder: Path) -> House:
    return House(short_folder)


async def test_no_trouble_writes_a_secret_down(house: House) -> None:
    """After every kind of error, alive and after its end: no log, database, log of writes or backup holds the secret,
    while the upstream had it each time (53, 54)."""
    async with house.open() as admin:
        for respond in TROUBLES.values():
            house.upstream.respond = respond
            await house.try_to_ask()
        house.received += repr(await admin.secret_list()).encode()
        house.received += repr(await admin.routes()).encode()
        house.received += repr(await admin.health()).encode()
        assert house.leaks() == []
    assert len(house.upstream.inbox) >= len(TROUBLES)
    assert all(finds(arrived.raw) for arrived in house.upstream.inbox)
    assert (house.proxy.home / "logs" / "credproxy.log").stat().st_size > 0
    assert house.leaks() == []


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT, signal.SIGKILL])
async def test_crash_leaves_nothing_in_clear(house: House, number: signal.Signals) -> None:
    """A proxy that is killed or crashes, where core files are allowed, leaves neither one of those nor the secret in
    what it had not yet put away (54)."""
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
    # A shell that starts the tests in the background has them, and what they start, ignore this one.
    quit_before = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    before = set(ROOT.glob("core*"))
    try:
        async with house.open():
            assert (await house.ask()).status == 200
            house.proxy.end(number)
    except BaseExceptionGroup:
        assert house.proxy.process is not None
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
        signal.signal(signal.SIGQUIT, quit_before)
    assert house.proxy.process is not None
    assert house.proxy.process.returncode == -number
    assert set(ROOT.glob("core*")) == before
    assert house.leaks() == []


async def test_environment_and_arguments_hold_no_secret(house: House) -> None:
    """What any user can read of the process, and what its own user can, names no secret (54)."""
    async with house.open():
        assert (await house.ask()).status == 200
        folder = Path(f"/proc/{house.pid}")
        assert not finds((folder / "cmdline").read_bytes() + (folder / "environ").read_bytes())
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        assert status["State"]
        assert "Max core file size        0                    0" in (folder / "limits").read_text()


async def test_every_file_is_its_owners_alone(house: House) -> None:
    """No file of the proxy's but the two that containers mount can be read by others (51, 54)."""
    async with house.open():
        assert (await house.ask()).status == 200
        loose = {
            file.name
            for file in house.proxy.home.rglob("*")
            if (file.is_file() or file.is_socket()) and stat.S_IMODE(file.stat().st_mode) & 0o077
        }
    assert loose <= {"ca.pem", "bundle.pem"}


@pytest.mark.parametrize("how", ["sqlite", "files"])
async def test_backup_holds_no_secret_and_opens_only_with_its_key(house: House, tmp_path: Path, how: str) -> None:
    """A copy of the databases, by SQLite's own backup or file by file, shows no value (54)."""
    async with house.open():
        assert (await house.ask()).status == 200
        for file in house.proxy.home.glob("*.db*"):
            if how == "files":
                (tmp_path / file.name).write_bytes(file.read_bytes())
            elif file.suffix == ".db":
                (tmp_path / file.name).write_bytes(backup_of(file))
    copied = [file for file in tmp_path.iterdir() if file.is_file()]
    assert {"vault.db", "audit.db"} <= {file.name for file in copied}
    assert not any(finds(file.read_bytes()) for file in copied)
    with closing(sqlite3.connect(tmp_path / "vault.db")) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in database.execute(f"SELECT * FROM {table}")]
    assert rows
    assert not finds(repr(rows).encode())


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root, to become another user")
async def test_its_own_user_cannot_read_its_memory(short_folder: Path) -> None:
    """A process of the same user, without root's powers, can neither open the proxy's memory nor attach to it (54)."""
    script = (
        "import ctypes, os, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from services.credproxy import keep_memory_private\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "read, write = os.pipe()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    keep_memory_private(); os.write(write, b'.'); os.read(0, 1); os._exit(0)\n"
        "os.read(read, 1)\n"
        "results = []\n"
        "try:\n"
        "    open(f'/proc/{pid}/mem', 'rb').close(); results.append('read')\n"
        "except OSError as error:\n"
        "    results.append(type(error).__name__)\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "results.append(str(libc.ptrace(16, pid, 0, 0)))\n"
        "print(*results)\n"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script],
        input="x",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.split() == ["PermissionError", "-1"], done.stderr
