"""The story of a message: what it waited for, who was asked and said what, what went out, and what is not known."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.trace_text import build_trace, build_unknown
from credproxy.admin_client.link import ProxyAdmin
from credproxy.audit.entry import AuditEntry
from protocol.ids import PersonKey, TaskId
from protocol.link import Answered
from protocol.transcript import ToolCall
from runtime.approvals.approvals import Approvals
from runtime.approvals.records import NewApproval
from runtime.lasting.trace import MAX_EGRESS, TraceDesk
from runtime.store import pause_rows
from runtime.submission import NewSubmission
from runtime.waiting_tasks import Asked
from tests.credproxy.street import Street
from tests.runtime.host_bench import MAIN, TIMEOUT_S, HostBench, ScriptedAgent, open_bench

CALL = ToolCall(call_id="call_1", name="ask", arguments={})
OLGA = PersonKey("stage:olga")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        yield opened


def desk_of(bench: HostBench, proxy: ProxyAdmin | None = None) -> TraceDesk:
    return TraceDesk(bench.store, proxy or ProxyAdmin(bench.home.path / "no.sock"), lambda: ())


async def tell(desk: TraceDesk, reference: str) -> tuple[list[str], str]:
    """Return the rows of a story without their times, and what of it is not known."""
    trace: Any = await desk.trace(reference)
    rows = build_trace(trace)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    return [f"{what}: {detail}" for _, what, detail in rows], build_unknown(trace)


async def until_delivered(bench: HostBench, reference: str) -> list[str]:
    """Wait until a story ends with a delivery; return its rows."""
    async with asyncio.timeout(TIMEOUT_S):
        while not (rows := (await tell(desk_of(bench), reference))[0])[-1].startswith("delivered"):
            pass
    return rows


def place(rows: list[str], beginning: str) -> int:
    """Return where a row with this beginning stands."""
    return next(number for number, row in enumerate(rows) if row.startswith(beginning))


async def ask_and_say(agent: ScriptedAgent) -> None:
    """Ask; once suspended and gone on, say what was found among the steps."""
    if agent.assignment.steps:
        await agent.reply("done")
        return
    await agent.turn(0, "", CALL)
    await agent.tool_started(1, CALL)
    answered: Answered = await agent.ask("yes", call=CALL, text="May I?", timeout_s=3600.0)
    await agent.reply(answered.answer)


async def test_who_was_asked_and_who_said_what(bench: HostBench) -> None:
    """A task that waits for a person tells of the question, that it gave its container up, whose word let it go on, of
    a no with its reason, and when its answer was delivered: each in its place."""
    waiting: asyncio.Queue[Asked] = asyncio.Queue()

    async def room(asked: Asked) -> None:
        waiting.put_nowait(asked)

    bench.rooms["yes"] = room
    bench.suspend_after_s = 0.05
    bench.room.scripts = [ask_and_say, ask_and_say]
    approvals = Approvals(
        bench.store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda _: bench.home.path
    )
    await bench.store.save_person(OLGA, "Olga", "owner", "cli")
    async with bench.host():
        message = await bench.say("do it")
        async with asyncio.timeout(TIMEOUT_S):
            asked = await waiting.get()
            while (row := await bench.store.task(asked.task.task_id)) is None or row.state != "suspended":
                await bench.dispatcher.idle()
        new = NewApproval(kind="tool", group_id=MAIN, task_id=row.task_id, payload={"a": 1}, summary="mail to Bob")
        first = await approvals.ask(new)
        second = await approvals.ask(replace(new, payload={"a": 2}, summary="mail to Eve"))
        rows, _ = await tell(desk_of(bench), message)
        assert f"asked: mail to Bob: waits for a decision (./nightyard approvals {first.approval_id})" in rows
        await approvals.decide(first.approval_id, OLGA, is_yes=True, remember=None)
        await approvals.decide(second.approval_id, "cli", is_yes=False, remember=None, because="not her")
        assert await bench.waiting.resume(row.task_id, asked.ask.call_id, "yes")
        rows = await until_delivered(bench, message)
    order = [
        "message:",
        "queued: taken up after 0.",
        f"task: {row.task_id}",
        "attempt 1:",
        "step 1: tool began: ask",
        "asked: “May I?”",
        "suspended: waits for a person, without a container",
        f"asked: mail to Bob (tool {first.approval_id})",
        f"decided: {first.approval_id} yes by stage:olga",
        f"decided: {second.approval_id} no: not her by cli",
        "answered: “yes”",
        "resumed: goes on in a new attempt",
        "attempt 2:",
        "result: reply “done”",
        "delivered: sent to stage:1: “done”",
    ]
    assert [place(rows, each) for each in order] == sorted(place(rows, each) for each in order), rows


async def test_what_a_message_waits_for(bench: HostBench) -> None:
    """A message that is not begun says how many are before it, why its agent is held back, and what it was told."""
    await bench.file("first")
    second = await bench.file("second")
    assert (await tell(desk_of(bench), second.message_id))[0][3:] == ["queued: waits, behind 1 of this agent's"]
    await bench.store.write(pause_rows.pause, MAIN, "budget", "today's money is spent", "host")
    await bench.store.set_frozen(True, "cli")
    (row,) = [row for row in (await tell(desk_of(bench), second.message_id))[0] if row.startswith("queued")]
    assert "behind 1 of this agent's; everything is frozen" in row
    assert "held back: today's money is spent" in row
    assert (await tell(desk_of(bench), second.message_id))[1] == ""
    async with bench.host() as dispatcher:
        dispatcher.arrived(second)
        (told,) = await bench.channel.texts(1)
        rows = await until_delivered(bench, second.message_id)
    assert rows[-1].startswith("delivered: sent to stage:1: “") and told[:20] in rows[-1]


async def test_work_that_no_message_brought_was_queued_too(bench: HostBench) -> None:
    """A task of a schedule or program tells when it was submitted, and how long it waited."""

    async def answer(agent: ScriptedAgent) -> None:
        await agent.reply("done")

    bench.room.scripts = [answer]
    async with bench.host():
        submitted = await bench.submissions.submit(NewSubmission(submitter="cli", group_id=MAIN, prompt="work"))
        async with asyncio.timeout(TIMEOUT_S):
            ended = await bench.submissions.wait_ended(submitted.submission_id)
    rows, _ = await tell(desk_of(bench), ended.task_id)
    assert rows[0].startswith("queued: no message brought it; taken up after ")


async def test_requests_beyond_the_limit_are_counted(bench: HostBench) -> None:
    """Of very many requests the first are told one by one; how many more there are, and how to see them, is said. With
    the proxy away that is said, not nothing."""

    async def answer(agent: ScriptedAgent) -> None:
        await agent.reply("done")

    bench.room.scripts = [answer]
    async with bench.host():
        message = await bench.say("do it")
        await bench.channel.texts(1)
        await bench.idle()
    task_id = bench.room.assignments[0].task.task_id
    with tempfile.TemporaryDirectory(prefix="cp-") as folder:
        street = Street(Path(folder))
        async with street.open():
            await _refuse(street, task_id, MAX_EGRESS)
            rows, unknown = await tell(desk_of(bench, street.admin), message)
            assert sum(row.startswith("refused: GET https://example.org/") for row in rows) == MAX_EGRESS
            assert unknown == ""
            await _refuse(street, task_id, 3)
            rows, unknown = await tell(desk_of(bench, street.admin), message)
            assert sum(row.startswith("refused") for row in rows) == MAX_EGRESS
            assert unknown == f"3 more requests: ./nightyard audit log --task {task_id} -n 500"
    assert (await tell(desk_of(bench), message))[1].startswith("the proxy is away: requests and cost are not known")


async def _refuse(street: Street, task_id: TaskId, times: int) -> None:
    for _ in range(times):
        entry = AuditEntry(
            kind="denied", group_id=MAIN, task_id=task_id, target="GET https://example.org/", detail="host_not_granted"
        )
        await street.proxy.audit.note(entry)
