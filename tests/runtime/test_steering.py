"""What is said to a working agent, by the mode of its chat: told at once, waiting its turn, collected, or instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.ids import ChatKey, GroupId, MessageId
from protocol.link import SteerMessage
from protocol.record import replace as replace_record
from protocol.transcript import ToolCall
from runtime.store.records import QueueMode
from tests.runtime.host_bench import HostBench, Script, ScriptedAgent, open_bench
from tests.runtime.test_recovery import lost, reconnect

CALL = ToolCall(call_id="call_1", name="shell", arguments={})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        yield opened


async def round_of_tools(agent: ScriptedAgent) -> None:
    await agent.turn(0, "", CALL)
    await agent.tool_started(1, CALL)
    await agent.tool_finished(2, CALL)


async def until_working(bench: HostBench) -> None:
    await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))


async def listen_and_answer(agent: ScriptedAgent) -> None:
    """Work, hear one message, have the model see it, and answer both."""
    await round_of_tools(agent)
    await agent.say("working")
    (message,) = await agent.told("and the other one")
    await agent.steered(3, message)
    await agent.answer(4, "both are done")


async def test_a_working_agent_is_told_what_comes(bench: HostBench) -> None:
    """One task, one reply for both; the second message is the task's once the model has seen it."""
    bench.room.scripts = [listen_and_answer]
    async with bench.host():
        first = await bench.say("do this one")
        await until_working(bench)
        second = await bench.say("and the other one")
        assert await bench.channel.texts(1) == ["both are done"]
        await bench.idle()
        assert bench.room.taken == 1
        states = [await bench.store.message(message_id) for message_id in (first, second)]
        assert {row.task_id for row in states if row} == {bench.room.assignments[0].task.task_id}
        assert [(row.state, row.end_reason) for row in states if row] == [("answered", "reply")] * 2


async def test_what_was_told_stands_in_the_conversation(bench: HostBench) -> None:
    """The session's next task reads it where it was said: after the tools, before the answer."""
    bench.room.scripts = [listen_and_answer]
    async with bench.host():
        await bench.say("do this one")
        await until_working(bench)
        await bench.say("and the other one")
        await bench.channel.texts(1)
        await bench.idle()
        await bench.say("thanks")
        await bench.channel.texts(2)
        transcript = bench.room.assignments[1].transcript
        assert [entry.role for entry in transcript] == ["user", "assistant", "tool", "user", "assistant"]
        assert "and the other one" in transcript[3].text
        assert 'from="Ada"' in transcript[3].text


