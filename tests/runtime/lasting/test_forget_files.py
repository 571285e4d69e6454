"""Forgetting a person in files: notes, moments that could be gone back to, the search index, exports; and the logs."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from protocol.ids import PersonKey, TaskId
from protocol.transcript import ToolCall
from runtime.history.history import Histories
from runtime.history.undo import UndoDesk
from runtime.lasting.receipt import MAX_NAMED, build_places
from runtime.recall.index import RecallIndex
from runtime.refusal import OperationRefused
from runtime.store import history_rows
from services.log_setup import LineFormatter, PrivateFileHandler
from tests.credproxy.street import Street
from tests.runtime.host_bench import MAIN, HostBench, Script, ScriptedAgent, open_bench
from tests.runtime.lasting.test_forget import ANNA, CANARY, forget_desk, found, say

BOB = PersonKey("stage:bob")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        for folder in ("workspace", "memory"):
            (opened.home.group(MAIN) / folder).mkdir(parents=True)
        yield opened


@pytest.fixture
def log_file(bench: HostBench) -> Iterator[None]:
    """The host's own log, at its most talkative."""
    bench.home.logs.mkdir()
    handler = PrivateFileHandler(bench.home.logs / "host.log", encoding="utf-8")
    handler.setFormatter(LineFormatter())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield
    root.removeHandler(handler)
    root.setLevel(level)
    handler.close()


def writing(bench: HostBench, **files: str) -> Script:
    """A task that writes files, `memory__a` for memory/a.md: what a text begins with `+` is added to it."""
    call = ToolCall(call_id="call_1", name="write_file", arguments={"files": list(files.values())})

    async def write(agent: ScriptedAgent) -> None:
        await agent.turn(0, "let me write that", call)
        for name, text in files.items():
            path = bench.home.group(MAIN) / f"{name.replace('__', '/')}.md"
            before = path.read_text() if text.startswith("+") else ""
            path.write_text(before + text.removeprefix("+"))
        await agent.tool_started(1, call)
        await agent.tool_finished(2, call)
        await agent.answer(3, f"written: {' '.join(files.values())}")

    return write


class Talk:
    """What people have written by tasks, one after another."""

    def __init__(self, bench: HostBench) -> None:
        self.bench = bench
        self.tasks: list[TaskId] = []

    async def write(self, person: PersonKey, **files: str) -> None:
        self.bench.room.scripts = [writing(self.bench, **files)]
        await say(self.bench, " ".join(files.values()), person, f"{person}-chat")
        await self.bench.channel.texts(len(self.tasks) + 1)
        await self.bench.idle()
        self.tasks.append(self.bench.room.assignments[-1].task.task_id)
        await self.bench.store.write(history_rows.set_memory_from, self.tasks[-1], "")


def text_of(bench: HostBench, path: str) -> str:
    return (bench.home.group(MAIN) / path).read_text()


async def test_notes_go_and_no_undo_brings_them_back(bench: HostBench, log_file: None) -> None:
    """Notes that were theirs alone are gone, a note that they changed is what it was, what others wrote into stays and
    is named; no byte of theirs is in the history, the index, the exports or the log; older moments can still be gone
    back to, and the chain is whole."""
    talk = Talk(bench)
    index = RecallIndex(bench.home.path)
    async with bench.host():
        await talk.write(BOB, memory__base="Bob's fact", memory__shared="Bob")
        await talk.write(
            ANNA,
            memory__anna=CANARY,
            memory__base=f"+ and {CANARY}",
            memory__shared=f"+ and {CANARY}",
            workspace__plan=CANARY,
        )
        await talk.write(BOB, memory__shared="+ and Bob again", memory__bob="Bob's own")
        index.set_file(MAIN, "anna.md", "stamp", "2026-01-31", CANARY)
        bench.home.exports.mkdir()
        (bench.home.exports / "export_1.md").write_text(CANARY)
        places = {each.partition(" in ")[2].partition("/")[0] for each in found(bench.home.path, CANARY)}
        assert {"store.db-wal", "history", "recall.db", "exports", "groups"} <= places
        assert (bench.home.logs / "host.log").stat().st_size
        receipt = await forget_desk(bench).forget(ANNA)
        left = {"groups/main/workspace/plan.md", "groups/main/memory/shared.md"}
        assert found(bench.home.path, CANARY) == {f"{CANARY} in {path}" for path in left}
        assert text_of(bench, "memory/base.md") == "Bob's fact"
        assert text_of(bench, "memory/bob.md") == "Bob's own"
        (group,) = receipt.groups
        assert (group.notes, group.left) == (
            ("memory/anna.md", "memory/base.md"),
            ("memory/shared.md", "workspace/plan.md"),
        )
        assert (group.moments, group.needed, group.unknown, group.problem) == (2, 0, 0, "")
        assert receipt.exports == 1
        undo = UndoDesk(Histories(bench.home, bench.store, lambda: 1 << 30), bench.store, bench.proxy)
        for task_id in talk.tasks[1:]:
            with pytest.raises(OperationRefused, match="it held what somebody wrote who was forgotten"):
                await undo.plan(task_id)
        await undo.undo(talk.tasks[0], with_later=True, by="cli")
        assert sorted((bench.home.group(MAIN) / "memory").iterdir()) == []
        assert (await bench.store.verify_journal()).broken_at is None


