"""Tasks that wait for an answer: with their agent for a moment, then without one, over restarts, stops, deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from protocol.ids import ChatKey, TaskId
from protocol.link import Answered, Ask
from protocol.transcript import ToolCall
from runtime.refusal import OperationRefused
from runtime.store import question_rows
from runtime.waiting_tasks import NOBODY, Asked, checked_ask
from tests.runtime.host_bench import TIMEOUT_S, HostBench, ScriptedAgent, open_bench

CALL = ToolCall(call_id="call_1", name="ask", arguments={})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        yield opened


async def begin_to_ask(agent: ScriptedAgent, kind: str = "yes", timeout_s: float = 3600.0) -> Answered:
    await agent.turn(0, "", CALL)
    await agent.tool_started(1, CALL)
    return await agent.ask(kind, call=CALL, text="May I?", timeout_s=timeout_s)


async def ask_and_say(agent: ScriptedAgent) -> None:
    """Reply with the answer, given now or found among the steps."""
    if agent.assignment.steps:
        outputs = [step.output for step in agent.assignment.steps if step.output is not None]
        text, is_error = outputs[0].text, outputs[0].is_error
    else:
        answered = await begin_to_ask(agent)
        text, is_error = answered.answer, answered.is_error
    await agent.reply(f"{'error' if is_error else 'answer'}: {text}, attempt {agent.assignment.attempt_number}")


class Room:
    """Answers nothing by itself; a test decides."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Asked] = asyncio.Queue()

    async def __call__(self, asked: Asked) -> str | None:
        self.asked.put_nowait(asked)
        return None

    async def next(self) -> Asked:
        async with asyncio.timeout(TIMEOUT_S):
            return await self.asked.get()


async def until_suspended(bench: HostBench, task_id: TaskId) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        await bench.dispatcher.idle()
        row = await bench.store.task(task_id)
        assert row is not None
        assert row.state == "suspended"


async def test_an_answer_within_the_minute_goes_to_the_waiting_agent(bench: HostBench) -> None:
    """One attempt: the container is still there."""
    room = Room()
    bench.rooms["yes"] = room
    bench.room.scripts = [ask_and_say]
    async with bench.host():
        await bench.say("do it")
        asked = await room.next()
        assert (asked.ask.text, asked.task.chat) == ("May I?", "stage:1")
        assert await bench.waiting.resume(asked.task.task_id, asked.ask.call_id, "yes")
        assert await bench.channel.texts(1) == ["answer: yes, attempt 1"]
        assert bench.room.taken == 1


async def test_a_room_may_answer_at_once_or_refuse(bench: HostBench) -> None:
    """A refusal is an error to the tool, with what helps."""

    async def strict(asked: Asked) -> str:
        raise OperationRefused("not_today", "Not today", "ask tomorrow")

    async def mild(asked: Asked) -> str:
        return "of course"

    bench.rooms |= {"yes": mild}
    bench.room.scripts = [ask_and_say, ask_and_say]
    async with bench.host():
        await bench.say("do it")
        assert await bench.channel.texts(1) == ["answer: of course, attempt 1"]
        await bench.idle()
    bench.rooms |= {"yes": strict}
    async with bench.host():
        await bench.say("do it")
        assert (await bench.channel.texts(2))[1] == "error: Not today. What helps: ask tomorrow, attempt 1"


async def test_a_kind_that_nobody_answers_is_an_error_to_the_tool(bench: HostBench) -> None:
    """The task goes on with that word, at once."""
    bench.room.scripts = [ask_and_say]
    async with bench.host():
        await bench.say("do it")
        (text,) = await bench.channel.texts(1)
        assert text.startswith("error: Nobody here answers questions of the kind 'yes'")


