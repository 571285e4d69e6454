"""What a chat is told while its message waits in line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.ids import ChatKey, GroupId, MessageId
from runtime.session_queue import Lane, SessionQueue, Waiting
from runtime.waiting_notices import PLACE_AFTER_S, Hindrance, WaitingNotices
from tests.runtime.host_bench import HostBench, open_bench

FREE = Hindrance(is_frozen=False, no_room=None)


def waiting(number: int, lane: str, group: str = "main") -> Waiting:
    return Waiting(
        order=(number, 0),
        work=MessageId(f"m{number}"),
        lane=Lane(lane),
        group_id=GroupId(group),
        chat=ChatKey(f"stage:{lane}"),
    )


def one(_: GroupId) -> int:
    return 1


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path, groups={"main": "", "other": ""}) as opened:
        yield opened


async def notices(bench: HostBench) -> list[tuple[str, str]]:
    return [(row.message.chat, row.message.text) for row in await bench.store.claim_outbox()]


async def test_who_waits_is_told_their_place_after_a_few_seconds(bench: HostBench) -> None:
    """Not at once, and once: in their own conversation as behind others."""
    async with bench.host():
        desk = replace(bench.desk, delivery=Asleep())
        queue, told = SessionQueue(max_running=8), WaitingNotices(desk)
        for each in (waiting(1, "a"), waiting(2, "a"), waiting(3, "b"), waiting(4, "c")):
            queue.add(each)
            told.note(each, 100.0)
        queue.start_next(one, 100.0)
        told.forget("m1")
        told.forget("m2")
        behind_own = replace(waiting(5, "a"), mode="follow_up")
        queue.add(behind_own)
        told.note(behind_own, 100.0)
        assert await told.tell(queue, one, FREE, 101.0) == 100.0 + PLACE_AFTER_S
        assert await notices(bench) == []
        assert await told.tell(queue, one, FREE, 100.0 + PLACE_AFTER_S) is None
        shown = dict(await notices(bench))
        assert set(shown) == {"stage:a", "stage:b", "stage:c"}
        assert shown["stage:a"] == "⏳ main is still at what was said before this; you are next."
        assert shown["stage:b"] == "⏳ main is busy in another conversation; you are next."
        assert shown["stage:c"].endswith("you are number 2 in line.")
        await told.tell(queue, one, FREE, 200.0)
        assert await notices(bench) == []


async def test_a_full_machine_is_named(bench: HostBench) -> None:
    """Then groups take turns, and the place counts all of them."""
    async with bench.host():
        queue, told = SessionQueue(max_running=1), WaitingNotices(replace(bench.desk, delivery=Asleep()))
        for each in (waiting(1, "a"), waiting(2, "b"), waiting(3, "c", "other")):
            queue.add(each)
            told.note(each, 0.0)
        queue.start_next(one, 0.0)
        told.forget("m1")
        await told.tell(queue, one, FREE, PLACE_AFTER_S)
        shown = dict(await notices(bench))
        assert shown["stage:c"] == "⏳ All places on this machine are taken; you are next."
        assert shown["stage:b"].endswith("you are number 2 in line.")


class Asleep:
    """A delivery that sends nothing: the test looks into the outbox itself."""

    room = 0

    def wake(self) -> None:
        """Nothing."""

    def deliver(self, rows: object) -> None:
        """Nothing."""

    async def settled(self) -> None:
        """Nothing."""
