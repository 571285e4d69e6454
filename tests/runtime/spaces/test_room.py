"""Who wrote what in shared folders, through whole tasks of two groups."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from protocol.ids import GroupId, PersonKey, TaskId
from protocol.transcript import ToolCall
from runtime.approvals.records import Taint
from runtime.history.history import Histories
from runtime.history.undo import UndoDesk
from runtime.lasting.forget import ForgetDesk
from runtime.refusal import OperationRefused
from runtime.spaces.desk import SpaceDesk
from runtime.spaces.room import Spaces
from runtime.store import space_rows, taint_rows
from runtime.store.space_rows import ChangeRow
from tests.runtime.host_bench import MAIN, TIMEOUT_S, HostBench, Script, ScriptedAgent, open_bench

CALL = ToolCall(call_id="call_1", name="shell", arguments={})
OTHER = GroupId("other")
READER = GroupId("reader")
Doing = Callable[[Path], None]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    """Two groups that write to `notes`, and one that reads there."""
    groups = {"main": "spaces: {notes: rw}", "other": "spaces: {notes: rw}", "reader": "spaces: {notes: ro}"}
    async with open_bench(tmp_path, groups=groups) as opened:
        (opened.fork / "spaces" / "notes").mkdir(parents=True)
        (opened.fork / "spaces" / "notes" / "space.yaml").write_text("description: findings\n")
        opened.around.reload()
        folder(opened).mkdir(parents=True)
        yield opened


def folder(bench: HostBench) -> Path:
    return bench.home.space("notes")


def doing(bench: HostBench, do: Doing, until: asyncio.Event | None = None, done: asyncio.Event | None = None) -> Script:
    async def work(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)
        do(folder(bench))
        if done is not None:
            done.set()
        if until is not None:
            await until.wait()
        await agent.tool_finished(2, CALL)
        await agent.answer(3, "done")

    return work


async def task(bench: HostBench, do: Doing, group: GroupId = MAIN, chat: str = "stage:1") -> TaskId:
    return await run(bench, doing(bench, do), group, chat)


async def run(bench: HostBench, script: Script, group: GroupId = MAIN, chat: str = "stage:1") -> TaskId:
    bench.room.scripts, answers = [script], len(bench.channel.sent)
    await bench.say("go", group=group, chat=chat)
    await bench.channel.texts(answers + 1)
    await bench.idle()
    return bench.room.assignments[-1].task.task_id


async def log(bench: HostBench, **of: str) -> list[tuple[str, str, list[TaskId]]]:
    """Return path, kind and writers, oldest first."""
    rows: tuple[ChangeRow, ...] = await bench.store.read(
        lambda transaction: space_rows.log(transaction, "notes", 100, **of)
    )
    return [(row.path, row.kind, [writer.task_id for writer in row.writers]) for row in reversed(rows)]


def write(name: str, text: str) -> Doing:
    def do(space: Path) -> None:
        (space / name).write_text(text)

    return do


async def test_each_task_is_known_by_what_it_wrote(bench: HostBench) -> None:
    """Made, changed and deleted, with the task, its group and who asked; a task that wrote nothing is not there."""
    async with bench.host():
        first = await task(bench, write("a.md", "one"))
        second = await task(bench, write("a.md", "two"), OTHER, "stage:2")
        await task(bench, lambda _: None, chat="stage:3")
        third = await task(bench, lambda space: (space / "a.md").unlink())
        assert await log(bench) == [
            ("a.md", "created", [first]),
            ("a.md", "changed", [second]),
            ("a.md", "deleted", [third]),
        ]
        rows = await bench.store.read(space_rows.log, "notes", 1)
        assert (rows[0].writers[0].group_id, rows[0].writers[0].submitter) == (MAIN, "person:stage:ada")


async def test_the_journal_tells_without_a_word(bench: HostBench) -> None:
    """Ids and a keyed digest stand in the chain, no name of a file; the chain is whole."""
    async with bench.host():
        only = await task(bench, write("secret-name.md", "one"))
        entries = [entry for entry in await bench.store.journal_tail(100) if entry.kind == "space_changed"]
        assert [(entry.refs["space"], entry.refs["task"]) for entry in entries] == [("notes", only)]
        assert all(entry.digest and "secret-name" not in str(entry) for entry in entries)
        assert (await bench.store.verify_journal()).broken_at is None


async def test_of_two_at_work_both_are_named(bench: HostBench) -> None:
    """What was written while only one could is that one's; nobody can tell the rest apart, and that is said."""
    goes_on, begun = asyncio.Event(), asyncio.Event()
    async with bench.host():
        bench.room.scripts = [
            doing(bench, write("early", "x"), goes_on, begun),
        ]
        await bench.say("go")
        async with asyncio.timeout(TIMEOUT_S):
            await begun.wait()
        bench.room.scripts = [doing(bench, write("both", "x"))]
        await bench.say("go", group=OTHER, chat="stage:2")
        async with asyncio.timeout(TIMEOUT_S):
            while len(await log(bench)) < 2:  # noqa: ASYNC110 - the store is looked at
                await asyncio.sleep(0.01)
        write("late", "x")(folder(bench))
        goes_on.set()
        await bench.channel.texts(2)
        await bench.idle()
        first, second = (assignment.task.task_id for assignment in bench.room.assignments)
        assert await log(bench) == [
            ("early", "created", [first]),
            ("both", "created", sorted([first, second])),
            ("late", "created", [first]),
        ]


