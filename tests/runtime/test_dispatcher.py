"""From a stored message to its end, over the real store, queue and links, with scripted agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.ids import CallId, ChatKey, GroupId
from protocol.proxy_admin import ProxyCall
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import ToolCall
from runtime.agent_link_rules import LinkLimits
from runtime.container_session import CannotStart
from runtime.store.records import MessageState
from tests.runtime.host_bench import HostBench, ScriptedAgent, open_bench

CALL = ToolCall(call_id="call_1", name="shell", arguments={"command": "true"})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        yield opened


async def die(agent: ScriptedAgent) -> None:
    """End without a last word."""


async def work_until_stopped(agent: ScriptedAgent) -> None:
    await agent.say("working")
    await agent.wait_for_stop()


async def test_a_message_is_answered(bench: HostBench) -> None:
    """One message, one task, one reply; the message ends as answered."""
    async with bench.host():
        message_id = await bench.say("hello")
        assert await bench.channel.texts(1) == ["echo: hello"]
        await bench.idle()
        assert await bench.state_of(message_id) == ("answered", "reply")
        (assignment,) = bench.room.assignments
        assert assignment.task.submitter.startswith("person:")
        assert 'from="Ada"' in assignment.task.prompt
        (lease,) = bench.proxy.leases
        assert (lease.task_id, lease.routes) == (assignment.task.task_id, ("rehearsal",))


async def test_an_agent_hears_that_its_last_word_is_stored(bench: HostBench) -> None:
    """Then it ends by itself, and nobody has to kill it."""
    heard = asyncio.Event()

    async def wait_for_ack(agent: ScriptedAgent) -> None:
        await agent.reply("bye")
        heard.set()

    bench.room.scripts = [wait_for_ack]
    async with bench.host():
        await bench.say("x")
        async with asyncio.timeout(5):
            await heard.wait()


async def test_messages_of_a_busy_session_wait_and_are_answered_together(bench: HostBench) -> None:
    """What comes while an answer is made waits; in order, in one task, with the conversation before it."""
    go_on = asyncio.Event()

    async def slow(agent: ScriptedAgent) -> None:
        await agent.say("thinking")
        await go_on.wait()
        await agent.reply("first")

    bench.room.scripts = [slow]
    async with bench.host():
        await bench.say("one")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        await bench.say("two")
        await bench.say("three")
        assert bench.room.taken == 1
        go_on.set()
        assert await bench.channel.texts(2) == ["first", "echo: two | three"]
        transcript = bench.room.assignments[1].transcript
        assert [entry.role for entry in transcript] == ["user", "assistant"]
        assert transcript[1].text == "first"


async def test_groups_work_side_by_side(tmp_path: Path) -> None:
    """One group's long task holds up no other group."""
    async with open_bench(tmp_path, groups={"main": "", "other": ""}) as bench:
        bench.room.scripts = [work_until_stopped]
        async with bench.host() as dispatcher:
            await bench.say("hang")
            await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
            await bench.say("quick", chat="stage:2", group=GroupId("other"))
            assert await bench.channel.texts(1) == ["echo: quick"]
            await dispatcher.stop_chat(ChatKey("stage:1"), "enough")


async def test_a_stop_from_outside_the_chat_is_told_there(bench: HostBench) -> None:
    """Somebody at the machine stops a chat's work: its people read that, for what ran and for what waited."""
    bench.room.scripts = [work_until_stopped]
    async with bench.host() as dispatcher:
        await bench.say("hang")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        await bench.say("waits", chat="stage:2")
        waiting = await dispatcher.stop_chat(ChatKey("stage:2"), "stopped by a person", tell=True)
        assert (waiting.tasks, waiting.messages) == ((), 1)
        assert "1 message that waited here will not be answered" in (await bench.channel.texts(1))[0]
        await dispatcher.stop_chat(ChatKey("stage:1"), "stopped by a person", tell=True)
        assert "stopped by a person" in (await bench.channel.texts(2))[1]
        assert [message.chat for message in bench.channel.sent] == ["stage:2", "stage:1"]


