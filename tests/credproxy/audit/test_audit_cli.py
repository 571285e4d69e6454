"""`nightyard audit`, `secret log`, `approvals`, `approve` and `deny` against a real proxy, as a person types them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from credproxy.admin_client.link import ProxyAdmin, connect
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits
from tests.credproxy.process import ROOT, ProxyProcess
from tests.credproxy.street import Client, Upstream

DOOR = DoorId("door_aaaaaaaaaaaaaaaa")
LEASE = Lease(
    task_id=TaskId("task_1"),
    attempt_id=AttemptId("attempt_1"),
    group_id=GroupId("main"),
    effects=Effects.LIVE,
    limits=Limits(),
    routes=(),
)


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(slots=True)
class Place:
    """A proxy, an upstream that it may reach, a client at its door, a command line."""

    process: ProxyProcess
    upstream: Upstream
    client: Client
    admin: ProxyAdmin

    @property
    def host(self) -> str:
        return f"localhost:{self.upstream.port}"

    async def start(self, *arguments: str, stdin: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            "-m",
            "cli.main",
            *arguments,
            cwd=ROOT,
            env={**os.environ, **self.process.environment},
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> Ran:
        process = await self.start(*arguments)
        out, err = await process.communicate()
        return Ran(process.returncode or 0, out.decode(), err.decode())


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Place]:
    process, upstream = ProxyProcess(folder), Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    grants = process.fork / "groups" / "main" / "grants.yaml"
    grants.parent.mkdir()
    rule = f"host: localhost, scheme: http, port: {upstream.port}, addresses: [127.0.0.1, '::1']"
    grants.write_text(f"- {{{rule}, methods: [GET]}}\n- {{{rule}, methods: [POST], approval: true}}\n", "utf-8")
    door = process.home / "run" / "c" / "proxy.sock"
    with process.started():
        door.parent.mkdir(parents=True, exist_ok=True)
        async with asyncio.timeout(60), connect(process.admin_path, answer_timeout_s=20) as admin:
            await admin.open_door(DOOR, door)
            await admin.grant(DOOR, LEASE)
            client = Client(*await asyncio.open_unix_connection(door))
            try:
                yield Place(process, upstream, client, admin)
            finally:
                client.close()
                server.close()
                await upstream.end()


@pytest.fixture
async def place(short_folder: Path) -> AsyncIterator[Place]:
    async with opened(short_folder) as place:
        yield place


async def test_log_totals_and_chain(place: Place) -> None:
    """What went out and what was refused, in words; sums of the day; and the head of a chain that is whole."""
    assert (await place.client.ask("GET", f"http://{place.host}/notes?q=private", host=place.host)).status == 200
    await place.client.ask("GET", "http://other.example/\x7e", host="other.example")
    log = await place.run("audit", "log")
    assert (log.code, log.err) == (0, "")
    sent = next(line for line in log.out.splitlines() if "/notes" in line)
    assert f"200        main  GET http://{place.host}/notes  0 bytes out, 2 bytes in  by main:1" in sent
    assert "private" not in log.out
    refused = next(line for line in log.out.splitlines() if "other.example" in line)
    assert "denied" in refused
    assert "host_not_granted" in refused
    assert (await place.run("secret", "log", "--denied")).out == f"{refused}\n"
    rows = [json.loads(line) for line in (await place.run("audit", "log", "--json", "--begins")).out.splitlines()]
    assert [row["kind"] for row in rows] == ["start", "begin", "end", "denied"]
    assert "Nothing like that" in (await place.run("audit", "log", "--group", "nobody")).out
    assert (await place.run("audit", "log", "--since", "yesterday")).code == 2

    totals = await place.run("audit", "totals")
    assert totals.out.splitlines()[1].split()[:4] == ["group", "requests", "denied", "failed"]
    assert totals.out.splitlines()[2].split()[:4] == ["main", "1", "1", "0"]
    found = json.loads((await place.run("audit", "totals", "--by", "host", "--json", "--days", "3")).out)
    assert {row["key"]: row["requests"] for row in found["traffic"]} == {place.host: 1, "other.example": 0}
    assert "nothing went out" in (await place.run("audit", "totals", "--day", "2001-02-03")).out

    whole = json.loads((await place.run("audit", "verify", "--json")).out)
    assert (whole["broken"], whole["entries"], whole["first"]) == ("", 4, 1)
    assert (await place.run("audit", "verify", "--head", whole["head"])).code == 0
    other = f"4:{'0' * 64}"
    forged = await place.run("audit", "verify", "--head", other)
    assert forged.code == 1
    assert "it was written anew" in forged.err
    assert (await place.run("audit", "verify", "--head", "4:nonsense")).code == 2


async def test_changed_row_is_told_with_its_file(place: Place) -> None:
    """Also while the proxy runs."""
    connection = sqlite3.connect(place.process.home / "audit.db")
    connection.execute("UPDATE entries SET detail = 'x' WHERE seq = 1")
    connection.commit()
    connection.close()
    ran = await place.run("audit", "verify")
    assert ran.code == 1
    assert f"{place.process.home / 'audit.db'} was changed behind Nightyard's back" in ran.err


async def test_log_is_followed(place: Place) -> None:
    """Rows appear as they are written, until the reader has enough."""
    following = await place.start("audit", "log", "--follow", "--json")
    assert following.stdout is not None
    assert json.loads(await following.stdout.readline())["kind"] == "start"
    await place.client.ask("GET", f"http://{place.host}/followed", host=place.host)
    row = json.loads(await following.stdout.readline())
    assert (row["kind"], row["status"]) == ("end", 200)
    following.terminate()
    await following.communicate()


async def test_request_is_shown_and_let_out(place: Place) -> None:
    """The list shows what would be sent and both commands; yes sends it, no tells the agent why."""
    nothing = await place.run("approvals")
    assert (nothing.code, nothing.out) == (0, "Nothing waits for approval at the proxy; the host is not running.\n")
    assert (await place.run("approve")).code == 1
    for word in ("approve", "deny"):
        await place.client.begin("POST", f"http://{place.host}/pay", host=place.host, body=b"to=bob\x1b[2J")
        waiting: list[dict[str, str]] = []
        while not waiting:
            waiting = json.loads((await place.run("approvals", "--json")).out)
        approval_id = waiting[0]["approval_id"]
        shown = await place.run("approvals", approval_id, "--full")
        assert f"    POST http://{place.host}/pay\n" in shown.out
        assert "    | to=bob⟨U+001B⟩[2J\n" in shown.out
        assert f"./nightyard approve {approval_id}" in shown.out
        if word == "approve":
            assert (await place.run("approve", approval_id)).out == f"{approval_id} goes out.\n"
            assert (await place.client.read_response()).status == 200
            assert place.upstream.inbox[-1].body == b"to=bob\x1b[2J"
        else:
            told = await place.run("deny", approval_id, "--because", "no more today")
            assert told.out == f"{approval_id} is refused.\n"
            response = await place.client.read_response()
            assert response.status == 403
            assert b"no more today" in response.body
        late = await place.run("approve", approval_id)
        assert late.code == 1
        assert "nothing waits for approval as" in late.err
    assert len(place.upstream.inbox) == 1


async def test_what_waits_is_gone_through_at_a_terminal(place: Place) -> None:
    """Without an id each request is shown and asked about; `later` leaves it where it is."""
    await place.client.begin("POST", f"http://{place.host}/pay", host=place.host, body=b"to=bob")
    while not json.loads((await place.run("approvals", "--json")).out):
        pass  # each look is a command and a question to the proxy
    for answer in ("later", "yes"):
        ours, theirs = pty.openpty()
        try:
            asking = await place.start("approve", stdin=theirs)
            os.write(ours, f"{answer}\n".encode())
            out, err = await asking.communicate()
        finally:
            os.close(ours)
            os.close(theirs)
        assert (asking.returncode, err) == (0, b"")
        assert b"    | to=bob\n" in out
        assert b"Let it go?" in out
    assert (await place.client.read_response()).status == 200
    assert len(place.upstream.inbox) == 1


async def test_proxy_that_is_down_is_said_with_its_mend(short_folder: Path) -> None:
    """Only the chain is checked without it."""
    process = ProxyProcess(short_folder)
    environment = {**os.environ, **process.environment}
    for arguments, code in ((("audit", "log"), 3), (("approvals",), 3), (("audit", "verify"), 0)):
        ran = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli.main",
            *arguments,
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _out, err = await ran.communicate()
        assert ran.returncode == code
        assert code == 0 or err.decode().endswith("mend: ./nightyard up\n")
