"""Images of groups: missing ones built by a child, one at a time; failures kept; what is old refreshed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocol.ids import GroupId
from protocol.task import ModelRoute
from runtime.engine_errors import EngineAway
from runtime.group import Group, Groups
from runtime.images.book import REFRESH, open_book
from runtime.images.child import run_verb
from runtime.images.house import Ears, Images, ImagesSetup
from runtime.images.settings import PackageSettings

ROOT = Path(__file__).resolve().parents[3]
MAIN, OTHER = GroupId("main"), GroupId("other")
BASE = "nightyard-agent:1"
WAIT_S = 20.0
CHILD = """
import json, os, sys, time
shelf, words = sys.argv[1], sys.argv[2:]
with open(f"{shelf}/calls", "a") as calls:
    calls.write(" ".join(words) + "\\n")
print("far away", file=sys.stderr, flush=True)
while os.path.exists(f"{shelf}/hold"):
    time.sleep(0.02)
if os.path.exists(f"{shelf}/fail"):
    print(json.dumps({"what": "it broke", "why": "no such thing", "mend": "mend it"}))
    sys.exit(1)
open(f"{shelf}/built", "w").close()
print(json.dumps({"images": {}}))
"""
"""In the place of the `nightyard` command: it builds when it is let, or fails."""


class Shelf:
    """The engine's images: the agent image, and whatever is wanted once the child has run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base_made_at = datetime.now(UTC)
        self.is_away = False

    async def image_made_at(self, reference: str) -> datetime | None:
        if self.is_away:
            raise EngineAway("its socket", "nobody listens")
        if reference == BASE:
            return self.base_made_at
        return self.base_made_at if (self.folder / "built").exists() else None

    def calls(self) -> list[str]:
        try:
            return (self.folder / "calls").read_text().splitlines()
        except FileNotFoundError:
            return []

    def put(self, name: str) -> None:
        (self.folder / name).touch()

    def take(self, name: str) -> None:
        (self.folder / name).unlink()


@dataclass
class House:
    """One room of images, and who hears of it."""

    shelf: Shelf
    book: Path
    groups: Groups
    images: Images = field(init=False)
    readies: int = 0
    refreshes: int = 0
    told: list[tuple[GroupId, str]] = field(default_factory=list)
    alarms: list[tuple[GroupId, str]] = field(default_factory=list)
    waits: bool = True
    settled_s: float = 1800.0

    def __post_init__(self) -> None:
        command = (sys.executable, "-c", CHILD, str(self.shelf.folder))
        ears = Ears(ready=self._ready, refreshed=self._refreshed, tell_waiting=self._tell, alarm=self._alarm)
        setup = ImagesSetup(base=BASE, repository=ROOT, command=command, settled_s=self.settled_s)
        self.images = Images(setup, open_book(self.book), self.shelf, lambda: self.groups, lambda: UTC, ears)

    def _ready(self) -> None:
        self.readies += 1

    async def _refreshed(self) -> None:
        self.refreshes += 1

    async def _tell(self, group_id: GroupId, key: str, text: str) -> bool:
        self.told.append((group_id, text))
        return self.waits

    def _alarm(self, key: str, text: str, group_id: GroupId) -> None:
        self.alarms.append((group_id, text))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.images.load()
        async with asyncio.TaskGroup() as parts:
            part = parts.create_task(self.images.run())
            try:
                yield
            finally:
                part.cancel()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not holds():  # noqa: ASYNC110 - a child process is waited for
                await asyncio.sleep(0.01)


def group(group_id: GroupId, *pip: str) -> Group:
    route = ModelRoute(route="r", api="anthropic", model="m")
    return Group(group_id=group_id, instructions="", model=route, packages=PackageSettings(pip=pip))


@pytest.fixture
def house(tmp_path: Path) -> House:
    ready = {MAIN: group(MAIN, "pandas"), OTHER: group(OTHER)}
    return House(Shelf(tmp_path), tmp_path / "images.json", Groups(ready=ready, suspended={}))


async def test_a_missing_image_is_built_and_only_its_group_waits(house: House) -> None:
    """Known before the first task; told how far it is; then it is there, and whoever waited hears of it."""
    house.shelf.put("hold")
    async with house.running():
        assert "main gets an image with pip: pandas first" in house.images.lacks(MAIN)
        assert house.images.lacks(OTHER) == "" and house.images.image_of(house.groups.ready[OTHER]) == BASE
        await house.until(lambda: "far away" in str(house.images.reasons(MAIN)))
        house.shelf.take("hold")
        await house.until(lambda: not house.images.lacks(MAIN))
    assert house.shelf.calls() == [f"image build main --base {BASE} --json"]
    assert house.readies == 1 and house.images.reasons(MAIN) == ()