async def test_a_crashed_attempt_is_followed_by_one_that_knows_its_steps(bench: HostBench) -> None:
    """The second attempt is handed what the first has done, and goes on from there."""

    async def crash_in_the_middle(agent: ScriptedAgent) -> None:
        await agent.turn(0, "let me see", CALL)
        await agent.tool_started(1, CALL)
        await agent.tool_finished(2, CALL)

    async def go_on(agent: ScriptedAgent) -> None:
        await agent.turn(len(agent.assignment.steps), "done")
        await agent.reply("done")

    bench.room.scripts = [crash_in_the_middle, go_on]
    async with bench.host():
        message_id = await bench.say("do it")
        assert await bench.channel.texts(1) == ["done"]
        await bench.idle()
        second = bench.room.assignments[1]
        assert second.attempt_number == 2
        assert [step.kind for step in second.steps] == ["model_turn", "tool_started", "tool_finished"]
        assert await bench.state_of(message_id) == ("answered", "reply")
        task_id = second.task.task_id
        assert [row.end_reason for row in await bench.store.attempts_of(task_id)] == ["crashed:0", "finished"]


async def test_an_agent_that_always_crashes_is_given_up_with_a_word(tmp_path: Path, bench: HostBench) -> None:
    """After three attempts the chat reads what happened; the message is dead, the next one works."""
    bench.room.scripts = [die, die, die]
    async with bench.host():
        message_id = await bench.say("crash")
        (text,) = await bench.channel.texts(1)
        assert "ended unexpectedly" in text
        assert "attempt 3 of 3" in text
        await bench.idle()
        assert await bench.state_of(message_id) == ("dead", "agent_crashed")
        await bench.say("again")
        assert (await bench.channel.texts(2))[1] == "echo: again"


async def test_an_effect_that_may_have_happened_is_not_repeated(bench: HostBench) -> None:
    """A call that changes something went out of the tool that was cut off: a person decides, not a second attempt."""

    async def die_in_a_tool(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)

    bench.room.scripts = [die_in_a_tool]
    call = ProxyCall(call_id=CallId("c"), target="POST https://x/pay", began_at="2999-01-01T00:00:00Z", status=None)
    bench.proxy.made = (call,)
    async with bench.host():
        message_id = await bench.say("pay")
        (text,) = await bench.channel.texts(1)
        assert "may have changed something" in text
        await bench.idle()
        assert await bench.state_of(message_id) == ("dead", "uncertain_effect")
        assert bench.room.taken == 1


async def test_a_call_before_the_open_tool_does_not_count(bench: HostBench) -> None:
    """What an earlier, finished tool has sent is known to the model; the task goes on."""

    async def die_in_a_tool(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)

    bench.room.scripts = [die_in_a_tool, lambda agent: agent.reply("went on")]
    call = ProxyCall(call_id=CallId("c"), target="POST https://x/pay", began_at="2000-01-01T00:00:00Z", status=200)
    bench.proxy.made = (call,)
    async with bench.host():
        await bench.say("pay")
        assert await bench.channel.texts(1) == ["went on"]
        await bench.idle()
        first, second = bench.proxy.leases
        trace = await bench.store.trace(first.task_id)
        assert trace is not None
        assert first.unsettled_since == ""
        assert second.unsettled_since == trace.steps[0].stored_at


async def test_stop_ends_what_runs_and_what_waits(bench: HostBench) -> None:
    """`/stop` reaches the running task and the waiting messages of its chat; nothing is said by the task itself."""
    bench.room.scripts = [work_until_stopped]
    async with bench.host() as dispatcher:
        first = await bench.say("long")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        second = await bench.say("waiting")
        async with asyncio.timeout(2):
            stopped = await dispatcher.stop_chat(ChatKey("stage:1"), "stopped by a person")
        assert (len(stopped.tasks), stopped.messages) == (1, 1)
        await bench.idle()
        assert await bench.state_of(first) == ("dead", "stopped")
        assert await bench.state_of(second) == ("dead", "stopped by a person")
        assert bench.channel.sent == []
        await bench.say("next")
        assert await bench.channel.texts(1) == ["echo: next"]


