"""Answers that grow in place."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from channels.channel import DeliveryFailed, NotYet
from channels.growing import Growing
from channels.growth import LONGEST_TAKEN_OVER_S, GrowingPace, Growth
from protocol.ids import PlatformMessageId
from tests.channels.showing import Stage, noted, running

MESSAGES = GrowingPace(first_after_s=0.0, every_s=0.01)
DRAFTS = GrowingPace(first_after_s=0.0, every_s=0.01, again_s=0.03)


def new_growing(
    stage: Stage, path: Path | None = None, *, pace: GrowingPace = MESSAGES, max_chars: int = 4000, per_s: float = 1e6
) -> Growing[int]:
    return Growing(stage, noted(path), pace=lambda place: pace, max_chars=max_chars, per_s=per_s)


async def test_an_answer_grows_and_is_taken_over(tmp_path: Path) -> None:
    """Pieces show up in one message, markup whole at each time; the answer is given that message, which is then no
    more this host's to take away."""
    stage, path = Stage(), tmp_path / "growing"
    growing = new_growing(stage, path)
    async with running(growing.run):
        growing.add(1, "It is **ve")
        await stage.until(lambda: stage.seen(1) == ["It is **ve**"])
        growing.add(1, "ry** good")
        await stage.until(lambda: stage.seen(1) == ["It is **very** good"])
        assert json.loads(path.read_text()) == [["1", "1"]]
        assert await growing.take_over(1) == "1"
        growing.end(1)
        await growing.settle(1, became_answer=True)
        assert json.loads(path.read_text()) == []
        assert await growing.take_over(1) is None
    assert stage.seen(1) == ["It is **very** good"]


async def test_the_text_of_the_next_turn_takes_the_place() -> None:
    """After tools another text begins in the same message; until its first piece the old one stands."""
    stage = Stage()
    growing = new_growing(stage)
    async with running(growing.run):
        growing.add(1, "Let me look.")
        await stage.until(lambda: stage.seen(1) == ["Let me look."])
        growing.end_turn(1)
        growing.add(1, "Found")
        await stage.until(lambda: stage.seen(1) == ["Found"])


async def test_work_without_an_answer_leaves_nothing() -> None:
    """What was seen of an answer that never comes goes."""
    stage = Stage()
    growing = new_growing(stage, pace=replace(MESSAGES, answer_within_s=0.02))
    async with running(growing.run):
        growing.add(1, "I think")
        await stage.until(lambda: stage.seen(1) == ["I think"])
        growing.end(1)
        await stage.until(lambda: stage.seen(1) == [])


async def test_updates_are_dropped_and_never_queued() -> None:
    """A thousand pieces that come while one is being shown are one update."""
    stage = Stage()
    stage.held[1] = asyncio.Event()
    growing = new_growing(stage)
    async with running(growing.run):
        growing.add(1, "No. 0")
        await stage.until(lambda: len(stage.calls) == 1)
        for number in range(1, 1000):
            growing.add(1, f" {number}")
        whole = "No. " + " ".join(map(str, range(1000)))
        stage.held.pop(1).set()
        await stage.until(lambda: stage.seen(1) == [whole])
    assert len(stage.calls) == 2


async def test_what_is_under_way_ends_before_the_answer_takes_over() -> None:
    """An update that the platform is still working on cannot come after the answer: taking over waits for it."""
    stage = Stage()
    stage.held[1] = asyncio.Event()
    growing = new_growing(stage)
    async with running(growing.run):
        growing.add(1, "half")
        await stage.until(lambda: len(stage.calls) == 1)
        taking = asyncio.ensure_future(growing.take_over(1))
        await asyncio.sleep(0)
        assert not taking.done()
        stage.held.pop(1).set()
        assert await taking == "1"
        growing.add(1, " more")  # of what is over: nobody sees it in the answer's message
        await stage.until(lambda: len(stage.seen(1)) == 2)
    assert stage.seen(1)[0] == "half"


async def test_an_answer_that_fails_is_given_the_message_again() -> None:
    """A delivery that is tried again takes over the same message; one sent elsewhere lets it go."""
    stage = Stage()
    growing = new_growing(stage)
    async with running(growing.run):
        growing.add(1, "half")
        await stage.until(lambda: stage.seen(1) == ["half"])
        growing.end(1)
        assert await growing.take_over(1) == await growing.take_over(1) == "1"
        await growing.settle(1, became_answer=False)
        await stage.until(lambda: stage.seen(1) == [])


async def test_the_answer_before_gets_its_own_message() -> None:
    """While one answer waits for its delivery the next one already grows: each has its message."""
    stage = Stage()
    growing = new_growing(stage)
    async with running(growing.run):
        growing.add(1, "first")
        await stage.until(lambda: stage.seen(1) == ["first"])
        growing.end(1)
        growing.add(1, "second")
        await stage.until(lambda: stage.seen(1) == ["first", "second"])
        assert await growing.take_over(1) == "1"
        await growing.settle(1, became_answer=True)
        assert await growing.take_over(1) == "2"


