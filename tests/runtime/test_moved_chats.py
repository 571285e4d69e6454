"""A chat that gets another key: all that was its own is the new key's, once, and nothing comes back to the former."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from protocol.ids import ChatKey, PersonKey, PlatformMessageId
from protocol.message import OutboundMessage, Receipt
from runtime.people.records import Destination
from runtime.store import access_rows, forget_rows, model_rows, move_rows
from runtime.store.database import Transaction
from runtime.store.inbound_rows import find_or_make_session
from runtime.store.records import Binding, MessageState
from runtime.store.store import Store, open_store
from runtime.store.submission_rows import take_in, waiting_submissions
from runtime.submission import NewSubmission
from tests.runtime.host_bench import open_bench
from tests.runtime.test_dispatcher import work_until_stopped
from tests.runtime.test_inbound_filing import TalkingHouse, TalkingWire
from tests.runtime.test_intake import ANNA, CHANNEL, MAIN

FORMER = ChatKey("wire:-5")
CHAT = ChatKey("wire:-1005")
OTHER = ChatKey("wire:-51")
"""Its key begins as the former one does."""


class MovingHouse(TalkingHouse):
    """A house that counts how often it was told of a move."""

    def __init__(self, home: Path, store: Store) -> None:
        self.moves = 0
        super().__init__(home, store, TalkingWire())

    def more_ends(self) -> dict[str, Any]:
        return {**super().more_ends(), "moved": self._note_move}

    async def _note_move(self, former: ChatKey, chat: ChatKey) -> None:
        assert former != chat
        self.moves += 1
        self.changed.set()

    async def say_in(self, event: str, text: str, chat: ChatKey, **more: Any) -> None:
        await self.say(event, text, chat=chat, chat_kind="many", mentions_me=True, **more)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[MovingHouse]:
    async with open_store(tmp_path) as store:
        await store.save_person(ANNA, "Anna", "owner", "cli")
        for chat in (FORMER, OTHER):
            await store.bind(Binding(chat=chat, chat_kind="many", group_id=MAIN, rest="context"))
        yield MovingHouse(tmp_path, store)


def _keys(transaction: Transaction, key: str) -> list[str]:
    """Return the columns in which a key stands as a whole, or before a thread's."""
    found = []
    for table, columns in forget_rows.Schema(transaction.connection).texts.items():
        for column in sorted(columns - {"former", "event_id"}):
            rows = transaction.connection.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()
            found += [f"{table}.{column}" for (text,) in rows if text == key or text.startswith(f"{key}:")]
    return sorted(set(found))


async def test_all_of_a_chat_goes_to_its_new_key(house: MovingHouse) -> None:
    """Binding, conversation, threads, what waits to go out, destinations, choices and work: nothing stays behind."""
    store, thread = house.store, ChatKey(f"{FORMER}:7")
    async with house.running():
        await house.say_in("1", "before", FORMER)
        await house.say_in("2", "in a thread", thread)
        await house.until(lambda: len(house.queued) == 2)
        session = house.queued[0].session_id
        await store.put_outbound("waits/1", OutboundMessage(chat=FORMER, text="on its way"))
        await store.write(
            access_rows.save_destination,
            Destination(group_id=MAIN, name="team", chat=FORMER, added_by="cli"),
        )
        await store.write(model_rows.choose_model, MAIN, FORMER, "r/m", "cli")
        await store.write(take_in, NewSubmission(submitter="cli", group_id=MAIN, prompt="p", chat=FORMER))
        before = await store.read(_keys, FORMER)
        await house.say_in("3", CHAT, FORMER, kind="moved", person=FORMER)
        await house.until(lambda: house.moves == 1)
        await house.say_in("4", "after", CHAT)
        await house.until(lambda: len(house.queued) == 3)
    assert len(before) >= 8
    assert await store.read(_keys, FORMER) == []
    assert await store.read(_keys, CHAT) == sorted([*before, "moved_chats.chat"])
    assert [each.session_id for each in house.queued[::2]] == [session, session]
    assert (await store.claim_outbox(10))[0].message.chat == CHAT
    waiting = await store.waiting_messages()
    assert [each.inbound.chat for each in waiting] == [CHAT, f"{CHAT}:7", CHAT]
    assert [each.new.chat for each in await store.read(waiting_submissions, 10)] == [CHAT]
    assert {each.chat for each in await store.bindings()} == {CHAT, OTHER}
    assert [entry.kind for entry in await store.journal_tail()].count("chat_moved") == 1


