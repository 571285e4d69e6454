"""Calls that a constraint names: asked about with the container at hand, without it, and never made unasked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocol.codec import Json
from protocol.ids import GroupId
from protocol.link import Answered, approval_id
from protocol.record import replace
from protocol.transcript import ToolCall
from runtime.approvals.approvals import Approvals
from runtime.approvals.constraint_terms import parse_constraint
from runtime.approvals.policy_book import PolicyBook
from runtime.approvals.records import CLI, Approval, Scope, ScopeWord
from runtime.approvals.tools import APPROVED, ToolApprovals
from runtime.waiting_tasks import Asked
from tests.runtime.host_bench import TIMEOUT_S, HostBench, ScriptedAgent, open_bench

PUSH = ToolCall(call_id="call_1", name="shell", arguments={"command": "git push"})
PULL = ToolCall(call_id="call_1", name="shell", arguments={"command": "git pull"})
POLICY = """
constraints:
  - {command: git push, deadline: 1h}
  - {tool: send_file, then: deny}
"""


@dataclass
class Desk:
    bench: HostBench
    approvals: Approvals
    book: PolicyBook

    async def asked(self) -> Approval:
        """Return the one question that waits, once it does."""
        async with asyncio.timeout(TIMEOUT_S):
            while not (waiting := await self.approvals.waiting()):
                pass  # each look is a question to the store, and the host goes on meanwhile
        assert len(waiting) == 1
        return waiting[0]


@asynccontextmanager
async def desk(folder: Path, *, suspend_after_s: float = 60.0, policy: str = POLICY) -> AsyncIterator[Desk]:
    async with open_bench(folder, groups={"main": policy}) as bench:
        bench.suspend_after_s = suspend_after_s
        book = PolicyBook(bench.store, lambda: bench.around.groups, lambda: "UTC")
        await book.load()
        bench.constraints = book.of
        approvals = Approvals(
            bench.store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda group: folder
        )
        yield Desk(bench, approvals, book)


@asynccontextmanager
async def hosting(desk: Desk) -> AsyncIterator[None]:
    """The host with its rooms of decisions; a second time: restarted."""
    made = asyncio.Event()

    async def room(asked: Asked) -> str | None:
        await made.wait()
        return await tools.asked(asked)

    desk.bench.rooms["approval"] = room
    async with desk.bench.host():
        approvals = Approvals(
            desk.bench.store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda group: Path("/tmp")
        )
        tools = ToolApprovals(desk.bench.store, approvals, desk.book, desk.bench.waiting)
        desk.approvals = approvals
        made.set()
        async with asyncio.TaskGroup() as parts:
            running = parts.create_task(approvals.run())
            try:
                yield
            finally:
                running.cancel()


async def ask_about(agent: ScriptedAgent, index: int, call: ToolCall) -> Answered:
    """Do what the agent's loop does with a call that a constraint names."""
    await agent.turn(index, "", call)
    await agent.tool_started(index + 1, call)
    payload: Json = {"tool": call.name, "arguments": call.arguments}
    gate = replace(call, call_id=approval_id(call.call_id))
    return await agent.ask("approval", call=gate, payload=payload)


async def push(agent: ScriptedAgent) -> None:
    """Push with a yes; in a later attempt, make the call that was approved, or read why not."""
    steps, number = agent.assignment.steps, agent.assignment.attempt_number
    outputs = [step.output.text for step in steps if step.output is not None]
    if outputs:
        await agent.reply(f"not pushed in attempt {number}: {outputs[0]}")
        return
    if not steps:
        answered = await ask_about(agent, 0, PUSH)
        if answered.is_error or not answered.answer.startswith(APPROVED):
            await agent.reply(f"not pushed: {answered.answer}")
            return
    elif agent.assignment.approved != (PUSH.call_id,):
        await agent.reply(f"not known in attempt {number} whether it was pushed")
        return
    await agent.tool_finished(2, PUSH, "pushed")
    await agent.reply(f"pushed in attempt {number}")


async def test_yes_lets_the_call_through(tmp_path: Path) -> None:
    """The agent waits with its container, the owner's word is its answer, and it goes on."""
    async with desk(tmp_path) as here:
        here.bench.room.scripts = [push]
        async with hosting(here):
            await here.bench.say("push it")
            asked = await here.asked()
            assert asked.payload == {"tool": "shell", "arguments": {"command": "git push"}}
            await here.approvals.decide(asked.approval_id, CLI, is_yes=True)
            assert await here.bench.channel.texts(1) == ["pushed in attempt 1"]
        assert (await here.approvals.find(asked.approval_id)).used_at is not None


