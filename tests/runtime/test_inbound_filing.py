"""Filing: edits and deletions, threads and their conversations, what is taken up again after an owner's yes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from protocol.ids import ChatKey, GroupId, PersonKey, PlatformMessageId, TaskId
from protocol.message import InboundMessage
from runtime.people import pairing
from runtime.people.records import AskOwner
from runtime.store import access_rows, admit_rows, people_rows, request_rows
from runtime.store.database import Transaction
from runtime.store.inbound_rows import find_or_make_session
from runtime.store.records import Binding, MessageState, Original, PersonLimits, SessionScope, StoredMessage
from runtime.store.store import Store, open_store
from tests.runtime.store.support import REPLY
from tests.runtime.test_intake import ANNA, CHANNEL, CHAT, MAIN, House, Wire

YARD = ChatKey("wire:yard")
BEN = PersonKey("wire:ben")


class TalkingWire(Wire):
    """Updates that also say what kind they are, and which message they are about."""

    def decode(self, raw: bytes) -> InboundMessage | None:
        inbound = super().decode(raw)
        said: dict[str, Any] = json.loads(raw)
        if inbound is None:
            return None
        about = said.get("about", said["event"])
        kind = said.get("kind", "message")
        return replace(
            inbound,
            kind=kind,
            reply_to=PlatformMessageId(f"p-{about}") if kind == "reaction" else None,
            mentions_me=said.get("mentions_me", False),
            platform_message_id=PlatformMessageId(f"p-{about}"),
        )


class TalkingHouse(House):
    """A house that also keeps what became of edits and deletions."""

    def __init__(self, home: Path, store: Store, wire: Wire) -> None:
        self.heard: list[tuple[TaskId, StoredMessage]] = []
        self.replaced: list[Original] = []
        self.withdrawn: list[Original] = []
        super().__init__(home, store, wire)

    def more_ends(self) -> dict[str, Any]:
        return {
            "changed": self._hear,
            "replaced": lambda original: self._note(self.replaced, original),
            "withdrawn": lambda original: self._note(self.withdrawn, original),
        }

    def _note(self, noted: list[Original], original: Original) -> None:
        noted.append(original)
        self.changed.set()

    def _hear(self, task_id: TaskId, message: StoredMessage) -> None:
        self.heard.append((task_id, message))
        self.changed.set()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[TalkingHouse]:
    async with open_store(tmp_path) as store:
        await store.save_person(ANNA, "Anna", "owner", "cli")
        await store.save_person(BEN, "Ben", "member", "cli")
        await store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN))
        yield TalkingHouse(tmp_path, store, TalkingWire())


async def waiting(house: House) -> list[str]:
    return [message.inbound.text for message in await house.store.waiting_messages()]


async def test_an_edit_replaces_what_waits(house: TalkingHouse) -> None:
    """The task that comes reads the new words; the edit itself is the host's work and never reaches an agent."""
    async with house.running():
        await house.say("1", "buy milk")
        await house.say("2", "buy bread", kind="edit", about="1")
        edit = await house.message(1)
        await house.until(lambda: len(house.replaced) == 1)
    assert await waiting(house) == ["buy bread"]
    assert (edit.state, edit.end_reason) == (MessageState.COMMAND, f"replaced {house.queued[0].message_id}")
    assert [each.message_id for each in house.replaced] == [house.queued[0].message_id]
    assert house.commands == []


async def test_a_deletion_takes_back_what_waits(house: TalkingHouse) -> None:
    """Nothing waits any more, and nothing of what was said is kept."""
    async with house.running():
        await house.say("1", "my secret")
        await house.say("2", "", kind="delete", about="1")
        await house.until(lambda: len(house.withdrawn) == 1)
    assert await waiting(house) == []
    taken_back = await house.store.message(house.queued[0].message_id)
    assert taken_back is not None
    assert (taken_back.state, taken_back.inbound.text) == (MessageState.REFUSED, "")
    assert "taken back" in taken_back.end_reason
    assert [each.session_id for each in house.withdrawn] == [house.queued[0].session_id]
    content = b"".join(path.read_bytes() for path in house.home.glob("store.db"))
    assert b"my secret" not in content


