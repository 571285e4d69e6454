"""Which servers an agent gets: those that somebody has said yes to, as the settings have them now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from protocol.codec import Json
from protocol.ids import GroupId, TaskId
from protocol.link import Ask, McpTool
from runtime.approvals.approvals import Approvals
from runtime.approvals.records import CLI, Approval, Scope
from runtime.config import Settings
from runtime.group import Groups
from runtime.group_reading import build_group
from runtime.mcp.book import McpBook
from runtime.mcp.plan import McpPlan
from runtime.refusal import OperationRefused
from runtime.store.records import TaskRow
from runtime.store.store import Store, open_store
from runtime.waiting_tasks import Asked

MAIN = GroupId("main")
ONE = "mcp: {files: {command: npx, args: [files]}}"
TWO = "mcp: {files: {command: npx, args: [other]}, mail: {url: 'https://mcp.example.org'}}"
TOOL = {"name": "t", "description": "d", "schema": {"type": "object"}}


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Return once something is so."""
    async with asyncio.timeout(10):
        while not await is_so():  # noqa: ASYNC110 - what is asked is memory, which has no event
            await asyncio.sleep(0.01)


class House:
    """A book on a real store, with settings that a test changes."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.approvals = Approvals(store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda _: folder)
        self.groups = Groups(ready={}, suspended={})
        self.book = McpBook(store, self.approvals, folder / "mcp", lambda: self.groups)

    def say(self, text: str) -> None:
        """Have group.yaml say this."""
        group, problems = build_group(MAIN, text, "", Settings())
        assert not [problem for problem in problems if problem.key.startswith("mcp")]
        self.groups = Groups(ready={MAIN: group}, suspended={})
        self.book.wake()

    def plan(self) -> McpPlan:
        return self.book.of(self.groups.ready[MAIN])

    def names(self) -> list[str]:
        return [server.name for server in self.plan().servers]

    async def waits(self, count: int = 1) -> tuple[Approval, ...]:
        """Return what is asked, once it is so much."""
        found: tuple[Approval, ...] = ()

        async def so_many() -> bool:
            nonlocal found
            found = await self.approvals.waiting()
            return len(found) == count

        await until(so_many)
        return found

    async def gets(self, *names: str) -> None:
        """Return once a task would get exactly these."""

        async def are_given() -> bool:
            return self.names() == list(names)

        await until(are_given)

    async def tell(self, payload: Json) -> str:
        row = TaskRow(
            task_id=TaskId("task_1"),
            group_id=MAIN,
            session_id=None,
            submitter="cli",
            chat=None,
            reply_to=None,
            state="running",
            created_at="2026-01-01T00:00:00+00:00",
        )
        return await self.book.listed(Asked(task=row, ask=Ask(call_id="c", kind="mcp_tools", payload=payload)))


@asynccontextmanager
async def house(folder: Path, text: str = ONE) -> AsyncIterator[House]:
    async with open_store(folder) as store, asyncio.TaskGroup() as parts:
        made = House(store, folder)
        made.say(text)
        await made.book.load()
        running = [parts.create_task(part) for part in (made.approvals.run(), made.book.run())]
        yield made
        for part in running:
            part.cancel()


async def test_a_yes_lets_it_start_for_good(tmp_path: Path) -> None:
    """Before it the task is told of the question; after it, over a restart too, nobody is asked again."""
    async with house(tmp_path) as made:
        (asked,) = await made.waits()

        async def is_told() -> bool:
            return f"with /approve {asked.approval_id} an owner does" in made.plan().notes[0]

        await until(is_told)
        assert made.plan().servers == ()
        await made.approvals.decide(asked.approval_id, CLI, is_yes=True)
        await made.gets("files")
        assert made.plan().notes == ()
    async with house(tmp_path) as made:
        assert made.names() == ["files"]
        assert await made.approvals.waiting() == ()
        (remembered,) = await made.approvals.remembered_decisions()
        assert (remembered.kind, remembered.group_id, remembered.expires_at[:4]) == ("mcp", MAIN, "9999")


async def test_a_no_is_remembered_too(tmp_path: Path) -> None:
    """The agent goes on without, and is told so."""
    async with house(tmp_path) as made:
        (asked,) = await made.waits()
        await made.approvals.decide(asked.approval_id, CLI, is_yes=False)

        async def is_told() -> bool:
            return "said no" in "".join(made.plan().notes)

        await until(is_told)
        assert made.names() == [] and await made.approvals.waiting() == ()


async def test_a_changed_definition_asks_again(tmp_path: Path) -> None:
    """And the old one holds no more for it; what is new beside it is asked about as well."""
    async with house(tmp_path) as made:
        (asked,) = await made.waits()
        await made.approvals.decide(asked.approval_id, CLI, is_yes=True)
        await made.gets("files")
        made.say(TWO)
        assert made.names() == []
        found = await made.waits(2)
        for each in found:
            await made.approvals.decide(each.approval_id, CLI, is_yes=True)
        await made.gets("files", "mail")
        made.say(ONE)
        assert made.names() == ["files"]


async def test_a_question_about_what_is_wanted_no_more_ends(tmp_path: Path) -> None:
    """Nobody says yes to what group.yaml does not name; put back, it is asked about when a task would use it."""
    async with house(tmp_path) as made:
        (asked,) = await made.waits()
        made.say("mcp: {}")
        await made.waits(0)
        assert (await made.approvals.find(asked.approval_id)).state == "withdrawn"
        made.say(ONE)
        made.plan()
        await made.waits()


async def test_a_yes_that_is_taken_back_counts_no_more(tmp_path: Path) -> None:
    """The next task does not get the server, and somebody is asked."""
    async with house(tmp_path) as made:
        (asked,) = await made.waits()
        await made.approvals.decide(asked.approval_id, CLI, is_yes=True)
        await made.gets("files")
        (remembered,) = await made.approvals.remembered_decisions()
        assert await made.approvals.forget(remembered.decision_id, CLI)
        await made.gets()
        await made.waits()


async def test_a_yes_may_be_for_a_time(tmp_path: Path) -> None:
    """Who says for how long is heard."""
    async with house(tmp_path) as made:
        (asked,) = await made.waits()
        await made.approvals.decide(asked.approval_id, CLI, is_yes=True, remember=Scope(until="hour"))
        await made.gets("files")
        (remembered,) = await made.approvals.remembered_decisions()
        assert remembered.expires_at[:4] != "9999"


async def test_what_nobody_decided_is_asked_again_when_it_is_wanted(tmp_path: Path) -> None:
    """Not before a task would use it."""
    async with house(tmp_path) as made:
        (asked,) = await made.waits()
        await made.approvals.withdraw(asked.approval_id, "the test")
        await made.waits(0)

        async def asks_again() -> bool:
            assert "nobody has said yes" in made.plan().notes[0]
            return bool(await made.approvals.waiting())

        await until(asks_again)


async def test_what_a_server_offers_is_kept(tmp_path: Path) -> None:
    """For the definition that was asked, over a restart; a changed one is unknown."""
    async with house(tmp_path) as made:
        (asked,) = await made.waits()
        await made.approvals.decide(asked.approval_id, CLI, is_yes=True)
        await made.gets("files")
        assert made.plan().servers[0].tools is None
        assert await made.tell({"server": "files", "tools": [TOOL]}) == "noted"
        known = (McpTool(name="t", description="d", schema={"type": "object"}),)
        assert made.plan().servers[0].tools == known
    async with house(tmp_path) as made:
        assert made.plan().servers[0].tools == known
        made.say(TWO)
        for each in await made.waits(2):
            await made.approvals.decide(each.approval_id, CLI, is_yes=True)
        await made.gets("files", "mail")
        assert [server.tools for server in made.plan().servers] == [None, None]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {"server": "files"},
        {"server": "files", "tools": [{}]},
        {"server": "mail", "tools": []},
        {"server": "files", "tools": [TOOL] * 501},
        {"server": "files", "tools": [{**TOOL, "description": "x" * 400_000}]},
    ],
)
async def test_only_lists_of_servers_that_it_has_are_kept(tmp_path: Path, payload: Json) -> None:
    """Of a size; the agent is told that it is none, and nothing is written."""
    async with house(tmp_path) as made:
        (asked,) = await made.waits()
        with pytest.raises(OperationRefused):
            await made.tell({"server": "files", "tools": [TOOL]})  # nobody has said yes yet
        await made.approvals.decide(asked.approval_id, CLI, is_yes=True)
        await made.gets("files")
        with pytest.raises(OperationRefused):
            await made.tell(payload)
        assert not (tmp_path / "mcp").exists()


async def test_a_file_that_is_broken_is_as_none(tmp_path: Path) -> None:
    """The server is asked with the next task."""
    (tmp_path / "mcp").mkdir()
    (tmp_path / "mcp/main.json").write_text('{"a": 5')
    async with house(tmp_path) as made:
        await made.waits()
