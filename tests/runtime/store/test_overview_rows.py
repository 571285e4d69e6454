"""Flags, counters, counts, and the trace of a message or task."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from protocol.ids import PlatformMessageId
from protocol.message import OutboundMessage, Receipt
from runtime.store.records import MessageState
from runtime.store.store import Store, open_store
from tests.runtime.store.support import (
    CHAT,
    REPLY,
    answered,
    claimed,
    filed,
    model_turn,
    reply,
    running,
    said,
    tool_started,
)


async def test_frozen_lasts_until_lifted(tmp_path: Path) -> None:
    """The freeze outlives a restart, and is lifted by name."""
    async with open_store(tmp_path) as store:
        assert not await store.is_frozen()
        await store.set_frozen(True, "cli")
        await store.set_frozen(True, "cli")
    async with open_store(tmp_path) as store:
        assert await store.is_frozen()
        assert (await store.status()).frozen
        await store.set_frozen(False, "telegram:7")
        assert not await store.is_frozen()
        assert [entry.kind for entry in await store.journal_tail()] == ["frozen", "unfrozen"]


async def test_status_counts_what_is_open(store: Store) -> None:
    """Queued and claimed messages, running tasks and the outbox are counted while they are open."""
    await answered(store)
    await claimed(store)
    oldest = await filed(store, said())
    await filed(store, said())
    status = await store.status()
    assert (status.queued, status.claimed, status.running_tasks, status.outbox_waiting) == (2, 1, 1, 1)
    assert status.oldest_queued_at == oldest.received_at
    assert status.file_bytes > 0


async def test_a_trace_tells_the_whole_story(store: Store) -> None:
    """From a message's id, its platform id or its task's id all that happened is found, with every step and receipt."""
    await answered(store)
    claim = await running(store)
    await store.store_step(claim.attempt.attempt_id, 1, model_turn(0, "12345"))
    await store.store_step(claim.attempt.attempt_id, 2, tool_started(1))
    await store.finish_task(claim.task.task_id, REPLY, attempt_id=claim.attempt.attempt_id, outbound=[reply()])
    for row in await store.claim_outbox():
        await store.outbox_sent(row.outbox_id, Receipt(platform_message_ids=()))
    for row in await store.claim_outbox():
        await store.outbox_sent(row.outbox_id, Receipt(platform_message_ids=(PlatformMessageId("m1"),)))
    (message,) = claim.messages
    traces = [
        await store.trace(reference)
        for reference in (message.message_id, message.inbound.platform_message_id, claim.task.task_id)
    ]
    trace = traces[0]
    assert trace is not None
    assert traces == [trace, trace, trace]
    assert trace.task is not None
    assert trace.task.result == REPLY
    assert [each.state for each in trace.messages] == [MessageState.ANSWERED]
    assert [attempt.number for attempt in trace.attempts] == [1]
    assert [step.label for step in trace.steps] == ["5 characters, 0 tool calls", "shell"]
    assert [row.receipt for row in trace.outbox] == [Receipt(platform_message_ids=(PlatformMessageId("m1"),))]
    assert [entry.kind for entry in trace.journal] == [
        "message_queued",
        "task_started",
        "message_claimed",
        "attempt_started",
        "attempt_running",
        "step_stored",
        "step_stored",
        "task_ended",
        "message_answered",
        "outbox_pending",
        "attempt_ended",
        "outbox_sending",
        "outbox_sent",
    ]


async def test_a_message_without_a_task_has_a_trace(store: Store) -> None:
    """A refused message's trace shows the refusal and what its sender was told, and nobody else's."""
    for _ in range(2):
        inbound = said()
        update = await store.store_raw(inbound.channel_id, inbound.event_id, b"raw")
        assert update is not None
        refused = await store.file_message(
            update.raw_id,
            inbound,
            state=MessageState.REFUSED,
            group_id=None,
            end_reason="not a known person",
            notice=OutboundMessage(chat=CHAT, text="No."),
        )
    trace = await store.trace(refused.message.message_id)
    assert trace is not None
    assert (trace.task, trace.messages) == (None, (refused.message,))
    assert [row.idempotency_key for row in trace.outbox] == [f"{refused.message.message_id}/notice"]
    assert [entry.kind for entry in trace.journal] == ["message_refused"]


async def test_nothing_has_no_trace(store: Store) -> None:
    """A reference that names nothing gives nothing."""
    assert await store.trace("msg_none") is None


async def test_recent_messages_are_newest_first(store: Store) -> None:
    """The newest messages come first, up to the limit."""
    for text in "abc":
        await filed(store, said(text))
    assert [message.inbound.text for message in await store.recent_messages(2)] == ["c", "b"]


async def test_stored_times_are_utc_and_of_one_width(store: Store) -> None:
    """A stored time can be read back, is aware, and sorts as text."""
    message = await filed(store, said())
    moment = datetime.fromisoformat(message.received_at)
    assert moment.tzinfo is not None
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert len(message.received_at) == len("2026-01-31T09:00:00.000000Z")
