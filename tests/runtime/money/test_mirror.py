"""What models were used is mirrored from the proxy: nothing twice, nothing lost, whoever was away."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.ids import AttemptId, CallId, TaskId
from protocol.proxy_admin import ProxyEvent
from runtime.money.mirror import UsageMirror
from runtime.store import usage_rows
from runtime.store.store import Store, open_store
from tests.runtime.money.support import Proxy, today
from tests.runtime.store.support import MAIN


def event(task: str, kind: str = "usage") -> ProxyEvent:
    return ProxyEvent(
        kind=kind,  # type: ignore[arg-type]  # one of the proxy's words
        group_id=MAIN,
        task_id=TaskId(task),
        attempt_id=AttemptId("a"),
        call_id=CallId("c"),
        target="POST http://x/",
    )


async def calls(store: Store) -> int:
    return (await store.model_calls(today())).get(MAIN, 0)


async def until_calls(store: Store, wanted: int) -> None:
    async with asyncio.timeout(10):
        while await calls(store) != wanted:  # noqa: ASYNC110 - the store is looked at
            await asyncio.sleep(0.005)


@asynccontextmanager
async def mirrored(folder: Path, proxy: Proxy) -> AsyncIterator[tuple[Store, UsageMirror, list[int]]]:
    """A mirror at work; the list has an entry for each time that something was stored."""
    stored: list[int] = []
    async with open_store(folder) as store:
        mirror = UsageMirror(store, proxy, lambda: stored.append(1))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(mirror.run())
            await mirror.has_caught_up.wait()
            try:
                yield store, mirror, stored
            finally:
                running.cancel()


async def test_an_event_brings_the_tasks_sums(tmp_path: Path) -> None:
    """However many events tell of them, calls count once."""
    proxy = Proxy()
    async with mirrored(tmp_path, proxy) as (store, mirror, _):
        for _ in range(3):
            proxy.use("task_1", calls=1, cost=0.5)
            mirror.note(event("task_1"))
            mirror.note(event("task_1"))
        await until_calls(store, 3)
        day = await store.read(usage_rows.use_of_day, today())
        assert day.machine.cost_usd == 1.5


async def test_what_was_used_while_no_host_was_there_is_added(tmp_path: Path) -> None:
    """At a start all since the last known day is asked for; what the store has is not counted again."""
    proxy = Proxy()
    async with mirrored(tmp_path, proxy) as (store, mirror, _):
        proxy.use("task_1", calls=2)
        mirror.note(event("task_1"))
        await until_calls(store, 2)
    proxy.use("task_1", calls=1)
    proxy.use("task_2", calls=4)
    proxy.use("task_0", calls=9, day="2026-01-01")
    async with mirrored(tmp_path, proxy) as (store, _, _):
        assert await calls(store) == 7
        assert await store.model_calls("2026-01-01") == {}


async def test_a_proxy_that_is_away_is_asked_again(tmp_path: Path) -> None:
    """Nothing is lost meanwhile; `settle` does not wait for it."""
    proxy = Proxy()
    async with mirrored(tmp_path, proxy) as (store, mirror, _):
        proxy.is_away = True
        proxy.use("task_1", calls=2)
        async with asyncio.timeout(5):
            await mirror.settle(TaskId("task_1"))
        assert await calls(store) == 0
        proxy.is_away = False
        await mirror.settle(TaskId("task_1"))
        assert await calls(store) == 2


async def test_other_events_ask_nothing(tmp_path: Path) -> None:
    """A denial or a tripwire is no use of a model; a limit that was reached is worth a look."""
    proxy = Proxy()
    async with mirrored(tmp_path, proxy) as (store, mirror, stored):
        asked = proxy.asked
        for kind in ("denied", "tripwire", "call_begun", "call_ended", "approval_wanted"):
            mirror.note(event("task_1", kind))
        proxy.use("task_1")
        mirror.note(event("task_1", "limit"))
        await until_calls(store, 1)
        async with asyncio.timeout(5):
            while not stored:  # noqa: ASYNC110 - it is told a moment after the store has it
                await asyncio.sleep(0)
        assert proxy.asked == asked + 1 and len(stored) == 1


@settings(max_examples=25, deadline=None)
@given(moves=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.booleans()), max_size=12), data=st.data())
def test_sums_equal_what_the_provider_counted(moves: list[tuple[int, int, bool]], data: st.DataObject) -> None:
    """Whatever events are lost or doubled, and however often the host starts again, the sums are the proxy's."""

    async def play(folder: Path) -> None:
        proxy, left = Proxy(), list(moves)
        while left:
            async with mirrored(folder, proxy) as (store, mirror, _):
                for _ in range(data.draw(st.integers(1, len(left)))):
                    task, used, is_told = left.pop(0)
                    proxy.use(f"task_{task}", calls=used)
                    for _ in range(is_told * 2):
                        mirror.note(event(f"task_{task}"))
        async with mirrored(folder, proxy) as (store, _, _):
            assert await calls(store) == sum(used for _, used, _ in moves)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
