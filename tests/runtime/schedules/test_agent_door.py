"""The door for agents: schedules of their own, capped, and with an owner's yes where strangers' words were read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, TaskId
from protocol.link import Ask
from runtime.approvals.approvals import Approvals
from runtime.approvals.records import Approval, NewApproval
from runtime.people.records import Destination
from runtime.refusal import OperationRefused
from runtime.schedules.agent_door import MAX_PER_TASK, AgentDoor
from runtime.store import submission_rows
from runtime.store.records import TaskRow
from runtime.submissions import NewSubmission
from runtime.waiting_tasks import Asked
from tests.runtime.schedules.bench import CHAT, MAIN, OWNER_CHAT, START, Bench, open_bench

ELSEWHERE = ChatKey("telegram:500")


class Guard:
    """Asks owners where `is_tainted` says that something untrusted was read, with real approvals."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals
        self.is_tainted = False

    async def guard(
        self,
        kind: Literal["memory", "skill", "schedule"],
        *,
        task_id: TaskId,
        group_id: GroupId,
        payload: Json,
        summary: str,
        key: str = "",
    ) -> Approval | None:
        if not self.is_tainted:
            return None
        new = NewApproval(kind=kind, group_id=group_id, task_id=task_id, payload=payload, summary=summary, key=key)
        return await self._approvals.ask(new)


class Agent:
    """An agent of main at work, and what it was told."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.approvals = Approvals(
            bench.store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda group_id: folder
        )
        self.guard = Guard(self.approvals)
        self.door = AgentDoor(bench.store, bench.desk, self.guard, self._resume)
        self.told: list[tuple[str, bool]] = []
        self._calls = 0

    async def _resume(self, task_id: TaskId, call_id: str, answer: str, *, is_error: bool = False) -> bool:
        self.told.append((answer, is_error))
        return True

    async def task(self) -> TaskRow:
        new = NewSubmission(submitter="cli", group_id=MAIN, prompt="Remind me", chat=CHAT)
        submission = await self.bench.submissions.submit(new)
        return (await self.bench.store.write(submission_rows.claim, submission.submission_id)).task

    async def asks(self, task: TaskRow, call_id: str = "", /, **payload: Json) -> str | None:
        self._calls += 1
        ask = Ask(call_id=call_id or f"call_{self._calls}", kind="schedule", payload=payload)
        return await self.door.asked(Asked(task=task, ask=ask))


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    async with open_bench(tmp_path) as bench:
        yield Agent(bench, tmp_path)


CREATE: dict[str, Json] = {"action": "create", "when": "every day 08:00", "text": "Remind Anna"}


async def test_an_agent_makes_a_schedule_for_the_chat_it_works_in(agent: Agent) -> None:
    """It is told the number, the schedule runs with an agent's trust, and asked again it is the same schedule."""
    task = await agent.task()
    said = await agent.asks(task, "call_x", **CREATE)
    assert said is not None
    assert said.startswith("Schedule 1: cron 0 8 * * * (Europe/Berlin)")
    assert await agent.asks(task, "call_x", **CREATE) == said
    schedule = await agent.bench.desk.find(1)
    assert (schedule.chat, schedule.made_by, schedule.trust) == (CHAT, "group:main", "agent")
    assert "Remind Anna" in (await agent.asks(task, action="list") or "")
    assert await agent.asks(task, action="pause", schedule=1) == "Schedule 1 is paused."
    assert await agent.asks(task, action="resume", schedule=1) == "Schedule 1 goes on."
    assert "has not run yet" in (await agent.asks(task, action="history", schedule=1) or "")
    assert await agent.asks(task, action="cancel", schedule=1) == "Schedule 1 is removed."