REACHES = [
    ("folder", "write_file", "notes/b.txt", True),
    ("folder", "write_file", "/workspace/notes/deep/../c.txt", True),
    ("folder", "write_file", "notes/deep/b.txt", False),
    ("folder", "write_file", "notes/../b.txt", False),
    ("folder", "edit_file", "notes/a.txt", False),
    ("tool", "write_file", "/memory/b.txt", True),
    ("tool", "edit_file", "notes/a.txt", False),
    ("exact", "write_file", "notes/b.txt", False),
]


@pytest.mark.parametrize(("word", "tool", "path", "is_covered"), REACHES)
async def test_a_remembered_yes_reaches_as_far_as_it_says(
    tmp_path: Path, word: ScopeWord, tool: str, path: str, is_covered: bool
) -> None:
    """A yes for a folder is for this tool on its files, one for a tool for all its calls; over a restart too, until it
    is taken back. What it does not reach is asked about."""
    policy = "constraints: [{tool: write_file}, {tool: edit_file}]"

    def calling(name: str, path: str) -> Callable[[ScriptedAgent], Awaitable[None]]:
        async def script(agent: ScriptedAgent) -> None:
            answered = await ask_about(agent, 0, ToolCall(call_id="call_1", name=name, arguments={"path": path}))
            await agent.reply(answered.answer)

        return script

    async with desk(tmp_path, policy=policy) as here:
        async with hosting(here):
            here.bench.room.scripts = [calling("write_file", "notes/a.txt")]
            await here.bench.say("write it down")
            asked = await here.asked()
            assert asked.scope_offers == ("folder", "tool")
            remember = Scope(word=word, until="always")
            await here.approvals.decide(asked.approval_id, CLI, is_yes=True, remember=remember)
            await here.bench.channel.texts(1)
            await here.bench.idle()
        for answers in (2, 3):
            async with hosting(here):
                here.bench.room.scripts = [calling(tool, path)]
                await here.bench.say("once more")
                if not is_covered or answers == 3:
                    again = await here.asked()
                    await here.approvals.decide(again.approval_id, CLI, is_yes=False)
                said = (await here.bench.channel.texts(answers))[-1]
                assert said.startswith(APPROVED) == (is_covered and answers == 2)
                await here.bench.idle()
                for each in await here.approvals.remembered_decisions():
                    assert not each.is_yes or await here.approvals.forget(each.decision_id, CLI)
            if not is_covered:
                return


async def test_no_is_told_with_its_reason(tmp_path: Path) -> None:
    """The call is not made; the model reads why, and that another way is no way."""
    async with desk(tmp_path) as here:
        here.bench.room.scripts = [push]
        async with hosting(here):
            await here.bench.say("push it")
            asked = await here.asked()
            await here.approvals.decide(asked.approval_id, CLI, is_yes=False, because="not on a Friday")
            (text,) = await here.bench.channel.texts(1)
        assert text.startswith("not pushed")
        assert "not on a Friday" in text


async def test_task_that_waits_long_holds_no_container(tmp_path: Path) -> None:
    """It is suspended; the yes, after a restart of the host, brings it back, and the very call is made without another
    question: the yes is used up."""
    async with desk(tmp_path, suspend_after_s=0.05) as here:
        here.bench.room.scripts = [push, push]
        async with hosting(here):
            await here.bench.say("push it")
            asked = await here.asked()
            async with asyncio.timeout(TIMEOUT_S):
                await here.bench.dispatcher.idle()
            assert asked.task_id is not None
            row = await here.bench.store.task(asked.task_id)
            assert row is not None
            assert row.state == "suspended"
        async with hosting(here):
            await here.approvals.decide(asked.approval_id, CLI, is_yes=True)
            assert await here.bench.channel.texts(1) == ["pushed in attempt 2"]
            assert await here.approvals.waiting() == ()
            assert (await here.approvals.find(asked.approval_id)).used_at is not None


async def test_no_to_a_task_that_waits_long_is_its_calls_output(tmp_path: Path) -> None:
    """The next attempt finds the no where the output would be: nobody is asked again, and nothing was made."""
    async with desk(tmp_path, suspend_after_s=0.05) as here:
        here.bench.room.scripts = [push, push]
        async with hosting(here):
            await here.bench.say("push it")
            asked = await here.asked()
            async with asyncio.timeout(TIMEOUT_S):
                await here.bench.dispatcher.idle()
            await here.approvals.decide(asked.approval_id, CLI, is_yes=False)
            (text,) = await here.bench.channel.texts(1)
        assert text.startswith("not pushed in attempt 2: A person was asked about this call and said no")
        assert "Do not try it again" in text


