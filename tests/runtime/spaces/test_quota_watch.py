"""Who may write to a space that is too full is ended; who only reads, and who clears it away, is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.container_command import SpaceMount
from runtime.spaces.quota_watch import QuotaWatch

MB = 1 << 20


class Container:
    def __init__(self) -> None:
        self.reports: list[str] = []

    def report_space_full(self, detail: str) -> None:
        self.reports.append(detail)


class Shared:
    """A space with a quota of 2 MiB and five files."""

    def __init__(self, path: Path) -> None:
        self.path = path / "notes"
        self.path.mkdir()
        self.watch = QuotaWatch()
        self.now = 0.0

    def start(self, *, may_write: bool = True) -> Container:
        container = Container()
        mount = SpaceMount(name="notes", path=str(self.path), may_write=may_write, quota_bytes=2 * MB, max_files=5)
        self.watch.watch(container, [mount])
        return container

    def write(self, megabytes: int, name: str = "large") -> None:
        with (self.path / name).open("ab") as file:
            file.write(bytes(range(256)) * (megabytes * MB // 256))

    async def look(self) -> None:
        self.now += 60.0
        await self.watch.look(self.now)


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path)


async def test_who_writes_beyond_the_quota_is_ended(shared: Shared) -> None:
    """With the folder's name and both figures, once; within the quota nothing happens, and readers are left alone."""
    writer, reader = shared.start(), shared.start(may_write=False)
    shared.write(1)
    await shared.look()
    assert writer.reports == []
    shared.write(2)
    await shared.look()
    await shared.look()
    assert writer.reports == ["the shared folder /spaces/notes holds 3 MiB, the limit is 2 MiB"]
    assert reader.reports == []


async def test_too_many_files_are_too_much(shared: Shared) -> None:
    """However small they are."""
    writer = shared.start()
    await shared.look()
    for number in range(6):
        (shared.path / str(number)).touch()
    await shared.look()
    assert writer.reports == ["the shared folder /spaces/notes holds 6 files, the limit is 5"]


async def test_a_full_space_can_be_cleared_away(shared: Shared) -> None:
    """The next agent may hold what is there already, and no more; once it fits again, the quota counts."""
    filler = shared.start()
    shared.write(4)
    await shared.look()
    shared.watch.forget(filler)
    writer = shared.start()
    await shared.look()
    (shared.path / "large").unlink()
    shared.write(1)
    await shared.look()
    assert writer.reports == []
    shared.write(2)
    await shared.look()
    assert writer.reports == ["the shared folder /spaces/notes holds 3 MiB, the limit is 2 MiB"]


async def test_a_full_space_is_not_filled_further(shared: Shared) -> None:
    """Neither with bytes nor with files beyond what was there."""
    filler = shared.start()
    shared.write(4)
    await shared.look()
    shared.watch.forget(filler)
    writer = shared.start()
    await shared.look()
    shared.write(1, "more")
    await shared.look()
    assert writer.reports == ["the shared folder /spaces/notes holds 5 MiB, the limit is 4 MiB"]


async def test_what_is_written_before_anybody_looked_counts(shared: Shared) -> None:
    """An agent that is quick has no larger quota."""
    writer = shared.start()
    shared.write(3)
    await shared.look()
    assert writer.reports == ["the shared folder /spaces/notes holds 3 MiB, the limit is 2 MiB"]


async def test_what_is_hidden_by_its_mode_counts(shared: Shared) -> None:
    """A folder that nobody may enter is no place beyond the quota."""
    writer = shared.start()
    await shared.look()
    hidden = shared.path / "hidden"
    hidden.mkdir()
    (hidden / "large").write_bytes(b"x" * 3 * MB)
    hidden.chmod(0)
    try:
        await shared.look()
    finally:
        hidden.chmod(0o700)
    assert len(writer.reports) == 1


async def test_nobody_at_work_is_nothing_to_look_at(shared: Shared) -> None:
    """A container that has gone is not told on."""
    writer = shared.start()
    await shared.look()
    shared.watch.forget(writer)
    shared.write(3)
    await shared.look()
    assert writer.reports == []