async def test_what_comes_of_strangers_words_waits_for_an_owner(agent: Agent) -> None:
    """After reading the web nothing is made before an owner says yes; then it is, marked as untrusted, once."""
    agent.guard.is_tainted = True
    assert await agent.asks(await agent.task(), **CREATE) is None
    assert await agent.bench.desk.schedules() == ()
    (approval,) = await agent.approvals.waiting()
    decision = await agent.approvals.decide(approval.approval_id, "cli", is_yes=True)
    for _ in range(2):
        await agent.door.decided(decision.approval)
    (schedule,) = await agent.bench.desk.schedules()
    assert (schedule.trust, schedule.made_by) == ("untrusted", "group:main")
    assert agent.told[0][0].startswith("Schedule 1:")
    assert agent.told[0][1] is False
    agent.bench.now = START
    await agent.bench.at(schedule.next_due_at or START)
    (submission,) = await agent.bench.queued()
    assert submission.new.trust == "untrusted"


async def test_an_owners_no_is_told_and_makes_nothing(agent: Agent) -> None:
    """Denied, the agent is told to stop asking."""
    agent.guard.is_tainted = True
    await agent.asks(await agent.task(), **CREATE)
    (approval,) = await agent.approvals.waiting()
    decision = await agent.approvals.decide(approval.approval_id, "cli", is_yes=False)
    await agent.door.decided(decision.approval)
    assert await agent.bench.desk.schedules() == ()
    assert agent.told == [
        ("The owner did not allow this schedule. Do not ask for it again, and do not try another way.", True)
    ]


async def test_an_agent_reaches_no_chat_that_it_was_not_given(agent: Agent) -> None:
    """A destination's name leads to its chat; a chat's key that is no destination is refused."""
    task = await agent.task()
    for name in ("news", ELSEWHERE, OWNER_CHAT):
        with pytest.raises(OperationRefused) as caught:
            await agent.asks(task, **CREATE, to=name)
        assert caught.value.code == "unknown_destination"
    await agent.bench.destinations.add(Destination(group_id=MAIN, name="news", chat=ELSEWHERE, added_by="cli"))
    await agent.asks(task, **CREATE, to="news")
    assert (await agent.bench.desk.find(1)).chat == ELSEWHERE


async def test_what_people_made_is_theirs(agent: Agent) -> None:
    """An agent sees its group's schedules and changes only those that agents made."""
    await agent.bench.add("every day 09:00 Anna's")
    with pytest.raises(OperationRefused) as caught:
        await agent.asks(await agent.task(), action="cancel", schedule=1)
    assert caught.value.code == "not_yours"


async def test_one_task_makes_only_so_many(agent: Agent) -> None:
    """The cap of a task holds whatever the agent asks; a call that is carried out again is not counted twice."""
    task = await agent.task()
    for number in range(MAX_PER_TASK):
        await agent.asks(task, f"made_{number}", **CREATE)
    assert await agent.asks(task, "made_4", **CREATE) is not None
    with pytest.raises(OperationRefused) as caught:
        await agent.asks(task, **CREATE)
    assert caught.value.code == "too_many"


@pytest.mark.parametrize("payload", [{}, {"action": "erase"}, {"action": "cancel"}, {"action": "create", "when": 3}])
async def test_a_request_out_of_shape_is_refused(agent: Agent, payload: dict[str, Json]) -> None:
    """What is no request is refused with a code."""
    with pytest.raises(OperationRefused) as caught:
        await agent.asks(await agent.task(), **payload)
    assert caught.value.code in ("wrong_request", "unknown_schedule")


async def test_an_agent_has_its_schedule_run_now(agent: Agent) -> None:
    """One that an agent made, and once at a time; a schedule's own run begins no other."""
    task = await agent.task()
    await agent.asks(task, **CREATE)
    said = await agent.asks(task, action="run", schedule=1)
    assert said == "Schedule 1 runs as soon as nothing else of it does."
    with pytest.raises(OperationRefused) as caught:
        await agent.asks(replace(task, submitter="schedule:1"), action="run", schedule=1)
    assert caught.value.code == "run_of_a_run"