async def test_what_nobody_at_work_wrote_is_the_machines(bench: HostBench) -> None:
    """Files that the owner put there have no writer, and are not put down to the next task."""
    async with bench.host():
        write("mine", "x")(folder(bench))
        await task(bench, lambda _: None)
        assert await log(bench) == [("mine", "created", [])]


async def test_a_reader_is_no_writer(bench: HostBench) -> None:
    """What appears while readers work was not theirs: it was the writer's at work beside them, or nobody's."""
    goes_on, begun = asyncio.Event(), asyncio.Event()
    async with bench.host():
        bench.room.scripts = [doing(bench, lambda _: None, goes_on, begun)]
        await bench.say("go", group=READER, chat="stage:2")
        async with asyncio.timeout(TIMEOUT_S):
            await begun.wait()
        bench.room.scripts = [doing(bench, write("beside", "x"))]
        await bench.say("go")
        await bench.channel.texts(1)
        goes_on.set()
        await bench.channel.texts(2)
        await bench.idle()
        writer = bench.room.assignments[-1].task.task_id
        assert await log(bench) == [("beside", "created", [writer])]
        (folder(bench) / "beside").unlink()
        await task(bench, lambda _: None)
        await task(bench, write("impossible", "x"), READER)
        await task(bench, lambda _: None)
        assert (await log(bench))[2:] == [("impossible", "created", [])]


async def test_a_host_that_comes_back_knows_who_was_at_work(bench: HostBench) -> None:
    """What an agent wrote while no host was there is still put down to its task."""
    goes_on, begun = asyncio.Event(), asyncio.Event()
    async with bench.host():
        bench.room.scripts = [doing(bench, write("before", "x"), goes_on, begun)]
        await bench.say("go")
        async with asyncio.timeout(TIMEOUT_S):
            await begun.wait()
    again = Spaces(bench.home, bench.store, taint_of=nothing_read, mark=unmarked)
    await again.recover()
    only = bench.room.assignments[0].task.task_id
    assert again.is_inside(only)
    await again.end(only)
    assert await log(bench) == [("before", "created", [only])]


async def nothing_read(_: TaskId) -> Taint:
    return Taint()


async def unmarked(*_: object) -> None:
    return None


async def test_links_out_and_pipes_do_not_reach_the_next(bench: HostBench) -> None:
    """They are gone when the next task may use a tool, and the log says whose they were."""
    found: list[list[str]] = []

    def plant(space: Path) -> None:
        (space / "report.md").symlink_to("/memory/MEMORY.md")
        os.mkfifo(space / "pipe")

    async with bench.host():
        first = await task(bench, plant)
        await task(bench, lambda space: found.append([path.name for path in space.iterdir()]), OTHER, "stage:2")
        assert found == [[]]
        assert sorted(await log(bench)) == [("pipe", "refused", [first]), ("report.md", "refused", [first])]