async def test_a_note_that_somebody_has_changed_by_hand_stays(bench: HostBench) -> None:
    """What was changed after their last task had ended is somebody else's as well: it is named, not destroyed."""
    talk = Talk(bench)
    async with bench.host():
        await talk.write(ANNA, memory__anna=CANARY)
        note = bench.home.group(MAIN) / "memory" / "anna.md"
        note.write_text("by hand")
        os.utime(note, (time.time() + 60, time.time() + 60))
        receipt = await forget_desk(bench).forget(ANNA)
    assert note.read_text() == "by hand"
    assert receipt.groups[0].left == ("memory/anna.md",)


async def test_what_a_task_is_compared_with_goes_after_it(bench: HostBench) -> None:
    """A moment that another task's notes are still to be compared with is kept until then, the receipt says so, and the
    next sweep destroys it."""
    talk = Talk(bench)
    async with bench.host():
        await talk.write(ANNA, workspace__plan=CANARY)
        await talk.write(BOB, memory__bob="Bob's own")
        (moment, *_) = await bench.store.read(history_rows.newest_snapshots, MAIN, 1)
        await bench.store.write(history_rows.set_memory_from, talk.tasks[1], moment.manifest)
        receipt = await forget_desk(bench).forget(ANNA)
        assert receipt.groups[0].needed == 1
        assert any("compared with what a task notes now" in place.remains for place in build_places(receipt))
        await bench.store.write(history_rows.set_memory_from, talk.tasks[1], "")
        await Histories(bench.home, bench.store, lambda: 1 << 30).sweep(MAIN)
    assert found(bench.home.path / "history", CANARY) == set()


async def test_what_is_not_known_is_said(bench: HostBench) -> None:
    """Where no moment before their tasks is kept, and where there are more names than are told, the receipt says so."""
    talk = Talk(bench)
    async with bench.host():
        await talk.write(ANNA, memory__anna=CANARY)
        (moment,) = await bench.store.read(history_rows.newest_snapshots, MAIN, 5)
        await bench.store.write(history_rows.drop_snapshots, moment, "too long ago")
        await talk.write(ANNA, **{f"workspace__file{number}": CANARY for number in range(MAX_NAMED + 2)})
        receipt = await forget_desk(bench).forget(ANNA)
    assert receipt.groups[0].unknown == 1
    places = {each.place: each for each in build_places(receipt)}
    remains = places["main: memory and workspace"].remains
    assert "what 1 older tasks wrote is not known" in remains
    assert "and 2 more" in remains
    assert (bench.home.group(MAIN) / "memory" / "anna.md").exists()


async def test_the_proxy_keeps_no_words_but_those_of_an_address(tmp_path: Path) -> None:
    """What the receipt says of the audit holds: of a request neither query, headers nor content are on the proxy's
    disk, the path is."""
    with tempfile.TemporaryDirectory(prefix="cp-") as folder:
        street = Street(Path(folder))
        async with street.open(), street.upstream() as upstream:
            street.grants = f"- {{host: 127.0.0.1, scheme: http, port: {upstream.port}}}"
            await street.lease()
            host = f"127.0.0.1:{upstream.port}"
            body = CANARY.encode()
            target = f"http://{host}/ostrich?q={CANARY}"
            answer = await street.ask("POST", target, host=host, headers=[("x-note", CANARY)], body=body)
            assert answer.status == 200
            await street.event("call_ended")
        assert street.spilled(CANARY.encode()) == []
        assert "audit.db" in " ".join(street.spilled(b"ostrich"))
