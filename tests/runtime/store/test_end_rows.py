"""A task's last step, its end and the claim of its answer: one transaction."""

from __future__ import annotations

import dataclasses

import pytest

from protocol.ids import ChatKey, TaskId
from protocol.message import OutboundMessage
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import Entry
from runtime.store.errors import AttemptOver, StepOutOfOrder, UnknownRow
from runtime.store.records import Claim, LastStep, MessageState, OwnSummary, TaskEnd, TaskEnding
from runtime.store.session_rows import session_turns
from runtime.store.store import Store
from tests.runtime.store.support import CHAT, REPLY, model_turn, reply, running

THERE = ChatKey("telegram:200")


def last_step(claim: Claim, index: int = 0, seq: int = 1) -> LastStep:
    return LastStep(attempt_id=claim.attempt.attempt_id, seq=seq, step=model_turn(index, "Hello, Anna"))


def build(ending: TaskEnding) -> TaskEnd:
    """End with what the last turn said."""
    turns = [step.entry for step in ending.steps if step.entry is not None]
    return TaskEnd(
        result=REPLY,
        seq=len(turns) + 1,
        outbound=(reply(turns[-1].text if turns else "nothing"),),
        entries=(*(Entry(role="user", text=message.inbound.text) for message in ending.messages), *turns),
        message_state=MessageState.ANSWERED,
        end_reason="",
    )


async def test_a_task_ends_with_its_last_step_and_its_answer_is_taken(store: Store) -> None:
    """The step is stored first, so that the end is made of it; the answer is under way and is taken by nobody else."""
    claim = await running(store)
    (row,) = await store.end_task(claim.task.task_id, build, last_step=last_step(claim), deliveries=5)
    assert (row.message.text, row.state, row.attempts) == ("Hello, Anna", "sending", 1)
    assert await store.claim_outbox() == ()
    assert [step.entry and step.entry.text for step in await store.steps_of(claim.task.task_id)] == ["Hello, Anna"]
    task = await store.task(claim.task.task_id)
    assert task is not None and (task.state, task.result) == ("reply", REPLY)
    (attempt,) = await store.attempts_of(claim.task.task_id)
    assert (attempt.state, attempt.end_reason, attempt.stored_seq) == ("ended", "finished", 2)
    assert claim.task.session_id is not None
    assert [entry.text for entry in await store.transcript_of(claim.task.session_id)] == ["hi", "Hello, Anna"]
    assert [each.state for each in await store.recover_outbox()] == ["pending"]
    assert (await store.verify_journal()).broken_at is None


async def test_an_agents_own_summary_stands_for_what_came_before_its_place(store: Store) -> None:
    """From then on the conversation is shown as the summary and the turns from its place on; all turns are kept."""
    claim = await running(store)
    summary = OwnSummary(entry=Entry(role="user", text="in short"), from_offset=1)
    await store.end_task(
        claim.task.task_id,
        lambda ending: dataclasses.replace(build(ending), summary=summary),
        last_step=last_step(claim),
        deliveries=1,
    )
    assert claim.task.session_id is not None
    assert [entry.text for entry in await store.transcript_of(claim.task.session_id)] == ["in short", "Hello, Anna"]
    (turn,) = await store.read(session_turns, claim.task.session_id, 0, 10)
    assert not turn.is_summary
    assert "session_compacted" in [entry.kind for entry in await store.journal_tail()]


async def test_the_order_in_the_journal_is_the_order_of_what_happened(store: Store) -> None:
    """Step, end, answer, and then its delivery."""
    claim = await running(store)
    await store.end_task(claim.task.task_id, build, last_step=last_step(claim), deliveries=1)
    kinds = [entry.kind for entry in await store.journal_tail()]
    after = kinds[kinds.index("attempt_running") + 1 :]
    assert after == [
        "step_stored",
        "task_ended",
        "message_answered",
        "outbox_pending",
        "attempt_ended",
        "outbox_sending",
    ]


async def test_a_step_that_is_not_the_next_changes_nothing(store: Store) -> None:
    """The task runs on, nothing goes out; its owner decides how it ends then."""
    claim = await running(store)
    before = await store.journal_tail()
    with pytest.raises(StepOutOfOrder):
        await store.end_task(claim.task.task_id, build, last_step=last_step(claim, index=3), deliveries=5)
    assert await store.journal_tail() == before
    assert [row.task_id for row in await store.running_tasks()] == [claim.task.task_id]
    assert await store.claim_outbox() == ()
    await store.end_task(claim.task.task_id, build)
    assert [row.message.text for row in await store.claim_outbox()] == ["nothing"]


async def test_a_step_that_is_stored_already_is_not_stored_twice(store: Store) -> None:
    """An agent sends it again after a restart of the host, with its last word behind it."""
    claim = await running(store)
    last = last_step(claim)
    await store.store_step(last.attempt_id, last.seq, last.step)
    await store.end_task(claim.task.task_id, build, last_step=last)
    assert len(await store.steps_of(claim.task.task_id)) == 1


async def test_a_task_that_has_ended_stays_as_it_is(store: Store) -> None:
    """Its answer is not put out twice; what else is due is taken all the same."""
    claim = await running(store)
    await store.end_task(claim.task.task_id, build, last_step=last_step(claim), deliveries=5)
    await store.put_outbound("notice", OutboundMessage(chat=THERE, text="a notice"))

    def fail(ending: TaskEnding) -> TaskEnd:
        result = TaskResult(status=TaskStatus.FAILED, code="late")
        return TaskEnd(
            result=result, seq=None, outbound=(), entries=(), message_state=MessageState.DEAD, end_reason="late"
        )

    assert [row.message.text for row in await store.end_task(claim.task.task_id, fail, deliveries=5)] == ["a notice"]
    task = await store.task(claim.task.task_id)
    assert task is not None and task.state == "reply"
    with pytest.raises(AttemptOver):
        await store.end_task(claim.task.task_id, build, last_step=last_step(claim, index=1, seq=9))
    with pytest.raises(UnknownRow):
        await store.end_task(TaskId("task_none"), build)


async def test_an_answer_goes_behind_what_its_chat_still_waits_for(store: Store) -> None:
    """A file of the same task is under way: the answer is not taken before it is there, others' messages are."""
    claim = await running(store)
    await store.put_outbound("file", OutboundMessage(chat=CHAT, text="a file"), claim.task.task_id)
    (file,) = await store.claim_outbox()
    await store.put_outbound("notice", OutboundMessage(chat=THERE, text="a notice"))
    taken = await store.end_task(claim.task.task_id, build, last_step=last_step(claim), deliveries=5)
    assert [row.message.text for row in taken] == ["a notice"]
    assert await store.claim_outbox() == ()
    assert file.message.chat == CHAT


@pytest.mark.parametrize(("deliveries", "taken"), [(-1, 0), (0, 0), (1, 1), (5, 2)])
async def test_no_more_is_taken_than_there_is_room_for(store: Store, deliveries: int, taken: int) -> None:
    """What is left is due for the next who asks; a host that delivers nothing now takes nothing."""
    claim = await running(store)
    await store.put_outbound("notice", OutboundMessage(chat=THERE, text="a notice"))
    rows = await store.end_task(claim.task.task_id, build, last_step=last_step(claim), deliveries=deliveries)
    assert len(rows) == taken
    assert len(await store.claim_outbox()) == 2 - taken
