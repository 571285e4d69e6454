"""Model calls counted by group and day, also those made while no host was there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from credproxy.admin_client.answers import UsageSum
from credproxy.admin_client.link import ProxyUnavailable
from protocol.ids import AttemptId, CallId, GroupId, TaskId
from protocol.proxy_admin import ProxyEvent
from protocol.task import Usage
from runtime.budget import day_of
from runtime.store.store import Store, open_store
from runtime.usage_count import UsageCount

MAIN = GroupId("main")


class Sums:
    """What the proxy says was used today."""

    def __init__(self, calls: int, *, away: bool = False) -> None:
        self.calls, self.away = calls, away

    async def usage(self, *, task_id: TaskId | None = None, day: str | None = None) -> tuple[UsageSum, ...]:
        if self.away:
            raise ProxyUnavailable(Path("proxy.sock"), "nobody listens")
        return (UsageSum(group_id=MAIN, model="m", usage=Usage(model_calls=self.calls)),)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        yield opened


def event(calls: int = 1) -> ProxyEvent:
    return ProxyEvent(
        kind="usage",
        group_id=MAIN,
        task_id=TaskId("t"),
        attempt_id=AttemptId("a"),
        call_id=CallId("c"),
        target="POST http://x/",
        usage=Usage(model_calls=calls),
    )


async def counted(store: Store, calls: int) -> Mapping[GroupId, int]:
    """Wait until so many are stored; return what is."""
    async with asyncio.timeout(5):
        while True:
            found = await store.model_calls(day_of(datetime.now(UTC)))
            if found.get(MAIN, 0) >= calls:
                return found
            await asyncio.sleep(0)


@pytest.mark.parametrize("sums", [Sums(0), Sums(0, away=True)])
async def test_each_call_counts_once(store: Store, sums: Sums) -> None:
    """Events are added up, whether or not the proxy can be asked for its sums."""
    count = UsageCount(store, sums)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(count.run())
        count.note(event())
        count.note(event(2))
        assert await counted(store, 3) == {MAIN: 3}
        running.cancel()


async def test_calls_made_while_no_host_was_there_are_added(store: Store) -> None:
    """The proxy's sums are the truth; what the store has already is not counted again."""
    await store.add_model_calls(day_of(datetime.now(UTC)), MAIN)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(UsageCount(store, Sums(4)).run())
        assert await counted(store, 4) == {MAIN: 4}
        running.cancel()


async def test_what_is_not_stored_yet_counts_for_the_cap(store: Store) -> None:
    """A call is counted from the moment of its event: first beside the store's count, then in it, never in neither."""
    count, day = UsageCount(store, Sums(0)), day_of(datetime.now(UTC))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(count.run())
        count.note(event(2))
        assert count.uncounted(MAIN) == 2
        assert count.uncounted(GroupId("other")) == 0
        while count.uncounted(MAIN):
            before = count.uncounted(MAIN)
            assert before + (await store.model_calls(day)).get(MAIN, 0) >= 2
        assert await store.model_calls(day) == {MAIN: 2}
        running.cancel()


async def test_calls_in_one_breath_are_stored_in_one_go(store: Store) -> None:
    """The count waits a moment, so that it does not stand between an answer and the person."""
    count = UsageCount(store, Sums(0))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(count.run())
        for _ in range(10):
            count.note(event())
        assert await counted(store, 1) == {MAIN: 10}
        running.cancel()
