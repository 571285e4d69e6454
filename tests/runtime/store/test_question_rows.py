"""Questions of tools and the tasks that wait with them, row by row, under a clock that steps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocol.ids import DoorId
from protocol.link import Answered, Ask
from protocol.task import TaskResult, TaskStatus
from runtime.store import question_rows, submission_rows
from runtime.store.errors import ClaimRefused, UnknownRow
from runtime.store.records import Claim, MessageState
from runtime.store.store import Store, open_store
from runtime.submission import NewSubmission
from tests.runtime.store.support import MAIN, claimed, filed, model_turn, running, said, tool_finished, tool_started

ASK = Ask(call_id="call_1", kind="question", text="May I?", timeout_s=60.0)
YES = Answered(call_id="call_1", answer="yes")


class Clock:
    """A wall clock that is set forward and back."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def step(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    async with open_store(tmp_path, clock=clock) as opened:
        yield opened


async def asking(store: Store) -> Claim:
    """Return a task whose tool has asked."""
    claim = await running(store)
    await store.store_step(claim.attempt.attempt_id, 1, model_turn(0))
    await store.store_step(claim.attempt.attempt_id, 2, tool_started(1))
    await store.write(question_rows.ask, claim.task.task_id, ASK)
    return claim


async def test_a_question_is_stored_once_for_a_call(store: Store, clock: Clock) -> None:
    """Asked again after a reconnect, or after the clock was set, it is the first one with its first deadline."""
    claim = await asking(store)
    clock.step(hours=-2)
    again = await store.write(question_rows.ask, claim.task.task_id, ASK)
    assert (again.asked_at, again.deadline_at) == ("2026-03-29T00:59:59.000000Z", "2026-03-29T01:00:59.000000Z")
    assert len(await store.read(question_rows.questions_of, claim.task.task_id)) == 1


async def test_a_task_goes_on_with_its_answer_as_a_step(store: Store, clock: Clock) -> None:
    """Suspended, answered, resumed: the new attempt begins with the tool's output, whichever way the clock went."""
    claim = await asking(store)
    task_id = claim.task.task_id
    assert await store.read(question_rows.waits_for_answer, task_id)
    assert await store.write(question_rows.suspend, task_id, "suspended")
    assert not await store.write(question_rows.suspend, task_id, "suspended")
    assert await store.open_attempts() == ()
    assert await store.read(question_rows.resumable_tasks) == ()
    clock.step(days=-1)
    assert await store.write(question_rows.answer, task_id, YES)
    (row,) = await store.read(question_rows.resumable_tasks)
    assert (row.task_id, row.state) == (task_id, "suspended")
    resumed = await store.write(question_rows.resume, task_id)
    assert (resumed.task.state, resumed.attempt.number) == ("running", 2)
    steps = await store.steps_of(task_id)
    assert [step.kind for step in steps] == ["model_turn", "tool_started", "tool_finished"]
    assert steps[2].output is not None
    assert steps[2].output.text.startswith("yes")
    with pytest.raises(ClaimRefused):
        await store.write(question_rows.resume, task_id)


async def test_an_answered_tool_that_ended_is_not_answered_again(store: Store) -> None:
    """Its end is stored: a later attempt goes on after it."""
    claim = await asking(store)
    await store.write(question_rows.answer, claim.task.task_id, YES)
    await store.store_step(claim.attempt.attempt_id, 3, tool_finished(2))
    assert not await store.read(question_rows.waits_for_answer, claim.task.task_id)
    await store.begin_attempt(claim.task.task_id)
    assert len(await store.steps_of(claim.task.task_id)) == 3


async def test_a_resumed_task_waits_for_its_session(store: Store) -> None:
    """Another task of the session runs meanwhile: never two at once."""
    claim = await asking(store)
    await store.write(question_rows.suspend, claim.task.task_id, "suspended")
    await store.write(question_rows.answer, claim.task.task_id, YES)
    other = await claimed(store, "meanwhile")
    assert other.task.session_id == claim.task.session_id
    with pytest.raises(ClaimRefused, match="busy"):
        await store.write(question_rows.resume, claim.task.task_id)


async def test_an_ended_task_is_asked_for_nothing(store: Store) -> None:
    """Its question is closed with the next look, takes no answer, and it takes no further question."""
    claim = await asking(store)
    await store.write(question_rows.suspend, claim.task.task_id, "suspended")
    stopped = TaskResult(status=TaskStatus.STOPPED, reason="enough")
    assert await store.finish_task(claim.task.task_id, stopped, message_state=MessageState.DEAD)
    assert await store.read(question_rows.open_questions) == ()
    await store.write(question_rows.close_questions)
    (question,) = await store.read(question_rows.questions_of, claim.task.task_id)
    assert question.state == "closed"
    assert not await store.write(question_rows.answer, claim.task.task_id, YES)
    with pytest.raises(UnknownRow):
        await store.write(question_rows.ask, claim.task.task_id, Ask(call_id="call_2", kind="approval"))


async def test_the_most_pressing_question_is_first(store: Store, clock: Clock) -> None:
    """By deadline, not by when it was asked."""
    first = await asking(store)
    await store.write(question_rows.suspend, first.task.task_id, "suspended")
    second = await claimed(store, "another")
    await store.attempt_running(second.attempt.attempt_id, door_id=DoorId("door_2"), container_id="c2")
    sooner = Ask(call_id="call_9", kind="approval", timeout_s=5.0)
    clock.step(seconds=1)
    await store.write(question_rows.ask, second.task.task_id, sooner)
    found = await store.read(question_rows.open_questions)
    assert [question.ask.call_id for question in found] == ["call_9", "call_1"]


async def test_files_of_a_suspended_task_are_needed(store: Store) -> None:
    """It goes on some day: its messages, its context and what a submitter wrote stay."""
    context = await filed(store, said("overheard"), MessageState.CONTEXT)
    claim = await asking(store)
    taken = await store.write(submission_rows.take_in, NewSubmission(submitter="cli", group_id=MAIN, prompt="x"))
    assert not isinstance(taken, submission_rows.NotTaken)
    submitted = await store.write(submission_rows.claim, taken[0].submission_id)
    await store.write(question_rows.suspend, submitted.task.task_id, "suspended")
    await store.write(question_rows.suspend, claim.task.task_id, "suspended")
    needed = await store.needed_files()
    assert f"{taken[0].submission_id}.txt" in needed
    assert {f"{claim.messages[0].message_id}.txt", f"{context.message_id}.txt"} <= needed
