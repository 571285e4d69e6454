"""Who fills a disk: an agent beyond its own limit, an agent that takes the machine's last room, or somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.ids import GroupId
from runtime.disk_watch import WALK_EVERY_S, DiskWatch
from runtime.door import DoorFolder
from runtime.home import Home

MB = 1 << 20
FLOOR_BYTES = 64 * MB
LIMIT_BYTES = 32 * MB


class Container:
    """A container of a group, as the watch sees it."""

    def __init__(self, home: Home, group: str) -> None:
        self.group_id = GroupId(group)
        self.door = DoorFolder(home.path / "run" / "c" / group)
        self.workspace = home.group(self.group_id) / "workspace"
        self.workspace.mkdir(parents=True)
        self.reports: list[tuple[str, bool]] = []

    def report_disk_full(self, detail: str, *, is_machine: bool = False) -> None:
        self.reports.append((detail, is_machine))

    def report_space_full(self, detail: str) -> None:
        raise AssertionError(detail)

    def write(self, megabytes: int) -> None:
        with (self.workspace / "large").open("ab") as file:
            file.write(bytes(megabytes * MB))


class Machine:
    """A disk whose free space is what the test says."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.free_mb = 1000
        self.now = 0.0
        self.watch = DiskWatch(self.home, floor_bytes=FLOOR_BYTES, free_bytes=lambda _: self.free_mb * MB)

    def start(self, group: str) -> Container:
        container = Container(self.home, group)
        self.watch.watch(container, LIMIT_BYTES)
        return container

    async def look(self, *, free_mb: int) -> None:
        self.free_mb = free_mb
        self.now += WALK_EVERY_S + 1
        await self.watch.look(self.now)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def test_an_agent_beyond_its_own_limit_is_told_on(machine: Machine) -> None:
    """However much room the machine has."""
    container = machine.start("main")
    container.write(33)
    await machine.look(free_mb=960)
    ((detail, is_machine),) = container.reports
    assert "33 MiB, the limit is 32 MiB" in detail
    assert not is_machine


async def test_an_agent_that_takes_the_last_room_has_to_go(machine: Machine) -> None:
    """Though it is within its own limit; the one beside it, which holds as much from before, works on."""
    machine.free_mb = 50
    quiet, busy = machine.start("quiet"), machine.start("busy")
    quiet.write(20)
    await machine.look(free_mb=45)
    busy.write(20)
    await machine.look(free_mb=25)
    assert quiet.reports == []
    ((detail, is_machine),) = busy.reports
    assert detail == "it wrote 20 MiB, and only 25 MiB of disk are left on this machine"
    assert is_machine


async def test_one_that_filled_the_disk_before_anybody_looked_has_to_go(machine: Machine) -> None:
    """Nothing was known of it yet, so that all it holds may be new."""
    machine.free_mb = 50
    container = machine.start("main")
    container.write(30)
    await machine.look(free_mb=20)
    assert [is_machine for _, is_machine in container.reports] == [True]


async def test_nobody_is_ended_for_what_somebody_else_fills(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """Another program takes the disk: agents work on, and who reads the log is told once for each time."""
    container = machine.start("main")
    container.write(20)
    await machine.look(free_mb=980)
    container.write(1)
    for _ in range(3):
        await machine.look(free_mb=10)
    assert container.reports == []
    assert [record.__dict__["action"] for record in caplog.records] == ["machine_disk_short"]
    await machine.look(free_mb=980)
    await machine.look(free_mb=10)
    assert len(caplog.records) == 2


async def test_a_task_that_begins_on_a_short_disk_is_not_to_blame(machine: Machine) -> None:
    """What its group holds from before took no room just now."""
    machine.free_mb = 20
    container = machine.start("main")
    container.write(30)
    await machine.look(free_mb=20)
    assert container.reports == []