async def test_a_task_that_runs_goes_on_with_what_it_began_with(house: House) -> None:
    """Its group wants another image meanwhile, which is not there yet; without one of before, it is the new one."""
    house.shelf.put("built")
    async with house.running():
        before = house.images.image_of(house.groups.ready[MAIN])
        house.shelf.take("built")
        house.shelf.put("hold")
        changed = group(MAIN, "pandas", "numpy")
        house.groups = Groups(ready={MAIN: changed, OTHER: group(OTHER, "numpy")}, suspended={})
        assert house.images.image_of(changed) == before
        assert house.images.image_of(house.groups.ready[OTHER]) not in (before, BASE)
        assert house.images.lacks(MAIN) and house.images.lacks(OTHER)


async def test_groups_that_want_the_same_are_built_once(house: House) -> None:
    """One image, one build, both go on."""
    house.groups = Groups(ready={MAIN: group(MAIN, "pandas"), OTHER: group(OTHER, "pandas")}, suspended={})
    async with house.running():
        await house.until(lambda: not house.images.lacks(MAIN))
        assert not house.images.lacks(OTHER)
    assert len(house.shelf.calls()) == 1


async def test_a_failure_is_told_once_and_not_tried_in_a_loop(house: House) -> None:
    """Also not by a next host; a build by hand that makes it is seen at once."""
    house.shelf.put("fail")
    async with house.running():
        await house.until(lambda: bool(house.told))
        house.images.wake()
    assert house.told[0][0] == MAIN and "it broke: no such thing" in house.told[0][1]
    again = replace(house, told=[], alarms=[])
    async with again.running():
        assert "could not be built" in again.images.lacks(MAIN)
        house.shelf.take("fail")
        house.shelf.put("built")
        await again.images.look()
        await again.until(lambda: not again.images.lacks(MAIN))
    assert len(house.shelf.calls()) == 1 and again.told == []
    assert json.loads(house.book.read_text())["failures"] == {}


async def test_an_owner_is_told_where_nobody_waits(house: House) -> None:
    """The failure of an image that no message waits for."""
    house.waits = False
    house.shelf.put("fail")
    async with house.running():
        await house.until(lambda: bool(house.alarms))
    assert house.alarms[0][0] == MAIN and "To mend it: mend it" in house.alarms[0][1]


async def test_packages_are_tried_without_anybody_waiting(house: House) -> None:
    """Built with the file's own, named to the child; the group has all it had meanwhile."""
    house.shelf.put("built")
    async with house.running():
        assert await house.images.build_with(MAIN, "npm", ["x", "y"]) == ""
        house.shelf.put("fail")
        assert await house.images.build_with(MAIN, "npm", ["z"]) == "it broke: no such thing"
        assert house.images.lacks(MAIN) == ""
    assert house.shelf.calls()[0] == f"image build main --package npm:x --package npm:y --base {BASE} --json"


async def test_old_images_are_refreshed_and_spares_go(house: House) -> None:
    """Not right after a start; a failure is told to an owner and shown, and forgotten once it went well."""
    house.shelf.put("built")
    house.shelf.base_made_at = datetime.now(UTC) - timedelta(days=99)
    async with house.running():
        await house.images.look()
        await house.until(lambda: "agent_image" in str(house.images.status()))
    assert house.shelf.calls() == []
    house = replace(house, settled_s=0.0)
    async with house.running():
        await house.until(lambda: house.refreshes == 1)
        house.shelf.put("fail")
        house.images.wake()
        await house.until(lambda: bool(house.alarms))
        assert "could not be refreshed" in house.alarms[0][1]
        status = house.images.status()
        assert isinstance(status, dict) and "no such thing" in str(status["refresh_problem"])
        await house.images.look(is_refreshed=True, refresh_days=0)
    assert house.refreshes == 2
    assert REFRESH not in open_book(house.book).failures and open_book(house.book).refresh_days == 0
    assert house.shelf.calls()[0] == f"image refresh --base {BASE} --json"


async def test_an_engine_that_is_away_is_asked_again(house: House) -> None:
    """Nothing is built blindly; the group waits, as it would for the engine."""
    house.shelf.is_away = True
    async with house.running():
        assert house.images.lacks(MAIN)
        house.shelf.is_away = False
        house.images.wake()
        await house.until(lambda: not house.images.lacks(MAIN))


async def test_a_child_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """The host goes: nothing of a build is left, whatever it does with signals."""
    script = (
        "import os, signal, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '1000.75'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "print('begun', file=sys.stderr, flush=True)\n"
        "time.sleep(1000)\n"
    )
    begun = asyncio.Event()
    async with asyncio.TaskGroup() as parts:
        part = parts.create_task(run_verb((sys.executable, "-c", script), [], lambda _: begun.set()))
        async with asyncio.timeout(WAIT_S):
            await begun.wait()
        part.cancel()
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    async with asyncio.timeout(WAIT_S):
        while any(is_alive(pid) for pid in pids):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_child_without_a_word_has_failed() -> None:
    """Killed, out of memory, or broken: its last lines are the reason."""
    said = await run_verb((sys.executable, "-c", "import sys; sys.exit('it fell over')"), [], lambda _: None)
    assert "it fell over" in said["why"] and said["mend"]
    assert os.getpgrp() == os.getpgid(0)
