"""Marks on people's messages."""

from __future__ import annotations

import time

from channels.channel import DeliveryFailed
from channels.marks import MAX_WAITING, TAKEN, Marks
from protocol.ids import PlatformMessageId
from tests.channels.showing import Stage, running

ONE, TWO = PlatformMessageId("1"), PlatformMessageId("2")


async def test_marks_are_set_and_taken_away_in_order() -> None:
    """A mark is made when a message is taken and goes when its work has ended."""
    stage = Stage()
    marks = Marks(stage)
    async with running(marks.run):
        marks.set(7, ONE, is_on=True)
        marks.set(7, TWO, is_on=True)
        await stage.until(lambda: len(stage.calls) == 2)
        marks.set(7, ONE, is_on=False)
        await stage.until(lambda: len(stage.calls) == 3)
    assert stage.calls == [("mark", 7, f"1 {TAKEN}"), ("mark", 7, f"2 {TAKEN}"), ("unmark", 7, f"1 {TAKEN}")]


async def test_a_pause_of_one_chat_is_no_other_ones() -> None:
    """While a chat's platform asks for a pause, other chats are marked; what takes a mark away is tried again."""
    stage = Stage()
    stage.refusals[7] = [DeliveryFailed("slow down", retry_after_s=0.4)]
    marks = Marks(stage)
    began_at = time.monotonic()
    async with running(marks.run):
        marks.set(7, ONE, is_on=False)
        marks.set(8, ONE, is_on=True)
        await stage.until(lambda: stage.count("mark", 8) == 1)
        await stage.until(lambda: stage.count("unmark", 7) == 2)
    assert [place for _, place, _ in stage.calls] == [7, 8, 7]
    assert time.monotonic() - began_at >= 0.4


async def test_a_mark_that_is_refused_is_left_out() -> None:
    """A mark that the platform does not take harms nothing and is not asked for again."""
    stage = Stage()
    stage.refusals[7] = [DeliveryFailed("gone", permanent=True), DeliveryFailed("slow down", retry_after_s=0.01)]
    marks = Marks(stage)
    async with running(marks.run):
        for message in (ONE, TWO):
            marks.set(7, message, is_on=True)
        marks.set(8, ONE, is_on=True)
        await stage.until(lambda: len(stage.calls) == 3)
    assert not stage.refusals[7]


async def test_what_was_not_made_yet_is_not_made_twice() -> None:
    """A message whose work ends before it was marked is only unmarked; what was left is left; a flood is cut."""
    stage = Stage()
    marks = Marks(stage)
    marks.set(7, ONE, is_on=True)
    marks.set(7, ONE, is_on=False)
    marks.set(7, TWO, is_on=True)
    marks.leave(7, TWO)
    for number in range(2 * MAX_WAITING):
        marks.set(9, PlatformMessageId(str(number)), is_on=True)
    assert len(marks._waiting) == MAX_WAITING
    async with running(marks.run):
        await stage.until(lambda: stage.count("mark", 9) >= 1)
    assert [call for call in stage.calls if call[1] == 7] == [("unmark", 7, f"1 {TAKEN}")]
