"""Events on their way from the link to the owner."""

from __future__ import annotations

import asyncio

import pytest

from protocol.link import Delta, Finished, Progress
from protocol.task import TaskResult, TaskStatus
from runtime.agent_events import StrangerRefused
from runtime.event_queue import MERGED_DELTA_CHARS, EventQueue


async def test_pieces_of_the_answer_become_one() -> None:
    """Deltas that wait are one delta with all their text in order, up to a size."""
    queue = EventQueue()
    for letter in "abc":
        await queue.put(Delta(text=letter), 1)
    assert await queue.get() == Delta(text="abc")
    await queue.put(Delta(text="x" * MERGED_DELTA_CHARS), 1)
    await queue.put(Delta(text="y"), 1)
    assert await queue.get() == Delta(text="x" * MERGED_DELTA_CHARS)
    assert await queue.get() == Delta(text="y")
    assert queue.is_empty


async def test_only_the_latest_progress_waits() -> None:
    """Progress is for a person who looks now: an older word that nobody saw is forgotten."""
    queue = EventQueue()
    await queue.put(Progress(kind="tool", text="one"), 1)
    await queue.put(Progress(kind="tool", text="two"), 1)
    assert await queue.get() == Progress(kind="tool", text="two")
    assert queue.weight == 0


async def test_full_queue_makes_the_sender_wait_but_not_the_host() -> None:
    """Above its weight the queue takes frames only when something was taken; the host's own events always go in."""
    queue = EventQueue(max_weight=1000)
    await queue.put(Delta(text="a"), 1000)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await queue.put(Progress(kind="note", text="b"), 1)
    queue.put_now(StrangerRefused())
    assert await queue.get() == Delta(text="a")
    await queue.put(Progress(kind="note", text="b"), 1)
    assert await queue.get() == StrangerRefused()
    assert await queue.get() == Progress(kind="note", text="b")


async def test_waiting_reader_gets_what_comes() -> None:
    """A reader that waits is woken; one that was cancelled has taken nothing."""
    queue = EventQueue()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await queue.get()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(queue.get())
        await queue.put(Delta(text="a"), 1)
    assert reading.result() == Delta(text="a")


async def test_discarded_queue_holds_nothing_and_nobody_up() -> None:
    """When nobody will read any more, senders do not wait and nothing is kept."""
    queue = EventQueue(max_weight=10)
    await queue.put(Delta(text="a"), 10)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(queue.put(Progress(kind="note", text="b"), 10))
        await asyncio.sleep(0)
        queue.discard()
    assert waiting.done()
    assert queue.is_empty


async def test_a_last_word_is_taken_only_where_it_comes_next() -> None:
    """Right behind what was read it is taken along; behind anything else it waits for its turn, and nothing is lost."""
    queue = EventQueue(max_weight=1000)
    last_word = Finished(seq=2, result=TaskResult(status=TaskStatus.REPLY, text="done"))
    assert queue.take_finished() is None
    await queue.put(Delta(text="a"), 1)
    await queue.put(last_word, 1)
    assert queue.take_finished() is None
    assert await queue.get() == Delta(text="a")
    assert queue.take_finished() == last_word
    assert queue.take_finished() is None
    assert (queue.is_empty, queue.weight) == (True, 0)


async def test_taking_a_last_word_makes_room() -> None:
    """Who waits to add something goes on."""
    queue = EventQueue(max_weight=10)
    await queue.put(Finished(seq=1, result=TaskResult(status=TaskStatus.REPLY, text="done")), 10)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(queue.put(Progress(kind="note", text="b"), 10))
        await asyncio.sleep(0)
        assert queue.take_finished() is not None
    assert await queue.get() == Progress(kind="note", text="b")
