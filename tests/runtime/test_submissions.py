"""Work that no message brought: taken in once, in line with what people say, ended once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.ids import ChatKey, GroupId
from protocol.task import Limits, TaskStatus
from runtime.refusal import OperationRefused
from runtime.submissions import NewSubmission, Submissions
from tests.runtime.host_bench import MAIN, HostBench, ScriptedAgent, open_bench

WORK = NewSubmission(submitter="cli", group_id=MAIN, prompt="count the files")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        yield opened


async def test_submitted_work_is_done_and_its_result_told(bench: HostBench) -> None:
    """Without a chat nothing goes out; the submitter reads the result."""
    async with bench.host():
        submitted = await bench.submissions.submit(WORK)
        assert (submitted.state, submitted.is_new) == ("queued", True)
        async with asyncio.timeout(5):
            task = await bench.submissions.wait_ended(submitted.submission_id)
        assert task.result is not None
        assert (task.result.status, task.result.text) == (TaskStatus.REPLY, "echo: count the files")
        assert task.submission_id == submitted.submission_id
        ended = await bench.submissions.get(submitted.submission_id)
        assert (ended.state, ended.task_id) == ("ended", task.task_id)
        assert bench.channel.sent == []
