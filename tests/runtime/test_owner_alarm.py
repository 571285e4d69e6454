"""What an owner is told at once: in their own chat, once for each thing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from protocol.ids import AttemptId, CallId, ChatKey, GroupId, TaskId
from protocol.proxy_admin import ProxyEvent
from runtime.owner_alarm import OwnerAlarm
from runtime.store.records import Binding, OutboxRow
from runtime.store.store import Store, open_store

OWN, OTHER, CROWD = ChatKey("telegram:1"), ChatKey("telegram:2"), ChatKey("telegram:-3")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        yield opened


def event(kind: Literal["tripwire", "denied"], detail: str) -> ProxyEvent:
    return ProxyEvent(
        kind=kind,
        group_id=GroupId("main"),
        task_id=TaskId("task_1"),
        attempt_id=AttemptId("a"),
        call_id=CallId("c"),
        target="GET https://strange.test/",
        detail=detail,
    )


@asynccontextmanager
async def alarm(store: Store) -> AsyncIterator[tuple[OwnerAlarm, asyncio.Event]]:
    woken = asyncio.Event()
    made = OwnerAlarm(store, woken.set)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        yield made, woken
        running.cancel()


async def told(store: Store, woken: asyncio.Event) -> list[OutboxRow]:
    await woken.wait()
    return list(await store.claim_outbox())


async def test_owner_hears_of_a_tripwire_once_for_a_task(store: Store) -> None:
    """It goes to the owner's direct chat with the group, not to a crowd, and a second one says nothing new."""
    for chat, kind, group in ((CROWD, "many", "main"), (OTHER, "direct", "other"), (OWN, "direct", "main")):
        kind_of: Literal["direct", "many"] = "many" if kind == "many" else "direct"
        await store.bind(Binding(chat=chat, chat_kind=kind_of, group_id=GroupId(group), added_by="cli"))
    async with alarm(store) as (made, woken):
        made.note(event("denied", "host_not_granted"))
        made.note(event("tripwire", "github"))
        (row,) = await told(store, woken)
        made.note(event("tripwire", "github"))
        woken.clear()
        assert [row.message.chat, "`github`" in row.message.text] == [OWN, True]
        assert await told(store, woken) == []


async def test_flood_of_alarms_is_bounded(store: Store) -> None:
    """What nobody has stored yet is limited, and dropping does not raise."""
    made = OwnerAlarm(store, lambda: None)
    for number in range(1000):
        made.note(event("tripwire", f"secret-{number}"))


async def test_without_an_owners_chat_nothing_breaks(store: Store) -> None:
    """With nobody to tell it goes on."""
    async with alarm(store) as (made, _woken):
        made.note(event("tripwire", "github"))
        await store.people()
        await store.bindings()
    assert await store.claim_outbox() == ()
