"""Undoing tasks: what agents wrote is taken back to before them, what went out is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.ids import CallId, ChatKey
from protocol.proxy_admin import ProxyCall
from protocol.transcript import ToolCall
from runtime.commands.desk import Given
from runtime.commands.history import history_handlers
from runtime.commands.table import Command
from runtime.history.history import Histories
from runtime.history.undo import UndoDesk
from runtime.refusal import OperationRefused
from runtime.store import history_rows
from runtime.store.records import Binding
from tests.runtime.host_bench import MAIN, HostBench, Script, ScriptedAgent, open_bench

CALL = ToolCall(call_id="call_1", name="write_file", arguments={})
CHAT = ChatKey("stage:1")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        (opened.home.group(MAIN) / "workspace").mkdir(parents=True)
        yield opened


def notes(bench: HostBench) -> Path:
    return bench.home.group(MAIN) / "workspace" / "notes.md"


def desk(bench: HostBench) -> UndoDesk:
    return UndoDesk(Histories(bench.home, bench.store, lambda: 1 << 30), bench.store, bench.proxy)


def writing(bench: HostBench, text: str) -> Script:
    async def write(agent: ScriptedAgent) -> None:
        await agent.turn(0, "let me write that", CALL)
        # The tool runs now: the step is acked.
        notes(bench).write_text(text)
        await agent.tool_started(1, CALL)
        await agent.tool_finished(2, CALL)
        await agent.answer(3, f"wrote {text}")

    return write


async def tasks_that_wrote(bench: HostBench, *texts: str) -> list[str]:
    """Let a task write each text into the notes; return the tasks."""
    for count, text in enumerate(texts, start=1):
        bench.room.scripts = [writing(bench, text)]
        await bench.say(f"write {text}")
        await bench.channel.texts(count)
    await bench.idle()
    return [assignment.task.task_id for assignment in bench.room.assignments]


async def test_the_last_task_is_undone(bench: HostBench) -> None:
    """The files are as before the task; the answer that went out is told of."""
    async with bench.host():
        first, second = await tasks_that_wrote(bench, "one", "two")
        done = await desk(bench).undo(second, with_later=False, by="cli")
        assert notes(bench).read_text() == "one"
        assert [(change.path, change.kind) for change in done.changes] == [("workspace/notes.md", "restore")]
        assert done.lasting == (f"{second}: 1 message delivered.",)
        await desk(bench).undo(first, with_later=False, by="cli")
        assert not notes(bench).exists()


async def test_an_undo_can_be_undone(bench: HostBench) -> None:
    """The moment before an undo is kept as well."""
    async with bench.host():
        (only,) = await tasks_that_wrote(bench, "one")
        done = await desk(bench).undo(only, with_later=False, by="cli")
        await desk(bench).undo(done.undo_id, with_later=False, by="cli")
        assert notes(bench).read_text() == "one"


async def test_what_came_later_is_undone_only_when_asked_for(bench: HostBench) -> None:
    """An older task's undo is refused and names what came after it; said so, all goes back to before the older."""
    async with bench.host():
        first, second = await tasks_that_wrote(bench, "one", "two")
        with pytest.raises(OperationRefused, match=second) as refused:
            await desk(bench).undo(first, with_later=False, by="cli")
        assert refused.value.code == "later_changes"
        assert notes(bench).read_text() == "two"
        await desk(bench).undo(first, with_later=True, by="cli")
        assert not notes(bench).exists()


async def test_a_task_without_tools_has_nothing_to_undo(bench: HostBench) -> None:
    """It is refused with the reason, and so is a task that there is not."""
    async with bench.host():
        await bench.say("hello")
        await bench.channel.texts(1)
        await bench.idle()
        (assignment,) = bench.room.assignments
        with pytest.raises(OperationRefused, match="used no tool"):
            await desk(bench).plan(assignment.task.task_id)
        with pytest.raises(OperationRefused, match="no task"):
            await desk(bench).plan("task_aaaaaaaaaaaaaaaa")


async def test_calls_that_went_out_are_named(bench: HostBench) -> None:
    """A call whose answer was not seen is told of as one that may have happened."""
    bench.proxy.made = (
        ProxyCall(call_id=CallId("call_x"), target="POST https://api.example/send", began_at="", status=None),
        ProxyCall(call_id=CallId("call_y"), target="POST https://api.example/book", began_at="", status=201),
    )
    async with bench.host():
        (only,) = await tasks_that_wrote(bench, "one")
        plan = await desk(bench).plan(only)
        assert plan.lasting[1:] == (
            f"{only}: POST https://api.example/send (may have happened).",
            f"{only}: POST https://api.example/book (answered 201).",
        )


