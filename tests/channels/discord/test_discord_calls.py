"""Calls that are under way, and how little who makes them waits for the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from channels.channel import DeliveryFailed, NotYet
from channels.discord.calls import Calls
from channels.discord.refusals import Refused, delivery_failed
from channels.discord.traces import Hearing, Paused

Call = Callable[[], Awaitable[object]]


def _calls() -> Calls:
    return Calls(lambda error: DeliveryFailed(str(error)))


async def _hearing(calls: Calls, tasks: asyncio.TaskGroup, call: Call, **more: object) -> Hearing:
    return await calls.make(call, tasks, timeout_s=5.0, turn="t", **more)  # type: ignore[arg-type]


async def test_a_call_that_takes_long_is_joined() -> None:
    """Who left a call and asks again with its nonce gets that call's answer; it is made once."""
    calls, made, go = _calls(), 0, asyncio.Event()

    async def call() -> None:
        nonlocal made
        made += 1
        await go.wait()

    async with asyncio.TaskGroup() as tasks:
        with pytest.raises(NotYet):
            await calls.make(call, tasks, timeout_s=0.01, turn="t", joins=True)
        assert calls.is_under_way("t")
        again = tasks.create_task(_hearing(calls, tasks, call, joins=True))
        await asyncio.sleep(0)
        go.set()
        assert (await again).answer.result() == b""
    assert made == 1
    assert not calls.is_under_way("t")


async def test_an_answer_that_nobody_waited_for_is_kept() -> None:
    """An answer that came too late for who asked is there when they ask again, once."""
    calls, made, go = _calls(), 0, asyncio.Event()

    async def call() -> None:
        nonlocal made
        made += 1
        await go.wait()

    async with asyncio.TaskGroup() as tasks:
        with pytest.raises(NotYet):
            await calls.make(call, tasks, timeout_s=0.01, turn="t", joins=True)
        go.set()
    assert calls.is_under_way("t")
    async with asyncio.TaskGroup() as tasks:
        await _hearing(calls, tasks, call, joins=True)
        assert made == 1
        await _hearing(calls, tasks, call, joins=True)
        assert made == 2


async def test_changes_of_one_message_are_made_one_after_the_other() -> None:
    """A later change waits for the end of the one before, which could else come after it."""
    calls, order, go = _calls(), list[str](), asyncio.Event()

    async def first() -> None:
        await go.wait()
        order.append("first")

    async def second() -> None:
        order.append("second")

    async with asyncio.TaskGroup() as tasks:
        with pytest.raises(NotYet):
            await calls.make(first, tasks, timeout_s=0.01, turn="t")
        later = tasks.create_task(_hearing(calls, tasks, second))
        await asyncio.sleep(0)
        go.set()
        await later
    assert order == ["first", "second"]


async def test_a_failure_is_told_in_our_words() -> None:
    """What the SDK raises reaches who waits, translated, and the next call is a new one."""
    calls = _calls()

    async def call() -> None:
        raise ValueError("bad")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            with pytest.raises(DeliveryFailed) as failed:
                await _hearing(calls, tasks, call, joins=True)
            assert failed.value.reason == "bad"


async def test_calls_end_with_their_connection() -> None:
    """When the connection goes, who waits is told, and nothing is left."""
    calls = _calls()

    begun = asyncio.Event()

    async def call() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def end() -> None:
        await begun.wait()
        calls.end()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(end())
        with pytest.raises(DeliveryFailed) as failed:
            await _hearing(calls, tasks, call)
    assert not failed.value.permanent


async def test_a_pause_is_told_at_once_and_what_comes_after_it_is_heard() -> None:
    """A 429 reaches who waits now; who asks again hears what the SDK's next try brings."""
    hearing = Hearing()
    before = hearing.answer
    hearing.paused(b'{"retry_after": 2.5, "global": true}')
    with pytest.raises(Paused) as paused:
        before.result()
    assert (paused.value.seconds, paused.value.is_global) == (2.5, True)
    hearing.answered(b"{}")
    assert hearing.answer.result() == b"{}"
    hearing.paused(b"<html>")
    assert hearing.answer.result() == b"{}"


@pytest.mark.parametrize(
    ("status", "code", "permanent", "words"),
    [
        (403, 50001, True, "View Channel"),
        (403, 50007, True, "no direct messages"),
        (403, 50013, True, "lacks a permission"),
        (404, 10003, True, "not there any more"),
        (413, 40005, True, "too large"),
        (400, 160005, True, "locked"),
        (400, 0, True, "some words"),
        (401, 0, False, "token refused"),
        (500, 0, False, "some words"),
        (400, 20016, False, "slow mode"),
        (400, 30046, False, "too many edits"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, code: int, permanent: bool, words: str) -> None:
    """Each refusal of Discord's is in words, and final only where another try is of no use."""
    failed = delivery_failed(Refused(status=status, code=code, text="some  words"))
    assert (failed.permanent, words in failed.reason) == (permanent, True)
