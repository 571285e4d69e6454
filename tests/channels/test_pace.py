"""What an account may send when."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import NotYet
from channels.pace import MAX_KEPT, Pace, Rate
from channels.pacing import take_courtesy_turn, wait_for_turn

ACCOUNT = Rate(calls=5, in_s=1.0, reserve=2)
CHAT = Rate(calls=2, in_s=2.0)
GROUP = Rate(calls=3, in_s=60.0, reserve=1)


def rates(chat: int) -> tuple[Rate, ...]:
    return (CHAT,) if chat > 0 else (CHAT, GROUP)


def new_pace() -> Pace[int]:
    return Pace((ACCOUNT,), rates)


@given(st.lists(st.tuples(st.integers(-2, 3), st.floats(0, 0.6)), max_size=60))
def test_no_bucket_is_overdrawn(asked: list[tuple[int, float]]) -> None:
    """However calls come: in no time do more go out than came in at its beginning and flowed in since."""
    pace, now, went = new_pace(), 100.0, list[tuple[float, int]]()
    for chat, pause_s in asked:
        now += pause_s
        while (wait_s := pace.wait_s(chat, now)) > 0:
            now += wait_s
        pace.took(chat, now)
        went.append((now, chat))
    for rate, of in ((ACCOUNT, None), (CHAT, 1), (CHAT, -1), (GROUP, -1)):
        times = sorted(at for at, chat in went if of in (None, chat))
        for first in range(len(times)):
            for last in range(first, len(times)):
                flowed = rate.calls + (times[last] - times[first]) * rate.per_s
                assert last - first + 1 <= flowed + 1e-3


def test_a_chat_waits_for_itself_alone() -> None:
    """A chat that has used up its rate says so for itself; others go on until the account's is used up."""
    pace = new_pace()
    for _ in range(2):
        assert pace.wait_s(1, 0.0) == 0.0
        pace.took(1, 0.0)
    assert pace.wait_s(1, 0.0) == pytest.approx(1.0)
    assert pace.wait_s(2, 0.0) == 0.0
    for chat in (2, 3, 4):
        pace.took(chat, 0.0)
    assert pace.wait_s(5, 0.0) == pytest.approx(0.2)


def test_what_only_shows_work_leaves_room() -> None:
    """Of each rate a part is kept for what must be said."""
    pace = new_pace()
    for chat in (1, 2, 3):
        assert pace.wait_s(chat, 0.0, is_courtesy=True) == 0.0
        pace.took(chat, 0.0)
    assert pace.wait_s(4, 0.0, is_courtesy=True) > 0.0
    assert pace.wait_s(4, 0.0) == 0.0
    with pytest.raises(ValueError, match="lets nothing through"):
        Rate(calls=3, in_s=1.0, reserve=3)


def test_the_platforms_word_is_kept() -> None:
    """A chat that is told to wait waits, the others do not; the account's word holds for all; the longest word wins."""
    pace = new_pace()
    pace.told_to_wait(1, 10.0, 100.0)
    pace.told_to_wait(1, 2.0, 101.0)
    assert pace.wait_s(1, 103.0) == pytest.approx(7.0)
    assert pace.wait_s(2, 103.0) == 0.0
    pace.told_to_wait(None, 3.0, 103.0)
    assert pace.wait_s(2, 104.0) == pytest.approx(2.0)
    assert pace.wait_s(1, 110.0) == pace.wait_s(2, 110.0) == 0.0


def test_chats_that_rest_are_forgotten() -> None:
    """What is kept of ten thousand chats is what still matters."""
    pace, now = new_pace(), 0.0
    for chat in range(1, 10_000):
        now += 1.0
        pace.took(chat, now)
        pace.told_to_wait(chat, 1.0, now)
    assert len(pace._chats) <= MAX_KEPT
    assert len(pace._closed_until) <= MAX_KEPT


async def test_a_short_wait_is_waited_and_a_long_one_told() -> None:
    """Up to a second is waited for; a longer wait is the outbox's, and uses up nothing."""
    pace: Pace[int] = Pace((Rate(calls=1, in_s=0.05),), lambda _: ())
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for chat in range(4):
            tasks.create_task(wait_for_turn(pace, chat))
    assert loop.time() - began_at >= 0.14
    pace.told_to_wait(7, 30.0, loop.time())
    with pytest.raises(NotYet) as told:
        await wait_for_turn(pace, 7)
    assert told.value.retry_after_s is not None and 29 < told.value.retry_after_s <= 30
    assert not told.value.permanent


async def test_a_courtesy_never_waits() -> None:
    """What only shows work is made now or not at all."""
    pace: Pace[int] = Pace((Rate(calls=2, in_s=1000.0, reserve=1),), lambda _: ())
    take_courtesy_turn(pace, 1)
    with pytest.raises(NotYet):
        take_courtesy_turn(pace, 2)
    await wait_for_turn(pace, 2)