async def test_nothing_is_undone_under_a_working_agent(bench: HostBench) -> None:
    """While a task of the group runs, an undo is refused and changes nothing."""
    async with bench.host() as dispatcher:
        (only,) = await tasks_that_wrote(bench, "one")

        async def hang(agent: ScriptedAgent) -> None:
            await agent.say("working")
            await agent.wait_for_stop()

        bench.room.scripts = [hang]
        await bench.say("hang")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        with pytest.raises(OperationRefused, match="at work"):
            await desk(bench).undo(only, with_later=False, by="cli")
        assert notes(bench).read_text() == "one"
        await dispatcher.stop_chat(CHAT, "enough")


async def test_folders_that_cannot_be_kept_hold_no_task_up(bench: HostBench) -> None:
    """The task goes on, and its undo is refused with the reason."""
    deep = bench.home.group(MAIN) / "workspace"
    for _ in range(110):
        deep = deep / "d"
    deep.mkdir(parents=True)
    async with bench.host():
        (only,) = await tasks_that_wrote(bench, "one")
        with pytest.raises(OperationRefused, match="nested more than 100 deep") as refused:
            await desk(bench).plan(only)
        assert refused.value.code == "no_history"


async def test_old_moments_make_room(bench: HostBench) -> None:
    """Where the history takes more than it may, the oldest moments go and say so; the newest can still be undone."""
    async with bench.host():
        first, *_, last = await tasks_that_wrote(bench, *(f"{number}" * 1_000 for number in range(4)))
        await Histories(bench.home, bench.store, lambda: 2_500).sweep(MAIN)
        with pytest.raises(OperationRefused, match="too long ago"):
            await desk(bench).plan(first)
        await desk(bench).undo(last, with_later=False, by="cli")
        assert notes(bench).read_text() == "2" * 1_000


async def test_a_chat_undoes_its_own_tasks_by_a_button(bench: HostBench) -> None:
    """/undo shows the newest task's changes with a button that carries the word for it; another chat's task is not
    known there."""
    await bench.store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN))
    async with bench.host():
        _, second = await tasks_that_wrote(bench, "one", "two")
        handler = history_handlers(desk(bench), bench.store)["undo"]
        message = await bench.store.recent_messages(1)
        offered = await handler(Given(command=Command(name="undo"), message=message[0]))
        assert "workspace/notes.md" in offered.text
        (button,) = offered.buttons
        assert button.value == f"/undo {second} yes"
        assert len(button.value.encode()) <= 64
        done = await handler(Given(command=Command(name="undo", rest=f"{second} yes"), message=message[0]))
        assert "Undone" in done.text
        assert notes(bench).read_text() == "one"
        with pytest.raises(OperationRefused, match="of this chat"):
            await handler(Given(command=Command(name="undo", rest="task_aaaaaaaaaaaaaaaa yes"), message=message[0]))


async def test_a_tool_waits_until_the_moment_is_kept(bench: HostBench) -> None:
    """While a moment is being kept, the step that asks for a tool is not acked, so the tool does not run."""
    histories = Histories(bench.home, bench.store, lambda: 1 << 30)
    bench.histories = histories
    asked, ran = asyncio.Event(), asyncio.Event()

    async def use_a_tool(agent: ScriptedAgent) -> None:
        asked.set()
        await agent.turn(0, "now", CALL)
        ran.set()
        await agent.answer(1, "done")

    bench.room.scripts = [use_a_tool]
    async with bench.host():
        async with histories.held(MAIN):
            await bench.say("go")
            await asked.wait()
            (row,) = await bench.store.running_tasks()
            async with asyncio.timeout(5):
                while not await bench.store.steps_of(row.task_id):
                    pass
            for _ in range(20):  # long enough for an ack to arrive
                await bench.store.read(history_rows.snapshot_groups)
            assert not ran.is_set()
        await bench.channel.texts(1)
        assert ran.is_set()
        moments = await bench.store.read(history_rows.newest_snapshots, MAIN, 5)
        assert len(moments) == 1
