"""Spaces in real containers: what the kernel refuses, who is ended for filling one, and what the log says of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from protocol.ids import TaskId
from runtime.agent_events import AgentMisbehaved
from runtime.approvals.records import Taint
from runtime.container_command import ContainerKind, SpaceMount
from runtime.spaces.room import Spaces
from runtime.store import space_rows
from runtime.store.store import open_store
from tests.runtime.container_house import ContainerHouse, first_event, open_house

pytestmark = pytest.mark.engine

TRY_TO_WRITE = """
for attempt in (
    lambda: open("/spaces/notes/new", "w"),
    lambda: open("/spaces/notes/a.md", "a"),
    lambda: os.unlink("/spaces/notes/a.md"),
    lambda: os.mkdir("/spaces/notes/d"),
    lambda: os.chmod("/spaces/notes/a.md", 0o777),
    lambda: os.link("/spaces/notes/a.md", "/workspace/a.md"),
):
    try:
        attempt()
        answer("done")
    except OSError as error:
        answer(error.strerror)
"""


def shared(house: ContainerHouse, group: str, *, may_write: bool, quota_mb: int = 10) -> ContainerKind:
    """What a group's containers are made of that has the space `notes`."""
    mount = SpaceMount(
        name="notes",
        path=str(house.setup.home.space("notes")),
        may_write=may_write,
        quota_bytes=quota_mb << 20,
        max_files=100,
    )
    return house.kind(group, spaces=(mount,))


async def nothing_read(_: TaskId) -> Taint:
    return Taint()


async def unmarked(*_: object) -> None:
    return None


async def test_what_one_group_writes_another_reads_and_cannot_write(agent_image: str) -> None:
    """The kernel refuses a reader every way to change it; who has no space sees none."""
    async with open_house(agent_image) as house:
        await house.run('open("/spaces/notes/a.md", "w").write("found")', shared(house, "writer", may_write=True))
        reader = shared(house, "reader", may_write=False)
        result, _ = await house.run('answer(open("/spaces/notes/a.md").read())', reader)
        assert result is not None
        assert result.text == "found"
        result, _ = await house.run(TRY_TO_WRITE, reader)
        assert result is not None
        assert result.text.splitlines() == ["Read-only file system"] * 5 + ["Invalid cross-device link"]
        result, _ = await house.run('answer(os.listdir("/spaces"))', house.kind("stranger"))
        assert result is not None
        assert result.text == "[]"


async def test_who_fills_a_space_is_ended_and_its_reader_is_not(agent_image: str) -> None:
    """Long before the disk's own limits, with the space's name and both figures; nothing is deleted."""
    filling = 'open("/spaces/notes/large", "wb").write(bytes(range(256)) * 4096 * 3)\ntime.sleep(60)'
    async with open_house(agent_image) as house:
        reader = await house.begin("time.sleep(60)", shared(house, "reader", may_write=False, quota_mb=2))
        waiting = asyncio.ensure_future(first_event(reader))
        writer = await house.begin(filling, shared(house, "writer", may_write=True, quota_mb=2))
        event = await first_event(writer)
        assert event == AgentMisbehaved(
            code="space_full", detail="the shared folder /spaces/notes holds 3 MiB, the limit is 2 MiB"
        )
        assert not waiting.done()
        waiting.cancel()
        for session in (reader, writer):
            await session.end("the test is over")
        assert (house.setup.home.space("notes") / "large").stat().st_size == 3 << 20


async def test_a_grant_that_changed_is_another_container(agent_image: str) -> None:
    """A spare that may write is not given to a task of a group that may only read by now."""
    async with open_house(agent_image, spares=2, spare_delay_s=0.0) as house:
        kind = shared(house, "main", may_write=True)
        await house.containers.warm(kind)
        (mount,) = kind.spaces
        result, _ = await house.run(TRY_TO_WRITE, replace(kind, spaces=(replace(mount, may_write=False),)))
        assert result is not None
        assert "done" not in result.text


async def test_the_log_says_whose_work_it_was(agent_image: str) -> None:
    """Two tasks of two groups, one after the other; a link that the first planted never reaches the second."""
    planting = 'open("/spaces/notes/a.md", "w").write("x")\nos.symlink("/memory/MEMORY.md", "/spaces/notes/b.md")'
    looking = 'answer(sorted(os.listdir("/spaces/notes")))\nos.unlink("/spaces/notes/a.md")'
    async with open_house(agent_image) as house, open_store(house.setup.home.path) as store:
        spaces = Spaces(house.setup.home, store, taint_of=nothing_read, mark=unmarked)
        seen = []
        for number, code in enumerate((planting, looking), 1):
            kind, task_id = shared(house, f"group{number}", may_write=True), TaskId(f"task_{number}")
            await spaces.begin(task_id, kind.spaces)
            result, _ = await house.run(code, kind)
            await spaces.end(task_id)
            seen.append(result.text if result else None)
        assert seen == ["", "['a.md']"]
        rows = await store.read(space_rows.log, "notes", 10)
        assert [(row.path, row.kind, [writer.task_id for writer in row.writers]) for row in reversed(rows)] == [
            ("a.md", "created", ["task_1"]),
            ("b.md", "refused", ["task_1"]),
            ("a.md", "deleted", ["task_2"]),
        ]