async def test_a_deaf_agent_is_killed(bench: HostBench) -> None:
    """An agent that does not listen to stop is gone within two seconds all the same."""

    async def deaf(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await asyncio.Event().wait()

    bench.room.scripts = [deaf]
    async with bench.host() as dispatcher:
        message_id = await bench.say("long")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        async with asyncio.timeout(2):
            await dispatcher.stop_all("frozen by its owner")
            await bench.idle()
        assert await bench.channel.texts(1) == ["Stopped: frozen by its owner."]
        assert (await bench.state_of(message_id))[0] == "dead"


async def test_a_task_over_its_time_is_ended(tmp_path: Path) -> None:
    """The limit is the host's; the chat reads which one, and what to change."""
    async with open_bench(tmp_path, settings="limits: {wall_s: 1}") as bench:
        bench.room.scripts = [work_until_stopped]
        async with bench.host():
            message_id = await bench.say("long")
            (text,) = await bench.channel.texts(1)
            assert "limits.wall_s" in text
            await bench.idle()
            assert await bench.state_of(message_id) == ("dead", "wall_limit")


async def test_a_silent_agent_is_taken_for_hung(bench: HostBench) -> None:
    """No heartbeat: the attempt is ended and another made."""

    async def freeze(agent: ScriptedAgent) -> None:
        await asyncio.Event().wait()

    bench.room.limits = LinkLimits(silence_s=0.3)
    bench.room.scripts = [freeze]
    async with bench.host():
        await bench.say("hang")
        assert await bench.channel.texts(1) == ["echo: hang"]
        rows = await bench.store.attempts_of(bench.room.assignments[0].task.task_id)
        assert rows[0].end_reason == "silent"


async def test_garbage_on_the_link_ends_the_task_with_a_word(bench: HostBench) -> None:
    """An agent that breaks the rules is not believed again, and not tried again."""

    async def garbage(agent: ScriptedAgent) -> None:
        agent.writer.write(b"\x00\x00\x00\x04nope")
        await agent.writer.drain()
        await asyncio.Event().wait()

    bench.room.scripts = [garbage]
    async with bench.host():
        message_id = await bench.say("x")
        (text,) = await bench.channel.texts(1)
        assert "not_json" in text
        await bench.idle()
        assert await bench.state_of(message_id) == ("dead", "agent_misbehaved")


async def test_a_missing_image_names_the_command(bench: HostBench) -> None:
    """What cannot pass by itself is told at once, with the one command that mends it."""
    bench.room.scripts = [CannotStart(code="image_missing", message="the image x is missing", mend="./nightyard up")]
    async with bench.host():
        message_id = await bench.say("x")
        (text,) = await bench.channel.texts(1)
        assert "the image x is missing" in text
        assert "./nightyard up" in text
        await bench.idle()
        assert await bench.state_of(message_id) == ("dead", "image_missing")


async def test_an_engine_that_comes_back_is_waited_for(bench: HostBench) -> None:
    """What may pass by itself costs a wait, not the task, and not an attempt that counts."""
    away = CannotStart(code="engine_away", message="no engine answers")
    bench.room.scripts = [away, away]
    async with bench.host():
        await bench.say("x")
        assert await bench.channel.texts(1) == ["echo: x"]


async def test_a_failed_provider_is_named_with_its_secret(tmp_path: Path) -> None:
    """A refused key leads to the command that replaces it."""
    settings = "model: a/m\nroutes: {a: {url: 'http://127.0.0.1:9', secret: my-key}}\n"
    async with open_bench(tmp_path, settings=settings) as bench:
        bench.room.scripts = [lambda agent: agent.fail("model_refused_key", "The service refused its key (HTTP 401)")]
        async with bench.host():
            await bench.say("x")
            (text,) = await bench.channel.texts(1)
            assert "HTTP 401" in text
            assert "`nightyard secret add my-key --replace`" in text


async def test_frozen_messages_wait_and_are_told_so_once(bench: HostBench) -> None:
    """While frozen nothing starts; each message is told why; unfrozen, they are answered."""
    await bench.store.set_frozen(True, "cli")
    async with bench.host() as dispatcher:
        message_id = await bench.say("x")
        (text,) = await bench.channel.texts(1)
        assert "frozen" in text
        dispatcher.wake()
        assert (await bench.state_of(message_id))[0] == "queued"
        await bench.store.set_frozen(False, "cli")
        dispatcher.wake()
        assert (await bench.channel.texts(2))[1:] == ["echo: x"]


async def test_a_suspended_group_says_what_is_wrong_and_goes_on_when_mended(tmp_path: Path) -> None:
    """The chat reads file, line and key; after the mend and a reload the message that waited is answered."""
    async with open_bench(tmp_path, groups={"main": "modle: x/y\n"}) as bench, bench.host() as dispatcher:
        await bench.say("x")
        (text,) = await bench.channel.texts(1)
        assert "groups/main/group.yaml:1: modle" in text
        (bench.fork / "groups" / "main" / "group.yaml").write_text("", "utf-8")
        bench.around.reload()
        dispatcher.wake()
        assert (await bench.channel.texts(2))[1] == "echo: x"


async def test_a_file_goes_out_before_the_reply(bench: HostBench) -> None:
    """A file is a message of its own, in order, from where the host put it."""

    async def send_file(agent: ScriptedAgent) -> None:
        await agent.send_file("call_9", "../../x.txt", b"content")
        await agent.reply("there it is")

    bench.room.scripts = [send_file]
    async with bench.host():
        await bench.say("file please")
        await bench.channel.texts(2)
        file, reply = bench.channel.sent
        assert (file.text, reply.text) == ("here", "there it is")
        assert file.file_path is not None
        assert Path(file.file_path).read_bytes() == b"content"
        assert Path(file.file_path).is_relative_to(bench.home.path)


async def test_an_answer_that_says_nothing_is_recorded_and_not_sent(bench: HostBench) -> None:
    """The message is answered by silence on purpose, with the reason kept."""
    nothing = TaskResult(status=TaskStatus.NOTHING_TO_SAY, reason="It was not for me.")
    bench.room.scripts = [lambda agent: agent.finish(nothing)]
    async with bench.host():
        message_id = await bench.say("x")
        await bench.channel.until(lambda: any(kind == "done" for _, kind, _ in bench.channel.shown))
        await bench.idle()
        assert await bench.state_of(message_id) == ("answered", "nothing_to_say")
        assert bench.channel.sent == []


async def test_a_structure_that_nobody_asked_for_is_refused(bench: HostBench) -> None:
    """A chat task ends in words."""
    bench.room.scripts = [lambda agent: agent.finish(TaskResult(status=TaskStatus.STRUCTURED, structured={"a": 1}))]
    async with bench.host():
        message_id = await bench.say("x")
        await bench.channel.texts(1)
        await bench.idle()
        assert await bench.state_of(message_id) == ("dead", "agent_misbehaved")


async def test_a_claim_that_is_refused_again_and_again_is_not_hurried(
    bench: HostBench, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that will not give a session's messages is asked once a second, and gives them when it can."""
    async with bench.host():
        theirs = await bench.file("somebody else's")
        claim = await bench.store.claim_messages([theirs.message_id])
        waiting = await bench.say("mine")
        times: list[float] = []
        async with asyncio.timeout(10):
            while True:
                times = [one.created for one in caplog.records if str(one.msg).startswith("messages were not claimed")]
                if len(times) >= 3:
                    break
                await asyncio.sleep(0.05)
        assert times[2] - times[0] > 2 * 0.9
        await bench.store.finish_task(
            claim.task.task_id, TaskResult(status=TaskStatus.STOPPED), message_state=MessageState.DEAD
        )
        assert await bench.channel.texts(1) == ["echo: mine"]
        await bench.idle()
        assert (await bench.state_of(waiting))[0] == "answered"
