"""Old words go by themselves; what happened stays."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from protocol.ids import ChannelId, PersonKey
from protocol.transcript import Entry
from runtime.home import Home
from runtime.lasting.retention import Retention
from runtime.recall.index import RecallIndex
from runtime.store.records import MessageState
from runtime.store.store import Store, open_store
from tests.runtime.store.support import CHANNEL, CHAT, MAIN, REPLY, claimed, filed, reply, running, said


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def retention_of(path: Path, store: Store) -> Retention:
    """One that keeps words for 30 days."""
    index = RecallIndex(path)

    async def drop_index() -> None:
        await asyncio.to_thread(index.drop)

    return Retention(Home(path), store, lambda: 30, drop_index)


async def test_old_words_go_and_new_ones_stay(tmp_path: Path) -> None:
    """A task that ended before the time loses its words and its place in the conversation, a newer one keeps both; a
    second sweep finds nothing more."""
    clock = Clock()
    async with open_store(tmp_path, clock=clock) as store:
        old = await running(store)
        await store.finish_task(
            old.task.task_id,
            REPLY,
            outbound=[reply("old answer")],
            entries=[Entry(role="assistant", text="old answer")],
        )
        await filed(store, said("old refusal"), MessageState.REFUSED, None)
        clock.now += timedelta(days=40)
        new = await running(store)
        await store.finish_task(
            new.task.task_id,
            REPLY,
            outbound=[reply("new answer")],
            entries=[Entry(role="assistant", text="new answer")],
        )
        retention = retention_of(tmp_path, store)
        assert await retention.sweep(clock.now - timedelta(days=30)) == 3
        assert await retention.sweep(clock.now - timedelta(days=30)) == 0
        session = await store.current_session(MAIN, CHAT)
        assert session is not None
        assert [entry.text for entry in await store.transcript_of(session)] == ["new answer"]
        texts = [message.inbound.text for message in await store.recent_messages()]
        assert texts == ["hi", "(forgotten)", "(forgotten)"]
        (sent,) = await store.outbox_of(old.task.task_id)
        assert sent.message.text == "(forgotten)"
        trace = await store.trace(old.task.task_id)
        assert trace is not None
        assert trace.task is not None
        assert trace.task.state == "reply"
        assert (await store.verify_journal()).broken_at is None


async def test_what_is_under_way_keeps_its_words(tmp_path: Path) -> None:
    """However old, a message that waits and a task that runs are left alone."""
    clock = Clock()
    async with open_store(tmp_path, clock=clock) as store:
        await filed(store, said("waits", person=PersonKey("telegram:8")))
        claim = await claimed(store, "runs")
        clock.now += timedelta(days=400)
        assert await retention_of(tmp_path, store).sweep(clock.now - timedelta(days=30)) == 0
        assert sorted(message.inbound.text for message in await store.recent_messages()) == ["runs", "waits"]
        await store.finish_task(claim.task.task_id, REPLY)
        await store.end_message((await store.waiting_messages())[0].message_id, MessageState.DEAD, "stopped")
        assert await retention_of(tmp_path, store).sweep(clock.now - timedelta(days=30)) == 2


async def test_many_are_done_in_pieces(tmp_path: Path) -> None:
    """More than fit into one transaction are all reached."""
    clock = Clock()
    async with open_store(tmp_path, clock=clock) as store:
        for number in range(450):
            await filed(store, said(f"{number}"), MessageState.REFUSED, None)
        clock.now += timedelta(days=40)
        assert await retention_of(tmp_path, store).sweep(clock.now - timedelta(days=30)) == 450


async def test_an_event_is_known_however_old_its_words_are(tmp_path: Path) -> None:
    """Platforms send an event again for a day and more: it is filed once, also where retention has been there since,
    or the host was started anew."""
    clock = Clock()
    async with open_store(tmp_path, clock=clock) as store:
        first, second = said("one"), said("two")
        await filed(store, first, MessageState.REFUSED, None)
        nothing = await store.store_raw(second.channel_id, second.event_id, b"raw")
        assert nothing is not None
        await store.file_nothing(nothing.raw_id)
        for days in (2, 40):
            clock.now += timedelta(days=days)
            await retention_of(tmp_path, store).sweep(clock.now - timedelta(days=1))
    async with open_store(tmp_path, clock=clock) as store:
        for inbound in (first, second):
            assert await store.store_raw(inbound.channel_id, inbound.event_id, b"again") is None


async def test_an_event_is_known_again_after_days(tmp_path: Path) -> None:
    """Two days are promised; it is known as long as the store is, over a restart and when its words are long gone."""
    clock = Clock()
    async with open_store(tmp_path, clock=clock) as store:
        message = await filed(store, said("once"), MessageState.REFUSED, None)
        clock.now += timedelta(hours=47)
        assert await store.store_raw(CHANNEL, message.inbound.event_id, b"again") is None
        clock.now += timedelta(days=40)
        assert await retention_of(tmp_path, store).sweep(clock.now - timedelta(days=30)) == 1
    async with open_store(tmp_path, clock=clock) as store:
        assert await store.store_raw(CHANNEL, message.inbound.event_id, b"again") is None
        assert await store.store_raw(ChannelId("other"), message.inbound.event_id, b"another's") is not None