async def test_a_call_that_may_have_been_made_is_not_made_again(tmp_path: Path) -> None:
    """The agent had its yes and died: whether the call was made is not known, so that the next attempt is not told to
    make it."""

    async def die_with_the_yes(agent: ScriptedAgent) -> None:
        await ask_about(agent, 0, PUSH)

    async with desk(tmp_path) as here:
        here.bench.room.scripts = [die_with_the_yes, push]
        async with hosting(here):
            await here.bench.say("push it")
            asked = await here.asked()
            await here.approvals.decide(asked.approval_id, CLI, is_yes=True)
            assert await here.bench.channel.texts(1) == ["not known in attempt 2 whether it was pushed"]


async def test_a_yes_is_for_exactly_that_call(tmp_path: Path) -> None:
    """An agent that asks about one call and makes another is ended, in this attempt and in a later one."""

    async def ask_about_another(agent: ScriptedAgent) -> None:
        steps = agent.assignment.steps
        if not steps:
            await agent.turn(0, "", PUSH)
            await agent.tool_started(1, PUSH)
            payload: Json = {"tool": "shell", "arguments": {"command": "git push --dry-run"}}
            await agent.ask("approval", call=replace(PUSH, call_id=approval_id(PUSH.call_id)), payload=payload)
        assert agent.assignment.approved == ()
        await agent.tool_finished(2, PUSH, "pushed")
        await agent.reply("done")

    for suspend_after_s in (60.0, 1.0):
        folder = tmp_path / str(suspend_after_s)
        folder.mkdir()
        async with desk(folder, suspend_after_s=suspend_after_s) as here:
            here.bench.room.scripts = [ask_about_another] * 3
            async with hosting(here):
                await here.bench.say("push it")
                asked = await here.asked()
                if suspend_after_s < 60:
                    async with asyncio.timeout(TIMEOUT_S):
                        await here.bench.dispatcher.idle()
                await here.approvals.decide(asked.approval_id, CLI, is_yes=True)
                (text,) = await here.bench.channel.texts(1)
            assert "constraint_bypassed" in text


async def test_a_tool_that_the_agent_does_not_have_ends_it(tmp_path: Path) -> None:
    """Its group's settings say which it has; whoever announces another one as done is none of ours."""

    async def pull(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", PULL)
        await agent.tool_started(1, PULL)
        await agent.tool_finished(2, PULL, "pulled")
        await agent.reply("done")

    async with desk(tmp_path, policy="tools: [-shell]\n") as here:
        here.bench.room.scripts = [pull] * 3
        async with hosting(here):
            await here.bench.say("pull it")
            (text,) = await here.bench.channel.texts(1)
        assert "shell" in here.bench.room.assignments[0].without
        assert "constraint_bypassed" in text


async def sneak(agent: ScriptedAgent) -> None:
    """Push without asking."""
    await agent.turn(0, "", PUSH)
    await agent.tool_started(1, PUSH)
    await agent.tool_finished(2, PUSH, "pushed")
    await agent.reply("done")


async def test_agent_that_does_not_ask_is_ended(tmp_path: Path) -> None:
    """An announced call that ended well without the yes ends the attempt: nothing of it is told as done."""
    async with desk(tmp_path) as here:
        here.bench.room.scripts = [sneak] * 4
        async with hosting(here):
            await here.bench.say("push it")
            (text,) = await here.bench.channel.texts(1)
        assert "done" not in text
        assert "constraint_bypassed" in text or "misbehaved" in text.lower() or "rules" in text.lower()


async def test_constraint_that_was_lifted_asks_nobody(tmp_path: Path) -> None:
    """The agent asks because its assignment says so; the host knows better by now."""
    async with desk(tmp_path, policy="") as here:
        made = await here.book.add(GroupId("main"), parse_constraint('command "git push" ask'), CLI)

        async def lift_and_push(agent: ScriptedAgent) -> None:
            await here.book.remove(GroupId("main"), made.constraint_id, CLI)
            await push(agent)

        here.bench.room.scripts = [lift_and_push]
        async with hosting(here):
            await here.bench.say("push it")
            assert await here.bench.channel.texts(1) == ["pushed in attempt 1"]