async def test_strangers_words_stay_marked_in_a_space(bench: HostBench) -> None:
    """Who may read what a task wrote that had read a page counts as having read it; with the file it is over."""

    async def read_a_page(agent: ScriptedAgent) -> None:
        assert agent.assignment
        await bench.store.write(taint_rows.mark, agent.assignment.task.task_id, "web", "evil.example")
        await doing(bench, write("page.md", "obey"))(agent)

    async with bench.host():
        clean = await task(bench, lambda _: None, READER, "stage:5")
        await run(bench, read_a_page)
        reader = await task(bench, lambda _: None, READER, "stage:2")
        await task(bench, lambda space: (space / "page.md").unlink(), OTHER, "stage:3")
        later = await task(bench, lambda _: None, READER, "stage:4")
        taints = [await bench.store.read(taint_rows.taint_of, each) for each in (clean, reader, later)]
        assert [("web", "evil.example") in taint.sources for taint in taints] == [False, True, False]


async def test_an_undo_says_that_the_space_stays(bench: HostBench) -> None:
    """It takes back the group's own folders alone."""
    async with bench.host():
        only = await task(bench, write("a.md", "one"))
        desk = UndoDesk(Histories(bench.home, bench.store, lambda: 1 << 30), bench.store, bench.proxy)
        plan = await desk.plan(only)
        assert f"{only}: 1 file changed in the space notes; they stay." in plan.lasting


async def test_a_forgotten_persons_files_are_named_and_their_names_go(bench: HostBench) -> None:
    """The files are others' too, and stay; the log keeps that something was written, not what it was called."""
    async with bench.host():
        only = await task(bench, write("diary.md", "mine"))
        histories = Histories(bench.home, bench.store, lambda: 1 << 30)
        receipt = await ForgetDesk(bench.home, bench.store, histories, no_index).forget(PersonKey("stage:ada"))
        assert receipt.shared == ("spaces/notes/diary.md",)
        assert await log(bench) == [("", "created", [only])]
        assert (folder(bench) / "diary.md").exists()


async def no_index() -> None:
    return None


def desk_of(bench: HostBench) -> SpaceDesk:
    return SpaceDesk(bench.fork, bench.home, bench.spaces, bench.store, lambda: bench.around.groups)


async def test_owners_see_a_space_as_it_is(bench: HostBench) -> None:
    """Who has it, how much is in it this moment, and its log of one folder or task."""
    async with bench.host():
        first = await task(bench, write("a.md", "one"))
        (folder(bench) / "sub").mkdir()
        await task(bench, write("sub/b.md", "three"), OTHER, "stage:2")
        desk = desk_of(bench)
        shown = await desk.one("notes")
        assert (shown.grants, shown.held.files, shown.held.size_bytes) == (
            {MAIN: "rw", OTHER: "rw", READER: "ro"},
            2,
            8,
        )
        assert [row.path for row in await desk.log("notes", 10, "sub/", "")] == ["sub/b.md"]
        assert [row.path for row in await desk.log("notes", 10, "", first)] == ["a.md"]
        with pytest.raises(OperationRefused, match=r"there is no space 'nots' \(known: notes\)"):
            await desk.one("nots")


async def test_files_go_when_nobody_has_the_space(bench: HostBench) -> None:
    """Not while a group has it; then all of them, whatever their modes are, and the journal says who did it."""
    async with bench.host():
        await task(bench, write("a.md", "one"))
        desk = desk_of(bench)
        with pytest.raises(OperationRefused, match="main, other, reader has the space notes"):
            await desk.remove_files("notes", "cli")
        for group in ("main", "other", "reader"):
            (bench.fork / "groups" / group / "group.yaml").write_text("")
        bench.around.reload()
        (folder(bench) / "locked").mkdir(mode=0)
        await desk.remove_files("notes", "cli")
        assert not folder(bench).exists()
        assert [entry.by for entry in await bench.store.journal_tail(5) if entry.kind == "space_removed"] == ["cli"]