async def test_a_running_task_is_told(house: TalkingHouse) -> None:
    """An edit of what is being worked on goes to the agent, with what it was before, and is kept as context."""
    async with house.running():
        await house.say("1", "buy milk")
        await house.until(lambda: len(house.queued) == 1)
        claim = await house.store.claim_messages([house.queued[0].message_id])
        await house.say("2", "buy bread", kind="edit", about="1")
        await house.say("3", "", kind="delete", about="1")
        await house.message(2)
        await house.until(lambda: len(house.heard) == 2)
    assert [task_id for task_id, _ in house.heard] == [claim.task.task_id] * 2
    edit, deletion = (message for _, message in house.heard)
    assert (edit.state, edit.inbound.text, edit.inbound.quote) == (MessageState.CONTEXT, "buy bread", "buy milk")
    assert (deletion.inbound.kind, deletion.inbound.quote) == ("delete", "buy milk")
    assert edit.session_id == house.queued[0].session_id


async def test_an_answered_message_keeps_its_edits_as_context(house: TalkingHouse) -> None:
    """The next task of the conversation is shown them; none is made for them."""
    async with house.running():
        await house.say("1", "buy milk")
        await house.until(lambda: len(house.queued) == 1)
        claim = await house.store.claim_messages([house.queued[0].message_id])
        await house.store.finish_task(claim.task.task_id, REPLY)
        await house.say("2", "buy bread", kind="edit", about="1")
        await house.say("3", "and now?")
        await house.until(lambda: len(house.queued) == 2)
        later = await house.store.claim_messages([house.queued[1].message_id])
    assert house.heard == []
    assert [message.inbound.text for message in later.context] == ["buy bread"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"person": BEN}, "somebody else's message"),
        ({"chat": "wire:2"}, "another chat's"),
        ({"about": "none"}, "a message that never was"),
        ({"person": "wire:eve"}, "a stranger's"),
    ],
)
async def test_an_edit_reaches_only_ones_own_message(house: TalkingHouse, more: dict[str, str], text: str) -> None:
    """What waits stays as it was said."""
    async with house.running():
        await house.say("1", "buy milk")
        await house.say("2", **{"text": text, "kind": "edit", "about": "1", **more})
        await house.message(1)
    assert await waiting(house) == ["buy milk"]


async def test_a_binding_holds_for_threads_and_says_which_conversation(house: TalkingHouse) -> None:
    """A chat's agent answers in its threads; each has its own conversation, or they share one, as the binding says."""
    sessions = {}
    scopes: tuple[SessionScope, ...] = ("chat", "thread")
    for scope in scopes:
        binding = Binding(chat=YARD, chat_kind="many", group_id=MAIN, session=scope)
        await house.store.bind(binding)
        sessions[scope] = [
            await house.store.write(find_or_make_session, MAIN, ChatKey(chat))
            for chat in (YARD, f"{YARD}:7", f"{YARD}:8")
        ]
    assert len(set(sessions["chat"])) == 1
    assert len(set(sessions["thread"])) == 3
    async with house.running():
        await house.say("1", "hi", chat=f"{YARD}:7", chat_kind="many")
        await house.until(lambda: len(house.queued) == 1)
    assert house.queued[0].session_id == sessions["thread"][1]


async def test_a_shared_conversation_keeps_direct_chats_apart(house: TalkingHouse) -> None:
    """What was said directly is never in a conversation that many people hear."""
    for chat, kind in (("wire:d1", "direct"), ("wire:d2", "direct"), ("wire:m1", "many"), ("wire:m2", "many")):
        await house.store.bind(
            Binding(chat=ChatKey(chat), chat_kind=kind, group_id=MAIN, session="shared")  # type: ignore[arg-type]  # both
        )
    direct = {await house.store.write(find_or_make_session, MAIN, ChatKey(chat)) for chat in ("wire:d1", "wire:d2")}
    many = {await house.store.write(find_or_make_session, MAIN, ChatKey(chat)) for chat in ("wire:m1", "wire:m2")}
    assert (len(direct), len(many), direct & many) == (1, 1, set())


async def test_a_thread_with_its_own_agent_has_only_that(house: TalkingHouse) -> None:
    """A binding of a thread counts in place of its chat's."""
    await house.store.bind(Binding(chat=YARD, chat_kind="many", group_id=MAIN))
    thread = ChatKey(f"{YARD}:7")
    await house.store.bind(Binding(chat=thread, chat_kind="many", group_id=GroupId("side")))
    facts = await house.store.sender_facts(ANNA, thread)
    assert [each.group_id for each in facts.bindings] == ["side"]
    assert [each.group_id for each in (await house.store.sender_facts(ANNA, ChatKey(f"{YARD}:8"))).bindings] == [MAIN]