async def test_a_room_that_breaks_is_an_error_to_the_tool(bench: HostBench, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the task nor the host goes down with it."""

    async def broken(asked: Asked) -> str:
        raise ZeroDivisionError

    bench.rooms["yes"] = broken
    bench.room.scripts = [ask_and_say]
    async with bench.host():
        await bench.say("do it")
        (text,) = await bench.channel.texts(1)
        assert "Nightyard itself failed" in text
    assert any(record.exc_info for record in caplog.records)


async def test_who_thinks_longer_holds_no_container(bench: HostBench) -> None:
    """The attempt ends, its group works on, and the answer is a step of the next attempt; nobody is asked twice."""
    bench.suspend_after_s = 0.05
    room = Room()
    bench.rooms["yes"] = room
    bench.room.scripts = [ask_and_say]
    async with bench.host():
        message_id = await bench.say("do it")
        asked = await room.next()
        await until_suspended(bench, asked.task.task_id)
        assert not [task for task in bench.room.engine.running.values() if not task.done()]
        assert (await bench.state_of(message_id))[0] == "claimed"
        await bench.say("meanwhile")
        assert await bench.channel.texts(1) == ["echo: meanwhile"]
        bench.room.scripts = [ask_and_say]
        assert await bench.waiting.resume(asked.task.task_id, asked.ask.call_id, "yes")
        assert (await bench.channel.texts(2))[1] == "answer: yes, attempt 2"
        await bench.idle()
        assert await bench.state_of(message_id) == ("answered", "reply")
        assert room.asked.empty()
        attempts = await bench.store.attempts_of(asked.task.task_id)
        assert [row.end_reason for row in attempts] == ["suspended", "finished"]


async def test_an_agent_that_has_its_answer_works_on(bench: HostBench) -> None:
    """The minute is for the person, not for what follows."""
    bench.suspend_after_s = 0.1

    async def mild(asked: Asked) -> str:
        return "yes"

    async def work_on(agent: ScriptedAgent) -> None:
        await begin_to_ask(agent)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await agent.receive()
        await agent.reply(f"attempt {agent.assignment.attempt_number}")

    bench.rooms["yes"] = mild
    bench.room.scripts = [work_on]
    async with bench.host():
        await bench.say("do it")
        assert await bench.channel.texts(1) == ["attempt 1"]


async def test_an_answer_that_comes_while_the_container_ends_is_not_lost(bench: HostBench) -> None:
    """The task is suspended already, its deaf agent not yet gone: it goes on as soon as it can."""
    bench.suspend_after_s = 0.05
    room = Room()
    bench.rooms["yes"] = room

    async def ask_and_be_deaf(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)
        await agent.send(Ask(call_id=CALL.call_id, kind="yes"))
        await asyncio.Event().wait()

    bench.room.scripts = [ask_and_be_deaf, ask_and_say]
    async with bench.host():
        await bench.say("do it")
        task_id = (asked := await room.next()).task.task_id
        async with asyncio.timeout(TIMEOUT_S):
            while not await bench.store.read(question_rows.suspended_tasks):
                pass
        assert bench.dispatcher.running_count == 1
        assert await bench.waiting.resume(task_id, asked.ask.call_id, "yes")
        assert await bench.channel.texts(1) == ["answer: yes, attempt 2"]


async def test_a_suspended_task_waits_over_a_restart(bench: HostBench) -> None:
    """Its room hears of it again, in case it had not taken it in, and the answer has it go on."""
    bench.suspend_after_s = 0.05
    room = Room()
    bench.rooms["yes"] = room
    bench.room.scripts = [ask_and_say]
    async with bench.host():
        await bench.say("do it")
        asked = await room.next()
        await until_suspended(bench, asked.task.task_id)
    bench.room.scripts = [ask_and_say]
    async with bench.host():
        again = await room.next()
        assert again.ask == asked.ask
        await bench.waiting.resume(again.task.task_id, again.ask.call_id, "yes")
        assert await bench.channel.texts(1) == ["answer: yes, attempt 2"]


async def test_an_answer_that_was_stored_before_a_crash_has_its_task_go_on(bench: HostBench) -> None:
    """The next start finds the answer although nobody brings it."""
    bench.suspend_after_s = 0.05
    room = Room()
    bench.rooms["yes"] = room
    bench.room.scripts = [ask_and_say]
    async with bench.host():
        await bench.say("do it")
        asked = await room.next()
        await until_suspended(bench, asked.task.task_id)
    answered = Answered(call_id=asked.ask.call_id, answer="yes")
    assert await bench.store.write(question_rows.answer, asked.task.task_id, answered)
    bench.room.scripts = [ask_and_say]
    async with bench.host():
        assert await bench.channel.texts(1) == ["answer: yes, attempt 2"]


async def test_an_agent_that_dies_while_it_asks_is_not_started_to_wait(bench: HostBench) -> None:
    """Crashed with a question open: the task is suspended, not tried again and not called uncertain."""
    room = Room()
    bench.rooms["yes"] = room

    async def die_asking(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)
        await agent.send(Ask(call_id=CALL.call_id, kind="yes"))

    bench.room.scripts = [die_asking]
    async with bench.host():
        await bench.say("do it")
        asked = await room.next()
        await until_suspended(bench, asked.task.task_id)
        assert bench.room.taken == 1
        bench.room.scripts = [ask_and_say]
        await bench.waiting.resume(asked.task.task_id, asked.ask.call_id, "yes")
        assert await bench.channel.texts(1) == ["answer: yes, attempt 2"]


async def test_an_answer_is_not_lost_with_its_agent(bench: HostBench) -> None:
    """The agent had its answer and died before its tool's end was stored: it is the output in the next attempt."""

    async def mild(asked: Asked) -> str:
        return "approved"

    async def die_after_the_answer(agent: ScriptedAgent) -> None:
        await begin_to_ask(agent)

    bench.rooms["yes"] = mild
    bench.room.scripts = [die_after_the_answer, ask_and_say]
    async with bench.host():
        await bench.say("do it")
        (text,) = await bench.channel.texts(1)
        assert text == "answer: approved, attempt 2"


async def test_only_the_first_answer_counts(bench: HostBench) -> None:
    """The second one is told that nothing waits any more; so is one to an ended task."""
    room = Room()
    bench.rooms["yes"] = room
    bench.room.scripts = [ask_and_say]
    async with bench.host():
        await bench.say("do it")
        asked = await room.next()
        assert await bench.waiting.resume(asked.task.task_id, "another call", "yes") is False
        assert await bench.waiting.resume(asked.task.task_id, asked.ask.call_id, "yes") is True
        assert await bench.waiting.resume(asked.task.task_id, asked.ask.call_id, "no") is False
        assert await bench.channel.texts(1) == ["answer: yes, attempt 1"]


async def test_a_deadline_is_an_answer_too(bench: HostBench) -> None:
    """Nobody answers in time: the tool is told so, and the task goes on."""
    bench.rooms["yes"] = Room()

    async def ask_briefly(agent: ScriptedAgent) -> None:
        answered = await begin_to_ask(agent, timeout_s=1.0)
        await agent.reply(f"{answered.is_error}: {answered.answer}")

    bench.room.scripts = [ask_briefly]
    async with bench.host():
        await bench.say("do it")
        assert await bench.channel.texts(1) == [f"True: {NOBODY}"]


@pytest.mark.parametrize("by", ["chat", "task", "all"])
async def test_a_stop_ends_a_suspended_task(bench: HostBench, by: str) -> None:
    """Also while nobody has answered: it ends as stopped, and a later answer changes nothing."""
    bench.suspend_after_s = 0.05
    room = Room()
    bench.rooms["yes"] = room
    bench.room.scripts = [ask_and_say]
    async with bench.host() as dispatcher:
        message_id = await bench.say("do it")
        task_id = (asked := await room.next()).task.task_id
        await until_suspended(bench, task_id)
        match by:
            case "chat":
                stopped = await dispatcher.stop_chat(ChatKey("stage:1"), "enough")
            case "task":
                stopped = await dispatcher.stop_task(task_id, "enough")
            case _:
                stopped = await dispatcher.stop_all("enough")
        assert stopped.tasks == (task_id,)
        assert await bench.state_of(message_id) == ("dead", "stopped")
        assert await bench.waiting.resume(task_id, asked.ask.call_id, "yes") is False
        await bench.idle()
        assert bench.room.taken == 1


async def test_a_stop_reaches_an_agent_that_asks(bench: HostBench) -> None:
    """Within the minute the container is there, and is stopped as any."""
    room = Room()
    bench.rooms["yes"] = room
    bench.room.scripts = [ask_and_say]
    async with bench.host() as dispatcher:
        message_id = await bench.say("do it")
        await room.next()
        async with asyncio.timeout(2):
            await dispatcher.stop_chat(ChatKey("stage:1"), "enough")
            await bench.idle()
        assert await bench.state_of(message_id) == ("dead", "stopped")


async def test_a_frozen_house_does_not_let_a_task_go_on(bench: HostBench) -> None:
    """The answer is kept; the task goes on when the freeze is lifted."""
    bench.suspend_after_s = 0.05
    room = Room()
    bench.rooms["yes"] = room
    bench.room.scripts = [ask_and_say]
    async with bench.host() as dispatcher:
        await bench.say("do it")
        asked = await room.next()
        await until_suspended(bench, asked.task.task_id)
        await bench.store.set_frozen(True, "cli")
        bench.room.scripts = [ask_and_say]
        await bench.waiting.resume(asked.task.task_id, asked.ask.call_id, "yes")
        await until_suspended(bench, asked.task.task_id)
        await bench.store.set_frozen(False, "cli")
        dispatcher.wake()
        assert await bench.channel.texts(1) == ["answer: yes, attempt 2"]


async def test_a_shutdown_does_not_wait_for_people(bench: HostBench) -> None:
    """A task that only waits for an answer is suspended at once, and the grace is for those that work."""
    room = Room()
    bench.rooms["yes"] = room
    bench.room.scripts = [ask_and_say]
    async with bench.host() as dispatcher:
        await bench.say("do it")
        asked = await room.next()
        async with asyncio.timeout(5):
            await dispatcher.close(30.0)
        await until_suspended(bench, asked.task.task_id)


async def test_an_agent_that_asks_and_does_not_wait_is_ended(bench: HostBench) -> None:
    """Two questions at once are none of our agent's."""
    bench.rooms["yes"] = Room()

    async def ask_twice(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", CALL)
        for call_id in ("one", "two"):
            await agent.send(Ask(call_id=call_id, kind="yes"))
        await asyncio.Event().wait()

    bench.room.scripts = [ask_twice]
    async with bench.host():
        await bench.say("do it")
        (text,) = await bench.channel.texts(1)
        assert "two_questions" in text


def test_a_question_is_cut_to_size() -> None:
    """Whatever an agent writes, a person can read it and a deadline is one."""
    ask = Ask(call_id="c", kind="yes", text="x" * 100_000, options=("y" * 1_000,) * 50, timeout_s=1e12)
    checked = checked_ask(ask)
    assert checked is not None
    assert (len(checked.text), len(checked.options), len(checked.options[0])) == (8_000, 10, 100)
    assert checked.timeout_s == 30 * 86_400
    assert checked_ask(Ask(call_id="c", kind="Not a kind")) is None
    assert checked_ask(Ask(call_id="", kind="yes")) is None
