"""A failed task is tried again by a person: the same messages, as a new task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.ids import TaskId
from protocol.task import TaskResult, TaskStatus
from runtime.refusal import OperationRefused
from runtime.retry_task import retry_task
from runtime.store.records import MessageState
from runtime.submissions import NewSubmission
from tests.runtime.host_bench import MAIN, TIMEOUT_S, HostBench, ScriptedAgent, open_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        yield opened


async def fail(agent: ScriptedAgent) -> None:
    await agent.fail("model_unavailable", "It did not answer")


async def refusal(bench: HostBench, task_id: TaskId) -> str:
    with pytest.raises(OperationRefused) as refused:
        await retry_task(bench.store, bench.dispatcher.wake, task_id, "cli")
    return refused.value.code


async def test_the_messages_of_a_failed_task_are_answered_by_a_new_one(bench: HostBench) -> None:
    """In order, with the context that they had; the failed task stays as it ended, and is retried once."""
    bench.room.scripts = [fail]
    async with bench.host():
        said = await bench.file("overheard", state=MessageState.CONTEXT)
        message_id = await bench.say("hello")
        await bench.channel.texts(1)
        await bench.idle()
        failed = bench.room.assignments[0].task.task_id
        retried = await retry_task(bench.store, bench.dispatcher.wake, failed, "cli")
        assert retried.messages == 1
        assert (await bench.channel.texts(2))[1] == "echo: overheard | hello"
        await bench.idle()
        assert await bench.state_of(message_id) == ("answered", "reply")
        context = await bench.store.message(said.message_id)
        assert context is not None
        assert context.task_id == bench.room.assignments[1].task.task_id
        row = await bench.store.task(failed)
        assert row is not None
        assert row.state == "failed"
        assert await refusal(bench, failed) == "nothing_left"


async def test_what_was_handed_in_is_its_submitters_to_try_again(bench: HostBench) -> None:
    """Nobody else's word makes a second task of it: its submitter would hear of none."""
    bench.room.scripts = [fail]
    async with bench.host():
        new = NewSubmission(submitter="program:pipes", group_id=MAIN, prompt="count", idempotency_key="monday")
        submitted = await bench.submissions.submit(new)
        async with asyncio.timeout(TIMEOUT_S):
            failed = await bench.submissions.wait_ended(submitted.submission_id)
        assert await refusal(bench, failed.task_id) == "not_ours"


async def test_what_has_not_failed_is_not_tried_again(bench: HostBench) -> None:
    """An answered task, one that runs, and one that there is not."""
    async with bench.host():
        await bench.say("hello")
        await bench.channel.texts(1)
        await bench.idle()
        assert await refusal(bench, bench.room.assignments[0].task.task_id) == "not_failed"
        assert await refusal(bench, TaskId("task_none")) == "unknown_task"


async def test_a_stopped_task_may_be_tried_again(bench: HostBench) -> None:
    """Whoever stopped it may have thought better of it."""
    stopped = TaskResult(status=TaskStatus.STOPPED, reason="enough")
    bench.room.scripts = [lambda agent: agent.finish(stopped)]
    async with bench.host():
        await bench.say("hello")
        await bench.channel.until(lambda: any(kind == "done" for _, kind, _ in bench.channel.shown))
        await bench.idle()
        await retry_task(bench.store, bench.dispatcher.wake, bench.room.assignments[0].task.task_id, "cli")
        assert await bench.channel.texts(1) == ["echo: hello"]
