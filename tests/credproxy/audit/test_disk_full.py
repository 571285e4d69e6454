"""A disk that fills up under the proxy, as its process meets it: nothing goes out unrecorded, nothing is lost in
silence, and all goes on when there is room again."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from pathlib import Path

import pytest

from credproxy.admin_client.audit import AuditFilter, AuditRow, read_log
from credproxy.admin_client.link import ProxyAdmin, connect
from credproxy.audit.chain import verify_chain
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits
from tests.credproxy.process import ProxyProcess
from tests.credproxy.street import Arrived, Client, Upstream

DOOR = DoorId("door_aaaaaaaaaaaaaaaa")
LEASE = Lease(
    task_id=TaskId("task_1"),
    attempt_id=AttemptId("attempt_1"),
    group_id=GroupId("main"),
    effects=Effects.LIVE,
    limits=Limits(),
    routes=(),
)


async def rows(admin: ProxyAdmin, *kinds: str) -> tuple[AuditRow, ...]:
    return (await read_log(admin, AuditFilter(kinds=kinds), limit=500)).rows


@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits are set by prlimit(2)")
async def test_full_disk_stops_requests_and_loses_none(short_folder: Path) -> None:
    """While no row can be written requests are refused, and the end of one under way is kept; with room again its row
    is there, and another that says how many were refused meanwhile."""
    process = ProxyProcess(short_folder)
    upstream = Upstream()
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer_later(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await may_answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

    upstream.respond = answer_later
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    grants = process.fork / "groups" / "main" / "grants.yaml"
    grants.parent.mkdir()
    grants.write_text(
        f"- {{host: localhost, scheme: http, port: {upstream.port}, addresses: [127.0.0.1, '::1']}}\n", "utf-8"
    )
    door_path = process.home / "run" / "c" / "proxy.sock"
    with process.started():
        assert process.process is not None
        pid = process.process.pid
        async with asyncio.timeout(60), connect(process.admin_path, answer_timeout_s=20) as admin:
            door_path.parent.mkdir(parents=True, exist_ok=True)
            await admin.open_door(DOOR, door_path)
            await admin.grant(DOOR, LEASE)
            reader, writer = await asyncio.open_unix_connection(door_path)
            under_way, late = Client(reader, writer), Client(*await asyncio.open_unix_connection(door_path))
            url = f"http://localhost:{upstream.port}/"
            host = f"localhost:{upstream.port}"
            await under_way.begin("GET", f"{url}one", host=host)
            await asked.wait()
            await admin.health()

            before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
            refused = await late.ask("GET", f"{url}two", host=host)
            assert (refused.status, json.loads(refused.body)["error"]["code"]) == (503, "audit_failed")
            may_answer.set()
            assert (await under_way.read_response()).body == b"done"
            refused = await late.ask("GET", "http://other.example/", host="other.example")
            assert refused.status == 503
            problems = (await admin.health()).problems
            assert any("cannot be written, so nothing goes out" in problem for problem in problems), problems
            assert len(upstream.inbox) == 1

            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
            assert (await late.ask("GET", f"{url}three", host=host)).status == 200
            ends = await rows(admin, "end")
            gap = await rows(admin, "gap")
            assert not any("cannot be written" in problem for problem in (await admin.health()).problems)
            for client in (under_way, late):
                client.close()
    server.close()
    await upstream.end()
    assert any(row.target.endswith("/one") and row.status == 200 for row in ends), ends
    assert len(gap) == 1
    assert gap[0].detail.startswith("rows not written: 2 since ")
    assert verify_chain(process.home / "audit.db").rows > 5
    assert [arrived.line.split()[1] for arrived in upstream.inbox] == ["/one", "/three"]


@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits are set by prlimit(2)")
async def test_end_of_a_process_that_could_not_write_is_unclean(short_folder: Path) -> None:
    """A proxy that ends with rows it could not write says nothing of a clean end: the next start says so."""
    process = ProxyProcess(short_folder)
    with process.started():
        assert process.process is not None
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        process.end(signal.SIGTERM)
    with process.started():
        async with asyncio.timeout(30), connect(process.admin_path, answer_timeout_s=20) as admin:
            kinds = [row.kind for row in (await read_log(admin, AuditFilter())).rows]
    assert kinds == ["start", "unclean", "start"]
    verify_chain(process.home / "audit.db")
