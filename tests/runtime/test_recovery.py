"""Over the end of a host: agents at work are taken up, dead ones go on in a new attempt, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from channels.channel import DeliveryFailed
from protocol.frames import PROTOCOL_VERSION
from protocol.ids import AttemptId, CallId, ChannelId, ChatKey, DoorId, TaskId
from protocol.link import Hello, Welcome
from protocol.message import OutboundMessage
from protocol.proxy_admin import ProxyCall
from protocol.transcript import ToolCall
from runtime.attempt import link_memory
from runtime.recovery import recover
from runtime.store.records import AttemptRow, OutboxRow
from tests.runtime.host_bench import HostBench, ScriptedAgent, open_bench

CALL = ToolCall(call_id="call_1", name="shell", arguments={})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        yield opened


async def reconnect(agent: ScriptedAgent, bench: HostBench) -> Welcome:
    """Come back to the host after it has gone, with the nonce."""
    (door,) = bench.home.doors.iterdir()
    while True:
        agent.writer.close()
        try:
            agent.reader, agent.writer = await asyncio.open_unix_connection(door / "host.sock")
            await agent.send(Hello(protocol=PROTOCOL_VERSION, agent_version="scripted", nonce=agent.nonce))
            welcome = await agent.receive()
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.01)
            continue
        assert isinstance(welcome, Welcome)
        return welcome


async def lost(agent: ScriptedAgent) -> None:
    """Return when the host has gone."""
    try:
        while True:
            await agent.receive()
    except (OSError, asyncio.IncompleteReadError):
        return


async def test_a_working_agent_is_taken_up_by_the_next_host(bench: HostBench) -> None:
    """It reconnects, sends what was not acked again, and its reply is delivered; no second attempt is made."""

    stored = asyncio.Event()

    async def work_on(agent: ScriptedAgent) -> None:
        await agent.turn(0, "working", CALL)
        await agent.tool_started(1, CALL)
        stored.set()
        await lost(agent)
        welcome = await reconnect(agent, bench)
        assert welcome.stored_seq == 2
        await agent.tool_finished(2, CALL)
        await agent.turn(3, "still here")
        await agent.reply("still here")

    bench.room.scripts = [work_on]
    async with bench.host():
        message_id = await bench.say("long work")
        async with asyncio.timeout(5):
            await stored.wait()
    async with bench.host():
        assert await bench.channel.texts(1) == ["still here"]
        await bench.idle()
    assert bench.room.taken == 1
    assert await bench.state_of(message_id) == ("answered", "reply")


async def test_a_taken_up_agent_is_held_to_the_rules_still(tmp_path: Path) -> None:
    """What its group may not use it may not use after a restart of the host either: its attempt ends, and tells why."""

    stored = asyncio.Event()
    async with open_bench(tmp_path, groups={"main": "tools: [-shell]\n"}) as bench:

        async def misuse(agent: ScriptedAgent) -> None:
            await agent.turn(0, "working", CALL)
            await agent.tool_started(1, CALL)
            stored.set()
            await lost(agent)
            await reconnect(agent, bench)
            await agent.tool_finished(2, CALL)
            await agent.turn(3, "done")
            await agent.reply("done")

        bench.room.scripts = [misuse]
        async with bench.host():
            await bench.say("long work")
            async with asyncio.timeout(5):
                await stored.wait()
        async with bench.host():
            (text,) = await bench.channel.texts(1)
    assert "constraint_bypassed" in text


async def test_an_agent_that_died_with_the_host_goes_on_in_a_new_attempt(bench: HostBench) -> None:
    """Its steps are there, and so is its place in the conversation."""

    stored = asyncio.Event()

    async def die_with_the_host(agent: ScriptedAgent) -> None:
        await agent.turn(0, "half", CALL)
        await agent.tool_started(1, CALL)
        await agent.tool_finished(2, CALL)
        stored.set()
        await lost(agent)

    bench.room.scripts = [die_with_the_host, lambda agent: agent.reply(f"after {len(agent.assignment.steps)} steps")]
    async with bench.host():
        await bench.say("work")
        async with asyncio.timeout(5):
            await stored.wait()
    bench.around.reload("limits: {model_calls: 3}")
    async with bench.host():
        assert await bench.channel.texts(1) == ["after 3 steps"]
    first, second = bench.room.assignments
    assert second.task == first.task, "a task keeps the prompt and the limits that it began with"


@pytest.mark.parametrize("is_alive", [True, False])
async def test_what_a_frozen_start_finds_running_is_stopped(bench: HostBench, is_alive: bool) -> None:
    """Frozen while the host was down: its task ends as stopped, alive or dead, told, and is not tried again."""
    stored = asyncio.Event()

    async def work_on(agent: ScriptedAgent) -> None:
        await agent.turn(0, "working", CALL)
        stored.set()
        await lost(agent)
        if is_alive:
            await reconnect(agent, bench)
            await agent.wait_for_stop()

    bench.room.scripts = [work_on]
    async with bench.host():
        message_id = await bench.say("long work")
        async with asyncio.timeout(5):
            await stored.wait()
    await bench.store.set_frozen(True, "cli")
    async with bench.host():
        waiting = await bench.say("and then?")
        texts = await bench.channel.texts(2)
        assert any("everything was frozen" in text for text in texts), texts
        await bench.idle()
        assert await bench.state_of(message_id) == ("dead", "stopped")
        assert await bench.state_of(waiting) == ("queued", "")
        assert bench.room.taken == 1
        await bench.store.set_frozen(False, "cli")
        bench.dispatcher.wake()
        assert (await bench.channel.texts(3))[2] == "echo: and then?"


async def test_a_session_whose_agent_was_taken_up_is_busy(bench: HostBench) -> None:
    """What is said to it after the restart waits for its answer, as before."""
    stored, go_on = asyncio.Event(), asyncio.Event()

    async def work_on(agent: ScriptedAgent) -> None:
        await agent.turn(0, "working", CALL)
        stored.set()
        await lost(agent)
        await reconnect(agent, bench)
        await go_on.wait()
        await agent.reply("first")

    bench.room.scripts = [work_on]
    async with bench.host():
        await bench.say("one")
        async with asyncio.timeout(5):
            await stored.wait()
    async with bench.host():
        await bench.say("two")
        assert bench.dispatcher.running_count == 1
        go_on.set()
        assert await bench.channel.texts(2) == ["first", "echo: two"]


def test_a_link_is_taken_up_with_its_stored_files() -> None:
    """A file that was stored before the restart is not taken twice."""
    attempt = AttemptRow(
        attempt_id=AttemptId("a"),
        task_id=TaskId("t"),
        number=1,
        state="running",
        started_at="",
        door_id=DoorId("door_1"),
        nonce_hash="n",
        stored_seq=4,
    )
    message = OutboundMessage(chat=ChatKey("stage:1"), labels={"file_id": "file_1", "call_id": "call_9"})
    row = OutboxRow(
        outbox_id=1,
        idempotency_key="t:file:call_9",
        task_id=TaskId("t"),
        message=message,
        channel_id=ChannelId("stage"),
        state="sent",
        attempts=1,
        next_try_at="",
        created_at="",
        maybe_sent=False,
    )
    memory = link_memory(attempt, [row])
    assert memory is not None
    assert (memory.door_id, memory.nonce_hash, memory.stored_seq) == ("door_1", "n", 4)
    assert memory.stored_files == {"call_9": "file_1"}
    assert link_memory(replace(attempt, door_id=None), []) is None


async def test_waiting_messages_are_answered_after_a_restart_in_order(bench: HostBench) -> None:
    """What was stored while no host ran is found, without a wake."""
    await bench.file("one")
    await bench.file("two")
    async with bench.host():
        assert await bench.channel.texts(1) == ["echo: one | two"]


async def test_a_claim_without_a_container_begins_again(bench: HostBench) -> None:
    """The host died between claiming and handing over: the task is run as if nothing had been."""
    message = await bench.file("x")
    await bench.store.claim_messages([message.message_id])
    async with bench.host():
        assert await bench.channel.texts(1) == ["echo: x"]
    (assignment,) = bench.room.assignments
    assert assignment.attempt_number == 2


async def test_a_shutdown_ends_agents_and_the_next_start_goes_on(bench: HostBench) -> None:
    """After the grace the container is ended, the task is not; no attempt is counted against it."""

    stored = asyncio.Event()

    async def long_work(agent: ScriptedAgent) -> None:
        await agent.turn(0, "begun")
        stored.set()
        await agent.wait_for_stop()

    bench.room.scripts = [long_work, lambda agent: agent.reply(f"resumed at {len(agent.assignment.steps)}")]
    async with bench.host() as dispatcher:
        message_id = await bench.say("long")
        async with asyncio.timeout(5):
            await stored.wait()
        async with asyncio.timeout(3):
            await dispatcher.close(0.05)
        assert (await bench.state_of(message_id))[0] == "claimed"
        assert bench.channel.sent == []
        assert all(agent.done() for agent in bench.room.engine.running.values())
    async with bench.host():
        assert await bench.channel.texts(1) == ["resumed at 1"]
        attempts = await bench.store.attempts_of(TaskId(bench.room.assignments[0].task.task_id))
        assert attempts[0].end_reason == "shutdown"


async def test_a_shutdown_reaches_a_task_that_is_just_being_claimed(bench: HostBench) -> None:
    """It is claimed, its container is not started, and the next start answers it."""
    async with bench.host() as dispatcher:
        await bench.say("just now")
        await asyncio.sleep(0)
        async with asyncio.timeout(3):
            await dispatcher.close(0.0)
        assert bench.channel.sent == []
    async with bench.host():
        assert await bench.channel.texts(1) == ["echo: just now"]


async def test_a_shutdown_lets_running_tasks_finish(bench: HostBench) -> None:
    """Within the grace the reply is still made; what waits is kept for the next start."""
    go_on = asyncio.Event()

    async def nearly_done(agent: ScriptedAgent) -> None:
        await agent.say("…")
        await go_on.wait()
        await agent.reply("just in time")

    bench.room.scripts = [nearly_done]
    async with bench.host() as dispatcher:
        await bench.say("first")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        second = await bench.say("second")
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(dispatcher.close(4.0))
            go_on.set()
        await bench.delivery.settled()
        assert await bench.channel.texts(1) == ["just in time"]
        assert (await bench.state_of(second))[0] == "queued"


async def test_an_uncertain_tool_at_a_shutdown_is_not_repeated(bench: HostBench) -> None:
    """Ended in the middle of a call that changes something: a person decides, after the next start too."""

    stored = asyncio.Event()

    async def in_a_tool(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)
        stored.set()
        await agent.wait_for_stop()

    bench.room.scripts = [in_a_tool]
    call = ProxyCall(call_id=CallId("c"), target="POST https://x/pay", began_at="2999-01-01T00:00:00Z", status=None)
    bench.proxy.made = (call,)
    async with bench.host() as dispatcher:
        await bench.say("pay")
        async with asyncio.timeout(5):
            await stored.wait()
        await dispatcher.close(0.05)
    async with bench.host():
        (text,) = await bench.channel.texts(1)
        assert "may have changed something" in text
    assert bench.room.taken == 1


async def test_a_delivery_that_was_cut_off_is_made_again(bench: HostBench) -> None:
    """Between the platform and the receipt the host died: the message is sent again and marked."""
    message = OutboundMessage(chat=(await bench.file("x")).inbound.chat, text="a notice")
    await bench.store.put_outbound("notice:1", message)
    (row,) = await bench.store.claim_outbox()
    assert row.state == "sending"
    await recover(bench.store)
    bench.around.channels.clear()
    assert [each.maybe_sent for each in await bench.store.claim_outbox()] == [True]


async def test_a_dead_letter_is_told_in_its_chat(bench: HostBench) -> None:
    """What the platform refuses for good is not silently dropped, and what comes after it goes on."""
    bench.channel.failures = [DeliveryFailed("the file is too large", permanent=True)]
    async with bench.host():
        await bench.say("x")
        (text,) = await bench.channel.texts(1)
        assert "could not be delivered: the file is too large" in text
