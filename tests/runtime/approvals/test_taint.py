"""Taint: which tasks read untrusted text, and that what lasts of it waits for an owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from credproxy.admin_client.link import ProxyUnavailable
from protocol.ids import AttemptId, CallId, GroupId, TaskId
from protocol.proxy_admin import ProxyEvent
from protocol.task import TaskResult, TaskStatus
from runtime.approvals.records import CLI
from runtime.approvals.taint import Taints
from runtime.store import people_rows
from tests.runtime.approvals.support import GUS, STRANGER, Room, chat_of, room
from tests.runtime.store.support import ANNA, CHAT, MAIN, claimed, filed, said

DONE = TaskResult(status=TaskStatus.REPLY, text="ok")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Room]:
    async with room(tmp_path) as made:
        yield made


async def nothing(task_id: TaskId) -> tuple[tuple[str, str], ...]:
    return ()


def event(task_id: TaskId, detail: str = "web example.org") -> ProxyEvent:
    return ProxyEvent(
        kind="tainted",
        group_id=MAIN,
        task_id=task_id,
        attempt_id=AttemptId("attempt_1"),
        call_id=CallId("call_1"),
        target="GET https://example.org/",
        detail=detail,
    )


async def test_what_the_proxy_tells_is_kept(here: Room) -> None:
    """An event of the proxy's is on disk soon after, and once."""
    taints = Taints(here.store, here.approvals, nothing)
    task_id = (await claimed(here.store)).task.task_id
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(taints.run())
        taints.note(event(task_id))
        taints.note(event(task_id))
        taints.note(event(task_id, "grant mail.test"))
        while len((await taints.taint_of(task_id)).sources) < 2:
            pass  # each look is a question to the store, and the room goes on meanwhile
        running.cancel()
    assert (await taints.taint_of(task_id)).sources == (("grant", "mail.test"), ("web", "example.org"))
    entries = [entry for entry in await here.store.journal_tail() if entry.kind == "task_tainted"]
    assert len(entries) == 2
    assert all("example" not in str(entry.refs) for entry in entries)


async def test_a_conversation_stays_tainted_and_a_fresh_one_is_not(here: Room) -> None:
    """What was read stands in the conversation; after /new it does not."""
    taints = Taints(here.store, here.approvals, nothing)
    first = await claimed(here.store, "read that page")
    await taints.mark(first.task.task_id, "web", "example.org")
    await here.store.finish_task(first.task.task_id, DONE)
    second = await claimed(here.store, "remember it")
    assert (await taints.taint_of(second.task.task_id)).sources == (("web", "example.org"),)
    await here.store.finish_task(second.task.task_id, DONE)
    await here.store.new_session(MAIN, CHAT)
    third = await claimed(here.store, "hello")
    assert not (await taints.taint_of(third.task.task_id)).is_tainted


@pytest.mark.parametrize(("person", "tainted"), [(ANNA, False), (GUS, True), (STRANGER, True)])
async def test_words_of_strangers_and_guests_taint(here: Room, person: str, tainted: bool) -> None:
    """Members are trusted, who is none is not: also where their words are only kept as context."""
    taints = Taints(here.store, here.approvals, nothing)
    message = await filed(here.store, said("hi", person=person))  # type: ignore[arg-type]  # a person's key
    claim = await here.store.claim_messages([message.message_id])
    assert (await taints.taint_of(claim.task.task_id)).is_tainted is tainted


@pytest.mark.parametrize(("group", "tainted"), [(MAIN, False), (GroupId("side"), True)])
async def test_a_member_of_this_agent_alone_is_no_stranger(here: Room, group: GroupId, tainted: bool) -> None:
    """Whom an owner made a member of one agent is trusted by that one, and stays a guest of the others."""
    taints = Taints(here.store, here.approvals, nothing)
    await here.store.write(people_rows.admit_person, GUS, "Gus", "member", group, CLI)
    message = await filed(here.store, said("hi", person=GUS))
    claim = await here.store.claim_messages([message.message_id])
    assert (await taints.taint_of(claim.task.task_id)).is_tainted is tainted
    shown_as = (await here.store.beginning_of(claim.task, (GUS,))).people[GUS].role
    assert (shown_as == "guest") is tainted


async def test_nobody_to_ask_counts_as_tainted(here: Room) -> None:
    """While the proxy is away nothing lasting is made unasked."""

    async def away(task_id: TaskId) -> tuple[tuple[str, str], ...]:
        raise ProxyUnavailable(Path("proxy.sock"), "gone")

    taints = Taints(here.store, here.approvals, away)
    task_id = (await claimed(here.store)).task.task_id
    assert [source for source, _ in (await taints.taint_of(task_id)).sources] == ["unknown"]


async def test_the_guard_asks_owners_and_nobody_else(here: Room) -> None:
    """Untainted goes on; tainted waits for an owner, whose yes is for exactly this."""
    taints = Taints(here.store, here.approvals, nothing)
    task_id = (await claimed(here.store)).task.task_id
    given = {"task_id": task_id, "group_id": MAIN, "summary": "It would remember this."}
    assert await taints.guard("memory", payload={"text": "a"}, **given) is None  # type: ignore[arg-type]  # as given
    await taints.mark(task_id, "web", "evil`.test")
    asked = await taints.guard("memory", payload={"text": "a"}, **given)  # type: ignore[arg-type]  # as given
    assert asked is not None
    assert (asked.kind, asked.who, asked.is_open) == ("memory", "owner", True)
    assert "the page of `evil'.test`" in asked.summary
    await here.approvals.decide(asked.approval_id, CLI, is_yes=False)
    again = await taints.guard("memory", payload={"text": "a"}, **given)  # type: ignore[arg-type]  # as given
    assert again is not None
    assert again.state == "denied"
    other = await taints.guard("memory", payload={"text": "b"}, **given)  # type: ignore[arg-type]  # as given
    assert other is not None
    assert other.is_open
    assert chat_of(GUS) not in {card.message.chat for card in await here.cards()}