async def test_a_mention_is_followed_in_its_thread_only(house: TalkingHouse) -> None:
    """After a mention what follows in that thread is meant for the agent, elsewhere not."""
    await house.store.bind(Binding(chat=YARD, chat_kind="many", group_id=MAIN, when="sticky", sticky_minutes=5))
    async with house.running():
        say = {"chat_kind": "many"}
        await house.say("1", "before", chat=f"{YARD}:7", **say)
        await house.say("2", "hey bot", chat=f"{YARD}:7", mentions_me=True, **say)
        await house.say("3", "and then", chat=f"{YARD}:7", **say)
        await house.say("4", "elsewhere", chat=f"{YARD}:8", **say)
        await house.message(3)
        await house.until(lambda: len(house.queued) == 2)
    assert house.texts == ["hey bot", "and then"]
    await house.store.unbind(YARD)
    await house.store.bind(Binding(chat=YARD, chat_kind="many", group_id=MAIN, when="sticky"))
    assert (await house.store.sender_facts(ANNA, ChatKey(f"{YARD}:7"))).followed == ()


async def test_a_binding_says_how_messages_are_queued(house: TalkingHouse) -> None:
    """A message keeps its binding's mode."""
    await house.store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN, mode="collect"))
    async with house.running():
        await house.say("1", "hi")
        await house.until(lambda: len(house.queued) == 1)
    assert house.queued[0].mode == "collect"
    assert (await house.store.waiting_messages())[0].mode == "collect"


async def test_what_was_granted_is_taken_up_after_a_crash(house: TalkingHouse) -> None:
    """A yes that was stored, and not acted on, is acted on at the next start; files are fetched then, once."""
    house.wire.files["photo"] = b"content"
    async with house.running():
        await house.say("1", "see this", person="wire:eve", chat="wire:eve", files=["photo"])
        await house.message()
    assert house.wire.fetched == []
    (request,) = await house.store.read(access_rows.requests)
    eve = PersonKey("wire:eve")

    def let_in(transaction: Transaction) -> None:
        admit_rows.let_in(transaction, eve, request, "member", MAIN, "cli", pairing.admitted_notice)

    await house.store.write(admit_rows.grant, request, let_in, "cli")
    after = TalkingHouse(house.home, house.store, house.wire)
    async with after.running():
        await after.until(lambda: len(after.queued) == 1)
    message = after.queued[0]
    assert (message.inbound.text, message.state, message.group_id) == ("see this", MessageState.QUEUED, MAIN)
    assert [file.name for file in message.inbound.attachments] == ["photo"]
    assert message.inbound.pending_files == ()
    assert await house.store.read(access_rows.granted_requests) == ()
    again = TalkingHouse(house.home, house.store, house.wire)
    async with again.running():
        await again.say("2", "more", person="wire:eve", chat="wire:eve")
        await again.until(lambda: len(again.queued) == 1)
    assert again.texts == ["more"]
    assert house.wire.fetched == ["photo"]


async def test_what_is_said_right_after_a_yes_goes_behind_what_waited_for_it(house: TalkingHouse) -> None:
    """Also where nobody has told the intake of the yes yet; when it hears of that, nothing is done again."""
    eve = {"person": "wire:eve", "chat": "wire:eve"}
    async with house.running():
        for event, text in (("1", "one"), ("2", "two")):
            await house.say(event, text, **eve)
        await house.message(1)
        (request,) = await house.store.read(access_rows.requests)

        def let_in(transaction: Transaction) -> None:
            key = PersonKey("wire:eve")
            admit_rows.let_in(transaction, key, request, "member", MAIN, "cli", pairing.admitted_notice)

        await house.store.write(admit_rows.grant, request, let_in, "cli")
        await house.say("3", "three", **eve)
        await house.until(lambda: len(house.queued) == 3)
        house.intake.take_up(request)
        await house.say("4", "four", **eve)
        await house.until(lambda: len(house.queued) == 4)
    assert house.texts == ["one", "two", "three", "four"]
    assert await house.store.read(access_rows.granted_requests) == ()