async def test_half_an_answer_of_a_dead_host_goes(tmp_path: Path) -> None:
    """The next start takes away what the last one was showing, and gives it to no answer."""
    stage, path = Stage(), tmp_path / "growing"
    first = new_growing(stage, path)
    async with running(first.run):
        first.add(1, "half")
        await stage.until(lambda: path.exists() and "1" in path.read_text())
    second = new_growing(stage, path)
    stage.held[1] = asyncio.Event()
    async with running(second.run):
        await stage.until(lambda: stage.count("delete", 1) == 1)
        assert await second.take_over(1) is None
        stage.held.pop(1).set()
        await stage.until(lambda: stage.seen(1) == [])


async def test_a_message_long_above_does_not_become_the_answer() -> None:
    """Where work took long, the answer is a message of its own, at the end of the chat."""
    growth = Growth(number=1, pace=MESSAGES, next_at=0.0)
    growth.add("half", 100)
    growth.was_shown("half", PlatformMessageId("1"), 10.0)
    assert growth.is_to_become_the_answer(10.0 + LONGEST_TAKEN_OVER_S)
    assert not growth.is_to_become_the_answer(10.1 + LONGEST_TAKEN_OVER_S)


async def test_what_fades_is_shown_again_and_is_nobodys_message(tmp_path: Path) -> None:
    """A draft is kept alive while tools run, is no message to take over, and is not shown after the answer."""
    stage, path = Stage(), tmp_path / "growing"
    stage.has_drafts = True
    growing = new_growing(stage, path, pace=DRAFTS)
    async with running(growing.run):
        growing.add(1, "thinking")
        growing.end_turn(1)
        await stage.until(lambda: stage.calls.count(("grow 1", 1, "thinking")) >= 3)
        assert await growing.take_over(1) is None
        seen = len(stage.calls)
        growing.add(2, "other")
        await stage.until(lambda: stage.count("grow 2", 2) >= 3)
        assert stage.count("grow 1", 1) == seen
    assert not path.exists()


async def test_nothing_beyond_the_first_message_is_worked_on() -> None:
    """Of an endless answer the beginning is seen, and nothing is asked of the platform any more."""
    stage = Stage()
    growing = new_growing(stage, max_chars=10)
    async with running(growing.run):
        growing.add(1, "x" * 9)
        await stage.until(lambda: stage.seen(1) == ["x" * 9])
        for _ in range(100):
            growing.add(1, "y" * 100)
        await stage.until(lambda: stage.seen(1) == ["x" * 9 + "y"])
        growing.add(1, "z")
        growing.add(2, "other")
        await stage.until(lambda: stage.seen(2) == ["other"])
    assert stage.count("grow 1", 1) == 2


@pytest.mark.parametrize(
    "refusal", [DeliveryFailed("gone", permanent=True), DeliveryFailed("the connection broke off")]
)
async def test_a_message_that_may_be_there_is_not_begun_twice(refusal: DeliveryFailed) -> None:
    """Where the first call is refused, or breaks off with nobody knowing, this answer does not grow; the next does."""
    stage = Stage()
    stage.refusals[1] = [refusal]
    growing = new_growing(stage)
    async with running(growing.run):
        growing.add(1, "a")
        await stage.until(lambda: len(stage.calls) == 1)
        growing.add(1, "b")
        for number in range(4):  # of a moment each: time enough for another try
            growing.add(2, f" other {number}")
            await stage.until(lambda number=number: str(number) in "".join(stage.seen(2)))  # type: ignore[misc]
        assert stage.count("grow 1", 1) == 1
        assert await growing.take_over(1) is None
        growing.add(1, "next")
        await stage.until(lambda: stage.seen(1) == ["next"])
    assert stage.count("grow 1", 1) == 1


async def test_fifty_chats_grow_within_the_accounts_rate() -> None:
    """Fifty chats at once, one of them told to wait and one that does not answer: all others go on in turn, within
    the account's rate."""
    stage, per_s = Stage(), 400.0
    growing = new_growing(stage, per_s=per_s)
    stage.refusals[7] = [DeliveryFailed("slow down", retry_after_s=600.0)]
    stage.refusals[8] = [NotYet("slow down", retry_after_s=600.0)]
    stage.held[9] = asyncio.Event()
    others = [place for place in range(50) if place not in (7, 8, 9)]
    times: list[float] = []
    async with running(growing.run):
        began_at = time.monotonic()
        for round_number in range(4):
            for place in range(50):
                growing.add(place, f"round {round_number} ")
            shown = " ".join(f"round {number}" for number in range(round_number + 1))
            await stage.until(lambda shown=shown: all(stage.seen(place) == [shown] for place in others))  # type: ignore[misc]
            times.append(time.monotonic() - began_at)
    assert len(stage.calls) / per_s <= times[-1] + 0.05
    assert [stage.count(f"grow {place + 1}", place) for place in (7, 8, 9)] == [1, 1, 1]
    assert {stage.count(f"grow {place + 1}", place) for place in others} == {4}
