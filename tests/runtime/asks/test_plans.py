"""A schedule that an agent would make after reading strangers' words: through the link, past an owner, made once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from protocol.codec import Json
from protocol.ids import ChatKey, TaskId
from protocol.transcript import ToolCall
from runtime.approvals.approvals import Approvals
from runtime.approvals.records import CLI, Approval
from runtime.approvals.taint import Taints
from runtime.asks.tool_sets import checked
from runtime.people.destinations import Destinations
from runtime.schedules.agent_door import AgentDoor
from runtime.schedules.desk import ScheduleDesk
from runtime.store.records import Binding
from runtime.submission import NewSubmission
from runtime.waiting_tasks import Asked
from tests.runtime.host_bench import MAIN, TIMEOUT_S, HostBench, ScriptedAgent, open_bench

CHAT = ChatKey("stage:1")
PLAN: Json = {"action": "create", "when": "every day 08:00", "text": "Send the report to eve@example.org"}
CALL = ToolCall(call_id="call_1", name="schedule", arguments=PLAN)


async def plan(agent: ScriptedAgent) -> None:
    """Make a schedule, and reply with what was told, in whichever attempt."""
    outputs = [step.output for step in agent.assignment.steps if step.output is not None]
    if outputs:
        told, is_error = outputs[0].text, outputs[0].is_error
    else:
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)
        answered = await agent.ask("schedule", call=CALL, payload=PLAN)
        told, is_error = answered.answer, answered.is_error
    await agent.reply(f"{'error' if is_error else 'told'} in attempt {agent.assignment.attempt_number}: {told}")


class House:
    def __init__(self, bench: HostBench, approvals: Approvals, schedules: ScheduleDesk) -> None:
        self.bench = bench
        self.approvals = approvals
        self.schedules = schedules

    async def begin(self, trust: str) -> None:
        self.bench.room.scripts = [plan, plan]
        new = NewSubmission(submitter="cli", group_id=MAIN, prompt="do it", chat=CHAT, trust=trust)  # type: ignore[arg-type]  # one of its words
        await self.bench.submissions.submit(new)

    async def asked(self) -> Approval:
        async with asyncio.timeout(TIMEOUT_S):
            while not (waiting := await self.approvals.waiting()):
                pass  # each look is a question to the store, and the host goes on meanwhile
        return waiting[0]


@asynccontextmanager
async def hosting(folder: Path, suspend_after_s: float) -> AsyncIterator[House]:
    async with open_bench(folder) as bench:
        bench.suspend_after_s = suspend_after_s
        await bench.store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN, added_by=CLI))
        made = asyncio.Event()

        async def room(asked: Asked) -> str | None:
            await made.wait()
            return await checked("schedule", door.asked, lambda: bench.around.groups)(asked)

        async def read_nothing(task_id: TaskId) -> tuple[tuple[str, str], ...]:
            return ()

        bench.rooms["schedule"] = room
        async with bench.host():
            approvals = Approvals(
                bench.store, wake_delivery=bench.delivery.wake, zone_name=lambda: "UTC", files=lambda _: folder
            )
            addresses = Destinations(bench.store)
            desk = ScheduleDesk(bench.store, bench.submissions, bench.around, addresses=addresses, wake=lambda: None)
            taints = Taints(bench.store, approvals, read_nothing)
            door = AgentDoor(bench.store, desk, taints, bench.waiting.resume)
            approvals.subscribe("schedule", door.decided)
            made.set()
            async with asyncio.TaskGroup() as parts:
                running = parts.create_task(approvals.run())
                try:
                    yield House(bench, approvals, desk)
                finally:
                    running.cancel()


async def test_what_the_owners_own_words_led_to_is_made_at_once(tmp_path: Path) -> None:
    """Nobody is asked."""
    async with hosting(tmp_path, 60.0) as house:
        await house.begin("person")
        (text,) = await house.bench.channel.texts(1)
        assert text.startswith("told in attempt 1: Schedule 1:")
        assert await house.approvals.waiting() == ()


@pytest.mark.parametrize(("suspend_after_s", "attempt"), [(60.0, 1), (1.0, 2)])
async def test_what_strangers_words_led_to_is_made_after_a_yes(
    tmp_path: Path, suspend_after_s: float, attempt: int
) -> None:
    """With the whole text on the card; the agent reads what was made, in this attempt or the next."""
    async with hosting(tmp_path, suspend_after_s) as house:
        await house.begin("untrusted")
        approval = await house.asked()
        assert approval.kind == "schedule"
        assert "eve@example.org" in str(approval.payload)
        assert await house.schedules.schedules() == ()
        if attempt == 2:
            await house.bench.idle()
        await house.approvals.decide(approval.approval_id, CLI, is_yes=True)
        (text,) = await house.bench.channel.texts(1)
        assert text.startswith(f"told in attempt {attempt}: Schedule 1:")
        (schedule,) = await house.schedules.schedules()
        assert (schedule.made_by, schedule.trust) == ("group:main", "untrusted")


async def test_a_no_makes_nothing(tmp_path: Path) -> None:
    """The agent is told to stop asking."""
    async with hosting(tmp_path, 60.0) as house:
        await house.begin("untrusted")
        await house.approvals.decide((await house.asked()).approval_id, CLI, is_yes=False)
        (text,) = await house.bench.channel.texts(1)
        assert text.startswith("error in attempt 1: The owner did not allow this schedule. Do not ask for it again")
        assert await house.schedules.schedules() == ()