async def test_a_former_key_never_comes_back(house: MovingHouse) -> None:
    """What is still said under it, and what a running task still says to it, is the chat's; so is it after a restart,
    and when the chat moves once more."""
    store, further = house.store, ChatKey("wire:-1006")
    async with house.running():
        await house.say_in("1", CHAT, FORMER, kind="moved", person=FORMER)
        await house.say_in("2", "late", FORMER)
        await house.until(lambda: len(house.queued) == 1)
        await house.say_in("3", further, CHAT, kind="moved", person=CHAT)
        await house.until(lambda: house.moves == 2)
    after = MovingHouse(house.home, store)
    async with after.running():
        await after.say_in("4", "later", ChatKey(f"{FORMER}:9"))
        await after.until(lambda: len(after.queued) == 1)
    assert [each.inbound.chat for each in (*house.queued, *after.queued)] == [CHAT, f"{further}:9"]
    await store.put_outbound("late/1", OutboundMessage(chat=ChatKey(f"{FORMER}:9"), text="the answer"))
    assert [row.message.chat for row in await store.claim_outbox(10)] == [f"{further}:9"]


async def test_a_move_told_again_changes_nothing(house: MovingHouse) -> None:
    """Platforms say it on both sides, and again when a delivery to the former key fails."""
    async with house.running():
        for event in ("1", "moved:-5", "3"):
            await house.say_in(event, CHAT, FORMER, kind="moved", person=FORMER)
        await house.say_in("4", "after", CHAT)
        await house.until(lambda: len(house.queued) == 1)
    assert house.moves == 1
    assert await house.store.pending_raws([CHANNEL]) == ()


async def test_what_the_new_key_has_already_stays(house: MovingHouse) -> None:
    """Somebody bound the new key before the word of the move came: their binding and conversation go on."""
    store = house.store
    await store.bind(Binding(chat=CHAT, chat_kind="many", group_id=MAIN, when="mention"))
    new = await store.write(find_or_make_session, MAIN, CHAT)
    former = await store.write(find_or_make_session, MAIN, FORMER)
    update = await store.store_raw(CHANNEL, "1", b"raw")
    assert update is not None
    assert await store.write(move_rows.move_chat, update.raw_id, FORMER, CHAT)
    assert await store.current_session(MAIN, CHAT) == new != former
    (binding,) = [each for each in await store.bindings() if each.chat == CHAT]
    assert binding.when == "mention"
    assert await store.read(_keys, FORMER) == []


async def test_what_is_said_under_the_new_key_waits_for_the_move(house: MovingHouse) -> None:
    """The move waits for a file that was sent before it: nothing is filed meanwhile where no agent answers yet."""
    house.wire.files["held"] = b"late"
    async with house.running():
        await house.say_in("1", "a file", FORMER, files=["held"])
        await house.wire.holding.wait()
        await house.say_in("2", CHAT, FORMER, kind="moved", person=FORMER)
        await house.say_in("3", "under the new key", CHAT)
        await house.say_in("4", "elsewhere", OTHER)
        await house.until(lambda: house.texts == ["elsewhere"])
        house.wire.held.set()
        await house.until(lambda: len(house.queued) == 3)
    assert house.texts[1:] == ["a file", "under the new key"]
    assert {each.inbound.chat for each in await house.store.waiting_messages()} == {CHAT, OTHER}


@pytest.mark.parametrize("key", ["", "other:1", FORMER, "wire:" + "x" * 400])
async def test_a_key_that_can_be_none_is_a_dead_letter(house: MovingHouse, key: str) -> None:
    """Nothing moves to another channel, to nowhere, or to itself; the chat goes on."""
    async with house.running():
        await house.say_in("1", key, FORMER, kind="moved", person=FORMER)
        await house.say_in("2", "still here", FORMER)
        await house.until(lambda: len(house.queued) == 1)
    assert house.moves == 0
    assert house.queued[0].inbound.chat == FORMER


