"""What happened in a twin can be read and waited for."""

from __future__ import annotations

import asyncio

import pytest

from twins.clock import Clock
from twins.event_log import MAX_EVENTS, EventLog


@pytest.fixture
def log() -> EventLog:
    return EventLog(Clock())


def test_facts_are_numbered_and_filtered(log: EventLog) -> None:
    """Events come oldest first, after a number, of one kind."""
    log.note("call", method="getMe")
    log.note("update", update_id=1)
    log.note("call", method="sendMessage")
    assert [entry["number"] for entry in log.read()] == [1, 2, 3]
    assert [entry["method"] for entry in log.read(1, "call")] == ["sendMessage"]


def test_the_oldest_go_when_it_is_full(log: EventLog) -> None:
    """A log keeps its newest events and their numbers."""
    for _ in range(MAX_EVENTS + 1):
        log.note("call")
    assert log.read()[0]["number"] == 2


async def test_a_waiter_is_woken_by_what_it_waits_for(log: EventLog) -> None:
    """`wait_s` answers as soon as there is such an event, and not for another."""
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(log.answer({"event": "call", "wait_s": "10"}))
        await asyncio.sleep(0)
        log.note("update")
        await asyncio.sleep(0)
        assert not waiting.done()
        log.note("call", method="getMe")
        assert [entry["method"] for entry in (await waiting)["events"]] == ["getMe"]


async def test_what_does_not_come_is_not_waited_for_longer(log: EventLog) -> None:
    """When the time is over the answer is empty; without a time it comes at once."""
    assert await log.answer({}) == {"events": []}
    assert not await log.until(lambda: False, 0.01)
    assert await log.until(lambda: True, 0)
