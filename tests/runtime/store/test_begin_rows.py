"""An update stored, its message filed and its task begun in one transaction, or as much of it as may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.ids import AttemptId, ChatKey, DoorId, GroupId, TaskId, mint
from protocol.message import InboundMessage
from protocol.task import Task
from protocol.transcript import Entry
from runtime.store.errors import StoreBroken, StoreFull
from runtime.store.records import (
    Binding,
    Claim,
    MessageState,
    SenderFacts,
    StartOffer,
    TakenIn,
    TaskBeginning,
)
from runtime.store.store import Store, open_store
from tests.runtime.store.support import ANNA, CHANNEL, CHAT, MAIN, REPLY, answered, claimed, filed, running, said

OTHER = GroupId("other")


def build(claim: Claim, beginning: TaskBeginning) -> Task | None:
    row, prompt = claim.task, " | ".join(message.inbound.text for message in (*claim.context, *claim.messages))
    return Task(
        task_id=row.task_id,
        group_id=row.group_id,
        submitter=row.submitter,
        session_id=row.session_id,
        prompt=f"{prompt} ({len(beginning.transcript)} before, {len(beginning.people)})",
    )


def offer(build: Callable[[Claim, TaskBeginning], Task | None] = build) -> StartOffer:
    return StartOffer(
        group_id=MAIN,
        task_id=TaskId(mint("task")),
        attempt_id=AttemptId(mint("attempt")),
        door_id=DoorId("door_spare"),
        container_id="c-spare",
        nonce_hash="n",
        build=build,
    )


def main(_: SenderFacts) -> GroupId | None:
    return MAIN


async def take_in(
    store: Store,
    inbound: InboundMessage | None = None,
    decide: Callable[[SenderFacts], GroupId | None] = main,
    offered: StartOffer | None = None,
) -> TakenIn:
    inbound = inbound or said()
    return await store.take_in_and_begin(CHANNEL, inbound.event_id, b"raw", inbound, decide, offered or offer())


async def has_begun_nothing(store: Store, *, queued: int) -> None:
    assert len(await store.waiting_messages()) == queued
    assert all(attempt.door_id != "door_spare" for attempt in await store.open_attempts())
    assert (await store.verify_journal()).broken_at is None


async def test_a_message_that_nothing_is_before_begins(store: Store) -> None:
    """Its task has the offered ids, its first attempt runs at the offered door, and what the task is stands there."""
    before = (Entry(role="user", text="hi"), Entry(role="assistant", text="Hello, Anna"))
    await store.finish_task((await running(store)).task.task_id, REPLY, entries=before)
    await filed(store, said("by the way"), MessageState.CONTEXT)
    await store.save_person(ANNA, "Anna", "owner", "cli")
    offered = offer()
    taken_in = await take_in(store, said("hello"), offered=offered)
    assert taken_in.filed is not None and taken_in.filed.begun is not None
    begun = taken_in.filed.begun
    assert begun.task is not None
    assert begun.task.prompt == "by the way | hello (2 before, 1)"
    assert [message.inbound.text for message in begun.claim.messages] == ["hello"]
    assert [message.inbound.text for message in begun.claim.context] == ["by the way"]
    row = await store.task(offered.task_id)
    assert row == replace(begun.claim.task, spec=begun.task)
    (attempt,) = await store.attempts_of(offered.task_id)
    assert (attempt.attempt_id, attempt.state, attempt.number) == (offered.attempt_id, "running", 1)
    assert (attempt.door_id, attempt.container_id, attempt.nonce_hash) == ("door_spare", "c-spare", "n")
    message = await store.message(taken_in.filed.message.message_id)
    assert message is not None and message.state is MessageState.CLAIMED
    assert await store.pending_raws([CHANNEL]) == ()
    assert (await store.verify_journal()).broken_at is None


async def test_a_message_that_is_to_be_collected_waits_for_those_that_follow(store: Store) -> None:
    """Also the first one after its chat was given that mode, with a container ready for it."""
    await store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN, added_by="cli", mode="collect"))
    taken_in = await take_in(store)
    assert taken_in.filed is not None and taken_in.filed.begun is None
    await has_begun_nothing(store, queued=1)


async def test_it_is_all_there_for_the_next_host(tmp_path: Path) -> None:
    """A task that began so is found running, with its task, as any other."""
    async with open_store(tmp_path) as store:
        taken_in = await take_in(store)
        assert taken_in.filed is not None and taken_in.filed.begun is not None
    async with open_store(tmp_path) as store:
        (row,) = await store.running_tasks()
        assert row.spec == taken_in.filed.begun.task
        assert [attempt.door_id for attempt in await store.open_attempts()] == ["door_spare"]


async def test_an_event_that_is_stored_already_changes_nothing(store: Store) -> None:
    """Whether or not it began a task the first time."""
    for inbound in (said(), said()):
        await take_in(store, inbound)
        journal = await store.journal_tail()
        assert await take_in(store, inbound) == TakenIn(update=None, filed=None)
        assert await store.journal_tail() == journal


async def test_what_is_not_queued_is_stored_and_waits_to_be_filed(store: Store) -> None:
    """Its update is as it came; who decides is told what the store knows of the sender."""
    await store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN))
    seen: list[SenderFacts] = []

    def refuse(facts: SenderFacts) -> GroupId | None:
        seen.append(facts)
        return None

    taken_in = await take_in(store, decide=refuse)
    assert taken_in.filed is None
    assert await store.pending_raws([CHANNEL]) == (taken_in.update,)
    assert seen[0].binding is not None and seen[0].person is None
    await has_begun_nothing(store, queued=0)


async def test_a_container_of_another_group_is_not_used(store: Store) -> None:
    """The message is queued for its own group."""
    taken_in = await take_in(store, decide=lambda _: OTHER)
    assert taken_in.filed is not None
    assert (taken_in.filed.begun, taken_in.filed.message.group_id) == (None, OTHER)
    await has_begun_nothing(store, queued=1)


async def test_while_frozen_it_is_queued(store: Store) -> None:
    """Nothing starts behind the flag."""
    await store.set_frozen(True, "cli")
    taken_in = await take_in(store)
    assert taken_in.filed is not None and taken_in.filed.begun is None
    await has_begun_nothing(store, queued=1)


async def test_a_busy_session_is_not_begun_in_twice(store: Store) -> None:
    """A task runs in it: the message waits; one in another chat's session begins."""
    await claimed(store)
    taken_in = await take_in(store)
    assert taken_in.filed is not None and taken_in.filed.begun is None
    await has_begun_nothing(store, queued=1)
    elsewhere = await take_in(store, said(chat=ChatKey("telegram:200")))
    assert elsewhere.filed is not None and elsewhere.filed.begun is not None


