"""Packages that agents ask for: what may be asked, and what was approved before the host went."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from protocol.codec import Json
from protocol.ids import GroupId, SessionId, TaskId
from protocol.link import Ask
from protocol.task import ModelRoute
from runtime.approvals.approvals import Approvals
from runtime.group import Group, Groups
from runtime.images.book import Wish, open_book
from runtime.images.house import Ears, Images, ImagesSetup
from runtime.images.settings import MAX_PACKAGES, PackageSettings
from runtime.images.wishes import PackageWishes
from runtime.refusal import OperationRefused
from runtime.store.records import TaskRow
from runtime.store.store import open_store
from runtime.waiting_tasks import Asked

ROOT = Path(__file__).resolve().parents[3]
MAIN, TASK = GroupId("main"), TaskId("task_1")
CHILD = """import json, os, sys
failed = {"what": "it broke", "why": "no such thing", "mend": "mend it"}
print(json.dumps(failed if os.path.exists(sys.argv[1]) else {"images": {}}))
"""


class NoEngine:
    async def image_made_at(self, reference: str) -> datetime | None:
        return None


class Bench:
    """The room, and what it tells whom."""

    def __init__(self, folder: Path, approvals: Approvals, store: object) -> None:
        self.folder = folder
        self.book = open_book(folder / "images.json")
        self.told: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        self.reloaded_by: list[str] = []
        route = ModelRoute(route="r", api="anthropic", model="m")
        group = Group(group_id=MAIN, instructions="", model=route, packages=PackageSettings(pip=("pandas",)))
        self.groups = Groups(ready={MAIN: group}, suspended={})
        self.file = folder / "groups" / "main" / "group.yaml"
        self.file.parent.mkdir(parents=True)
        self.file.write_text("packages:\n  pip: [pandas]\n", "utf-8")

        async def nobody(*_: object) -> bool:
            return False

        async def refreshed() -> None:
            raise AssertionError("nothing is refreshed here")

        ears = Ears(ready=lambda: None, refreshed=refreshed, tell_waiting=nobody, alarm=lambda *_: None)
        command = (sys.executable, "-c", CHILD, str(folder / "fail"))
        setup = ImagesSetup(base="nightyard-agent:1", repository=ROOT, command=command)
        images = Images(setup, self.book, NoEngine(), lambda: self.groups, lambda: UTC, ears)
        self.wishes = PackageWishes(
            store,  # type: ignore[arg-type]  # a Store; said loosely for the fixture's sake
            images,
            self.book,
            approvals,
            folder,
            groups=lambda: self.groups,
            resume=self._resume,
            hand_back=lambda _: None,
            reload=self._reload,
            wake_delivery=lambda: None,
        )

    async def _resume(self, task_id: TaskId, call_id: str, answer: str, *, is_error: bool = False) -> bool:
        self.told.put_nowait((answer, is_error))
        return True

    async def _reload(self, by: str) -> None:
        self.reloaded_by.append(by)

    async def ask(self, manager: str, *packages: str) -> str | None:
        payload: Json = {"manager": manager, "packages": list(packages), "reason": "work"}
        row = TaskRow(
            task_id=TASK,
            group_id=MAIN,
            session_id=SessionId("s"),
            submitter="cli",
            chat=None,
            reply_to=None,
            state="running",
            created_at="",
        )
        return await self.wishes.asked(Asked(task=row, ask=Ask(call_id="c", kind="packages", payload=payload)))

    async def is_told(self) -> tuple[str, bool]:
        async with asyncio.TaskGroup() as parts:
            part = parts.create_task(self.wishes.run())
            async with asyncio.timeout(20):
                told = await self.told.get()
                while self.book.wishes:  # noqa: ASYNC110 - what follows the word is a step of its own
                    await asyncio.sleep(0.01)
            part.cancel()
        return told


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_store(tmp_path) as store:
        approvals = Approvals(store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda _: tmp_path)
        yield Bench(tmp_path, approvals, store)


WISH = Wish(group="main", manager="pip", packages=("numpy",), task=TASK, call="c", by="telegram:7")


async def test_what_was_approved_before_a_restart_is_done(bench: Bench) -> None:
    """The next host builds it, names it in the file, and tells the task."""
    bench.book.wishes.append(WISH)
    bench.book.save()
    assert open_book(bench.book.path).wishes == [WISH]
    assert await bench.is_told() == ("Installed: pip: numpy.", False)
    assert bench.file.read_text("utf-8") == "packages:\n  pip: [pandas, numpy]\n"
    assert bench.reloaded_by == ["telegram:7"] and open_book(bench.book.path).wishes == []


async def test_a_build_that_fails_changes_no_file(bench: Bench) -> None:
    """The task reads why."""
    (bench.folder / "fail").touch()
    bench.book.wishes.append(WISH)
    text, is_error = await bench.is_told()
    assert is_error and text.endswith("could not be built: it broke: no such thing")
    assert bench.file.read_text("utf-8") == "packages:\n  pip: [pandas]\n" and bench.reloaded_by == []


async def test_a_file_that_a_person_must_change_is_not_asked_about(bench: Bench) -> None:
    """No card for what could not be done."""
    bench.file.write_text("packages: {pip: [pandas]}\n", "utf-8")
    with pytest.raises(OperationRefused, match="cannot be changed here"):
        await bench.ask("pip", "numpy")


async def test_only_packages_are_asked_for(bench: Bench) -> None:
    """Names that are none, managers that are none, and too many are refused; what is there is said to be there."""
    for manager, name in (("pip", "--index-url=x"), ("apt", "a b"), ("npm", "git://x")):
        with pytest.raises(OperationRefused, match="should be a package"):
            await bench.ask(manager, name)
    with pytest.raises(OperationRefused, match="not understood"):
        await bench.ask("gem", "rails")
    with pytest.raises(OperationRefused, match=f"at most {MAX_PACKAGES} packages"):
        await bench.ask("pip", *(f"p{number}" for number in range(MAX_PACKAGES)))
    assert "has pandas in its image already" in str(await bench.ask("pip", "pandas"))


async def test_what_is_being_built_is_not_asked_again(bench: Bench) -> None:
    """After a restart the task's question comes once more."""
    bench.book.wishes.append(WISH)
    assert await bench.ask("pip", "numpy") is None