async def test_what_the_model_has_not_seen_is_the_next_task(bench: HostBench) -> None:
    """Told too late: it counts as not delivered, and is answered after, in order."""

    async def hear_and_not_listen(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.told("two", "three")
        await agent.answer(0, "first")

    bench.room.scripts = [hear_and_not_listen]
    async with bench.host():
        await bench.say("one")
        await until_working(bench)
        waiting = [await bench.say("two"), await bench.say("three")]
        assert await bench.channel.texts(2) == ["first", "echo: two | three"]
        await bench.idle()
        assert [await bench.state_of(message_id) for message_id in waiting] == [("answered", "reply")] * 2


async def test_the_second_attempt_is_told_what_the_first_did_not_take_in(bench: HostBench) -> None:
    """The agent dies with a message heard and not seen by the model: the next one hears it again."""

    async def hear_and_die(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.told("two")

    async def hear_again(agent: ScriptedAgent) -> None:
        (message,) = await agent.told("two")
        await agent.steered(0, message)
        await agent.answer(1, "both")

    bench.room.scripts = [hear_and_die, hear_again]
    async with bench.host():
        await bench.say("one")
        await until_working(bench)
        await bench.say("two")
        assert await bench.channel.texts(1) == ["both"]


async def test_the_second_attempt_reads_what_the_first_took_in_among_its_steps(bench: HostBench) -> None:
    """Seen is seen: it is not told twice."""

    async def see_and_die(agent: ScriptedAgent) -> None:
        await agent.say("working")
        (message,) = await agent.told("two")
        await agent.steered(0, message)

    async def go_on(agent: ScriptedAgent) -> None:
        assert [step.kind for step in agent.assignment.steps] == ["steered"]
        await agent.answer(1, f"both, heard {len(agent.heard)}")

    bench.room.scripts = [see_and_die, go_on]
    async with bench.host():
        await bench.say("one")
        await until_working(bench)
        await bench.say("two")
        assert await bench.channel.texts(1) == ["both, heard 0"]


async def test_a_stop_ends_what_was_told_and_not_taken_in(bench: HostBench) -> None:
    """Stop reaches the task and what waits, told or not."""

    async def hear(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.told("two")
        await agent.say("heard")
        await agent.wait_for_stop()

    bench.room.scripts = [hear]
    async with bench.host() as dispatcher:
        await bench.say("one")
        await until_working(bench)
        second = await bench.say("two")
        await bench.channel.until(lambda: any(text == "heard" for _, _, text in bench.channel.shown))
        stopped = await dispatcher.stop_chat(ChatKey("stage:1"), "enough")
        assert (len(stopped.tasks), stopped.messages) == (1, 1)
        await bench.idle()
        assert await bench.state_of(second) == ("dead", "enough")
        assert bench.room.taken == 1


async def test_an_agent_cannot_take_what_is_not_its_own(tmp_path: Path) -> None:
    """Naming another group's message in a step takes nothing: it is answered where it belongs."""
    async with open_bench(tmp_path, groups={"main": "", "other": ""}) as bench:
        named: asyncio.Queue[MessageId] = asyncio.Queue()

        async def hold(agent: ScriptedAgent) -> None:
            await agent.say("working")
            await agent.wait_for_stop()

        async def thieve(agent: ScriptedAgent) -> None:

            await agent.steered(0, SteerMessage(message_id=await named.get(), text="x"))
            await agent.answer(1, "stolen")

        bench.room.scripts = [hold, thieve]
        async with bench.host() as dispatcher:
            await bench.say("long", chat="stage:2", group=GroupId("other"))
            await until_working(bench)
            theirs = await bench.say("mine", chat="stage:2", group=GroupId("other"), mode="follow_up")
            await bench.say("go", chat="stage:1")
            named.put_nowait(theirs)
            assert await bench.channel.texts(1) == ["stolen"]
            assert (await bench.state_of(theirs))[0] == "queued"
            await dispatcher.stop_chat(ChatKey("stage:2"), "enough")


async def test_a_message_of_another_chat_is_not_told(bench: HostBench) -> None:
    """A reply goes to one chat: another chat's message waits, as ever."""

    async def slow(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.wait_for_stop()

    bench.room.scripts = [slow]
    async with bench.host() as dispatcher:
        await bench.say("one")
        await until_working(bench)
        await bench.say("two", chat="stage:2")
        await dispatcher.stop_chat(ChatKey("stage:1"), "enough")
        assert await bench.channel.texts(1) == ["echo: two"]


def working_until(go_on: asyncio.Event) -> Script:
    """Return an agent that says so, and answers when it may."""

    async def slow(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await go_on.wait()
        await agent.answer(0, "first")

    return slow


async def test_follow_ups_are_answered_one_by_one(bench: HostBench) -> None:
    """Each is a task of its own, in order, after the one that runs."""
    go_on = asyncio.Event()
    bench.room.scripts = [working_until(go_on)]
    async with bench.host():
        await bench.say("one", mode="follow_up")
        await until_working(bench)
        await bench.say("two", mode="follow_up")
        await bench.say("three", mode="follow_up")
        go_on.set()
        assert await bench.channel.texts(3) == ["first", "echo: two", "echo: three"]


async def test_a_burst_is_collected(bench: HostBench) -> None:
    """What comes within moments is answered together, with nothing said to an agent before."""
    async with bench.host():
        for text in ("one", "two", "three"):
            await bench.say(text, mode="collect")
        assert await bench.channel.texts(1) == ["echo: one | two | three"]
        await bench.idle()
        assert bench.room.taken == 1


PASTE = ("a" * 3_900, "b" * 3_900, "the end")


async def paste(bench: HostBench, mode: QueueMode) -> None:
    """Have a long text come in as its platform's app cuts it."""
    for piece in PASTE:
        filed = await bench.file(piece)
        inbound = replace_record(filed.inbound, is_piece=piece != PASTE[-1])
        bench.dispatcher.arrived(replace(filed, inbound=inbound, mode=mode))


@pytest.mark.parametrize("mode", ["steer", "follow_up", "collect", "interrupt"])
async def test_a_long_paste_is_one_question(bench: HostBench, mode: QueueMode) -> None:
    """Its pieces are no messages of their own: whatever the mode, one task answers them, and none before the last."""
    async with bench.host():
        await paste(bench, mode)
        assert await bench.channel.texts(1) == [f"echo: {' | '.join(PASTE)}"]
        await bench.idle()
        assert bench.room.taken == 1


@pytest.mark.parametrize("mode", ["follow_up", "interrupt"])
async def test_a_paste_that_waits_is_one_question_too(bench: HostBench, mode: QueueMode) -> None:
    """A follow-up waits for the end of what runs, an interruption ends it; the paste is then answered as one."""
    stopped, go_on = [], asyncio.Event()

    async def slow(agent: ScriptedAgent) -> None:
        await agent.say("working")
        if mode == "interrupt":
            stopped.append(True)
            await agent.wait_for_stop()
        await go_on.wait()
        await agent.answer(0, "first")

    bench.room.scripts = [slow]
    async with bench.host():
        await bench.say("work", mode=mode)
        await until_working(bench)
        await paste(bench, mode)
        go_on.set()
        answers = ([] if stopped else ["first"]) + [f"echo: {' | '.join(PASTE)}"]
        assert await bench.channel.texts(len(answers)) == answers
        await bench.idle()
        assert bench.room.taken == 2


async def test_a_working_agent_is_told_each_piece(bench: HostBench) -> None:
    """What is pasted while it works reaches it piece by piece, in order, and is answered by the same task."""

    async def listen(agent: ScriptedAgent) -> None:
        await round_of_tools(agent)
        await agent.say("working")
        pieces = await agent.told(*PASTE)
        await agent.steered(3, *pieces)
        await agent.answer(6, "all of it")

    bench.room.scripts = [listen]
    async with bench.host():
        await bench.say("work")
        await until_working(bench)
        await paste(bench, "steer")
        assert await bench.channel.texts(1) == ["all of it"]
        await bench.idle()
        assert bench.room.taken == 1


async def test_who_waits_behind_their_own_task_is_told(bench: HostBench) -> None:
    """A follow-up that waits longer than some seconds reads that it is next, before the answer to what runs."""
    go_on = asyncio.Event()
    bench.room.scripts = [working_until(go_on)]
    async with bench.host():
        await bench.say("one", mode="follow_up")
        await until_working(bench)
        await bench.say("two", mode="follow_up")
        assert await bench.channel.texts(1) == ["⏳ main is still at what was said before this; you are next."]
        go_on.set()
        assert (await bench.channel.texts(3))[1:] == ["first", "echo: two"]


async def test_a_newer_message_takes_the_place_of_the_task(bench: HostBench) -> None:
    """Interrupt: what runs is stopped without a word, and the newer message is answered."""

    async def slow(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.wait_for_stop()

    bench.room.scripts = [slow]
    async with bench.host():
        first = await bench.say("one", mode="interrupt")
        await until_working(bench)
        await bench.say("no, two", mode="interrupt")
        assert await bench.channel.texts(1) == ["echo: no, two"]
        await bench.idle()
        assert await bench.state_of(first) == ("dead", "stopped")
        assert [entry.role for entry in bench.room.assignments[1].transcript][:1] == ["user"]


async def test_a_taken_up_agent_is_told_after_a_restart(bench: HostBench) -> None:
    """What waited when the host died, and what comes after, reaches the agent that lived on."""

    stored = asyncio.Event()

    async def work_on(agent: ScriptedAgent) -> None:
        await agent.turn(0, "working", CALL)
        stored.set()
        await lost(agent)
        await reconnect(agent, bench)
        (message,) = await agent.told("before you went")
        await agent.steered(1, message)
        await agent.answer(2, "heard")

    bench.room.scripts = [work_on]
    async with bench.host():
        await bench.say("work")
        async with asyncio.timeout(5):
            await stored.wait()
    await bench.file("before you went")
    async with bench.host():
        assert await bench.channel.texts(1) == ["heard"]
        await bench.idle()
    assert bench.room.taken == 1