async def test_what_is_taken_up_is_decided_anew(house: TalkingHouse) -> None:
    """A binding that names nobody who waited lets nobody in who spoke there."""
    async with house.running():
        await house.say("1", "hi", person="wire:eve", chat=YARD, chat_kind="many", mentions_me=True)
        await house.message()
        (request,) = await house.store.read(access_rows.requests)
        assert request.kind == "chat"
        binding = Binding(chat=YARD, chat_kind="many", group_id=MAIN)
        await house.store.write(
            admit_rows.grant, request, lambda transaction: people_rows.bind(transaction, binding), "cli"
        )
        house.intake.take_up(request)
        await house.say("2", "hi again", person="wire:eve", chat=YARD, chat_kind="many", mentions_me=True)
        await house.message(1)
    assert house.queued == []
    assert (await house.message()).state is MessageState.REFUSED


async def test_too_many_strangers_reach_no_owner(house: TalkingHouse) -> None:
    """Beyond the cap a stranger is told to come later, and no card is made."""
    async with house.running():
        for number in range(access_rows.MAX_PENDING_REQUESTS + 2):
            await house.say(str(number), person=f"wire:s{number}", chat=f"wire:s{number}")
        await house.message(access_rows.MAX_PENDING_REQUESTS + 1)
    assert len(await house.store.read(access_rows.requests)) == access_rows.MAX_PENDING_REQUESTS
    texts = [row.message.text for row in await house.store.claim_outbox(1000)]
    assert sum("too many others ask" in text for text in texts) == 2
    totals = (await house.store.read(access_rows.refusals, 100)).by_code
    assert [(code, count) for code, count, _ in totals] == [("stranger", access_rows.MAX_PENDING_REQUESTS + 2)]


async def test_a_person_over_their_money_is_refused(house: TalkingHouse) -> None:
    """What a person's tasks have used today is looked up where it is limited, under all their identities."""
    await house.store.write(people_rows.link, BEN, PersonKey("wire:ben2"), "cli")
    await house.store.write(people_rows.set_limits, BEN, PersonLimits(model_calls_per_day=0), "cli")
    await house.store.bind(Binding(chat=ChatKey("wire:ben"), chat_kind="direct", group_id=MAIN))
    async with house.running():
        await house.say("1", "hi", person="wire:ben2", chat="wire:ben")
        refused = await house.message()
    assert (refused.state, "model calls" in refused.end_reason) == (MessageState.REFUSED, True)


async def test_what_waits_for_an_owner_can_be_changed_and_taken_back(house: TalkingHouse) -> None:
    """A stranger's edit counts after the yes, and what they took back is neither kept nor answered; nobody else can
    change their words."""
    eve = {"person": "wire:eve", "chat": "wire:eve"}
    async with house.running():
        await house.say("1", "my secret", **eve)
        await house.say("2", "helo", **eve)
        await house.say("3", "", kind="delete", about="1", **eve)
        await house.say("4", "hello", kind="edit", about="2", **eve)
        await house.say("5", "give me all", kind="edit", about="2", person="wire:mallory", chat="wire:eve")
        await house.message(4)
        (request,) = [each for each in await house.store.read(access_rows.requests) if each.person == "wire:eve"]
        waiting = await house.store.read(access_rows.waiting_of, request.code)
        assert [each.message.inbound.text for each in waiting] == ["hello"]
        assert (await house.store.recent_messages(100))[-1].inbound.text == ""

        def let_in(transaction: Transaction) -> None:
            key = PersonKey("wire:eve")
            admit_rows.let_in(transaction, key, request, "member", MAIN, "cli", pairing.admitted_notice)

        await house.store.write(admit_rows.grant, request, let_in, "cli")
        house.intake.take_up(request)
        await house.until(lambda: len(house.queued) == 1)
    assert house.texts == ["hello"]
    assert (house.replaced, house.withdrawn) == ([], [])


async def test_a_yes_that_came_meanwhile_counts(house: TalkingHouse) -> None:
    """Who was let in between the decision on a message and its filing asks no owner again: it is decided anew."""
    async with house.running():
        await house.say("1", "hi", person="wire:eve", chat="wire:eve")
        await house.message()
        (request,) = await house.store.read(access_rows.requests)
        update = await house.store.store_raw(CHANNEL, "late", b"{}")
        assert update is not None
        await house.store.save_person(PersonKey("wire:eve"), "Eve", "member", "cli")
        ask = AskOwner(kind="person", groups=(MAIN,), zone_name="UTC")
        late = replace((await house.message()).inbound, event_id="late")
        filing = partial(request_rows.file_and_ask, group_id=None, end_reason="", notice="", refusal="stranger")
        assert await house.store.write(filing, update.raw_id, late, ask) is None
    assert len(await house.store.read(access_rows.waiting_of, request.code)) == 1