@pytest.mark.parametrize("chat", [CHAT, ChatKey("telegram:200")])
async def test_an_older_message_of_the_session_goes_first(store: Store, chat: ChatKey) -> None:
    """Also where it came in another chat of a shared session."""
    for each in (CHAT, chat):
        await store.bind(Binding(chat=each, chat_kind="direct", group_id=MAIN, session="shared"))
    await filed(store, said("older", chat=chat))
    taken_in = await take_in(store)
    assert taken_in.filed is not None and taken_in.filed.begun is None
    await has_begun_nothing(store, queued=2)


async def test_a_task_that_cannot_be_built_from_this_alone_is_claimed(store: Store) -> None:
    """It has the offered ids, and an attempt that is still to be given a container."""
    offered = offer(lambda claim, beginning: None)
    taken_in = await take_in(store, offered=offered)
    assert taken_in.filed is not None and taken_in.filed.begun is not None
    assert taken_in.filed.begun.task is None
    (attempt,) = await store.attempts_of(offered.task_id)
    assert (attempt.state, attempt.door_id) == ("starting", None)
    await has_begun_nothing(store, queued=0)


@pytest.mark.parametrize("error", [StoreFull("store.db"), StoreBroken("store.db", "x"), ValueError("a bug")])
async def test_what_fails_leaves_nothing(store: Store, error: Exception) -> None:
    """The update is as good as never come; asked again, all of it is stored, and the journal's chain is whole."""
    await answered(store)
    inbound, before = said(), await store.journal_tail()

    def fail(claim: Claim, beginning: TaskBeginning) -> Task | None:
        raise error

    with pytest.raises(type(error)):
        await take_in(store, inbound, offered=offer(fail))
    assert await store.journal_tail() == before
    assert await store.pending_raws([CHANNEL]) == ()
    taken_in = await take_in(store, inbound)
    assert taken_in.filed is not None and taken_in.filed.begun is not None
    assert (await store.verify_journal()).broken_at is None