async def test_a_delivery_under_way_goes_to_the_new_key_when_it_is_tried_again(house: MovingHouse) -> None:
    """The platform refuses the former key, which is how a channel may learn of the move."""
    store = house.store
    await store.put_outbound("a/1", OutboundMessage(chat=FORMER, text="hello"))
    (row,) = await store.claim_outbox(10)
    async with house.running():
        await house.say_in("moved:-5", CHAT, FORMER, kind="moved", person=FORMER)
        await house.until(lambda: house.moves == 1)
    await store.outbox_failed(row.outbox_id, "it moved", datetime.now(UTC))
    (again,) = await store.claim_outbox(10)
    assert (again.outbox_id, again.message.chat) == (row.outbox_id, CHAT)


async def test_a_reaction_is_context_and_shows_what_it_is_under(house: MovingHouse) -> None:
    """Of an agent's answer as of a person's words; it starts no task, answers no question, gives no command."""
    store = house.store
    async with house.running():
        await house.say_in("1", "who comes?", FORMER)
        await house.until(lambda: len(house.queued) == 1)
        claim = await store.claim_messages([house.queued[0].message_id])
        await store.put_outbound("a/1", OutboundMessage(chat=FORMER, text="Ben comes."), claim.task.task_id)
        (row,) = await store.claim_outbox(10)
        await store.outbox_sent(row.outbox_id, Receipt(platform_message_ids=(PlatformMessageId("p-77"),)))
        for event, text, about in (("2", "👍", "77"), ("3", "/stop", "1"), ("4", "", "5")):
            await house.say_in(event, text, FORMER, kind="reaction", about=about)
        await house.message(3)
        found = await store.recent_messages(3)
    kept = [(each.inbound.text, each.inbound.quote, each.state) for each in reversed(found)]
    context = MessageState.CONTEXT
    assert kept == [("👍", "Ben comes.", context), ("/stop", "who comes?", context), ("", "", context)]
    assert len(house.queued) == 1
    assert house.commands == []


async def test_nobody_is_told_of_what_strangers_do(house: MovingHouse) -> None:
    """Reactions, comings and goings of people whom nobody let in leave no word, no request and no count."""
    async with house.running():
        for event, kind in (("1", "reaction"), ("2", "joined"), ("3", "left")):
            stranger = PersonKey("wire:eve")
            await house.say_in(event, "ABCD-EFGH", FORMER, kind=kind, person=stranger, about="9")
        await house.message(2)
    assert {each.state for each in await house.store.recent_messages(3)} == {MessageState.REFUSED}
    assert await house.store.claim_outbox(10) == ()
    assert house.outbox_wakes == 0


async def test_comings_and_goings_of_known_people_are_context(house: MovingHouse) -> None:
    """An agent that overhears a chat knows who came and went."""
    async with house.running():
        await house.say_in("1", "Ben", FORMER, kind="joined")
        message = await house.message(0)
    assert (message.state, message.inbound.kind) == (MessageState.CONTEXT, "joined")


async def test_what_runs_and_waits_in_a_chat_is_stopped_under_its_new_key(tmp_path: Path) -> None:
    """The agent at work when the chat moved is stopped there, and so is what waits behind it."""
    new = ChatKey("stage:9")
    async with open_bench(tmp_path) as bench, bench.host() as dispatcher:
        bench.room.scripts = [work_until_stopped]
        await bench.say("work")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        await bench.say("and then this", mode="follow_up")
        dispatcher.chat_moved(ChatKey("stage:1"), new)
        assert (await dispatcher.stop_chat(ChatKey("stage:1"), "nobody is there")).tasks == ()
        stopped = await dispatcher.stop_chat(new, "stopped by a person")
        assert (len(stopped.tasks), stopped.messages) == (1, 1)
        await bench.idle()
