"""Persons, bindings and pairing codes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from protocol.ids import ChatKey, GroupId, PersonKey, mint
from protocol.message import InboundMessage
from runtime.people import pairing
from runtime.people.codes import normalize_code
from runtime.people.records import AccessRequest, AskOwner
from runtime.store import access_rows, decision_rows, people_rows, request_rows
from runtime.store.records import Asked, Binding, MessageState, PairingOutcome, PersonLimits
from runtime.store.store import Store, open_store
from tests.runtime.store.support import ANNA, CHANNEL, CHAT, MAIN, filed, said

OTHER = PersonKey("discord:8")
CODES = ("AAAA-0001", "AAAA-0002", "AAAA-0003", "AAAA-0004")


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    async with open_store(tmp_path, clock=clock) as opened:
        yield opened


async def redeem(store: Store, code: str, inbound: InboundMessage | None = None) -> PairingOutcome:
    inbound = inbound or said(code)
    update = await store.store_raw(inbound.channel_id, inbound.event_id, b"raw")
    assert update is not None
    normal = normalize_code(code)
    assert normal is not None
    return await store.redeem_pairing_code(normal, update.raw_id, inbound)


async def test_persons_are_kept(store: Store) -> None:
    """A person can be added, changed, listed and removed."""
    anna = await store.save_person(ANNA, "Anna", "member", "cli")
    assert await store.people() == (anna,)
    changed = await store.save_person(ANNA, "Anna B.", "admin", "someone")
    assert (changed.role, changed.added_by, changed.added_at) == ("admin", "cli", anna.added_at)
    assert await store.person(ANNA) == changed
    assert await store.remove_person(ANNA)
    assert not await store.remove_person(ANNA)
    assert await store.people() == ()


async def test_bindings_are_kept(store: Store) -> None:
    """A chat may have several agents, one of them its default; bindings are listed, by group too."""
    first = await store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN, added_by="cli"))
    assert await store.binding_of(CHAT) == first
    second = await store.bind(
        Binding(chat=CHAT, chat_kind="many", group_id=GroupId("other"), when="mention", rest="context")
    )
    assert await store.binding_of(CHAT) == second
    assert await store.binding_of(CHAT, MAIN) == replace(first, is_default=False)
    assert await store.bindings() == (replace(first, is_default=False), second)
    assert await store.bindings(GroupId("other")) == (second,)
    assert await store.unbind(CHAT, GroupId("other"))
    assert await store.bindings() == (first,)
    assert await store.unbind(CHAT)
    assert not await store.unbind(CHAT)
    assert await store.binding_of(CHAT) is None


async def test_sender_facts_say_who_and_where(store: Store) -> None:
    """All that a decision needs comes in one read: person, binding, pending code, last refusal."""
    nothing = await store.sender_facts(ANNA, CHAT)
    assert (nothing.person, nothing.binding, nothing.pairing_pending, nothing.refused_at) == (None, None, False, None)
    person = await store.save_person(ANNA, "Anna", "owner", "cli")
    binding = await store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN, when="mention", rest="context"))
    await store.add_pairing_code(CODES[0], MAIN, "cli")
    facts = await store.sender_facts(ANNA, CHAT)
    assert (facts.person, facts.binding, facts.pairing_pending) == (person, binding, True)


async def test_a_code_pairs_an_owner_with_a_chat(store: Store) -> None:
    """Whoever sends the code becomes an owner, the chat is bound, the message answered: all at once, and only once."""
    await store.add_pairing_code(CODES[0], MAIN, "cli")
    outcome = await redeem(store, "aaaaooo1")  # as somebody types it
    assert outcome.kind == "paired"
    assert outcome.filed is not None
    assert outcome.filed.message.state is MessageState.COMMAND
    facts = await store.sender_facts(ANNA, CHAT)
    assert facts.person is not None
    assert facts.binding is not None
    assert (facts.person.role, facts.binding.group_id, facts.pairing_pending) == ("owner", MAIN, False)
    (row,) = await store.claim_outbox()
    assert row.message.text == pairing.paired_notice(MAIN, is_rehearsal=False)
    assert "rehearsal" not in row.message.text
    assert await store.open_commands() == ()
    stranger = said(CODES[0], person=PersonKey("telegram:8"), chat=ChatKey("telegram:300"))
    assert (await redeem(store, CODES[0], stranger)).kind == "wrong"


async def test_a_code_expires(store: Store, clock: Clock) -> None:
    """After an hour a code is wrong, and no code is pending any more."""
    expires_at = await store.add_pairing_code(CODES[0], MAIN, "cli")
    assert expires_at == clock.now + timedelta(hours=1)
    clock.now = expires_at
    assert not (await store.sender_facts(ANNA, CHAT)).pairing_pending
    assert (await redeem(store, CODES[0])).kind == "wrong"
    assert await store.person(ANNA) is None


async def test_only_a_few_codes_wait(store: Store, clock: Clock) -> None:
    """A code beyond the cap ends the oldest one."""
    for code in CODES:
        await store.add_pairing_code(code, MAIN, "cli")
        clock.now += timedelta(seconds=1)
    assert (await redeem(store, CODES[0])).kind == "wrong"
    assert (await redeem(store, CODES[1])).kind == "paired"


async def test_codes_are_not_in_the_file(store: Store, tmp_path: Path) -> None:
    """Only a keyed digest of a code is stored."""
    await store.add_pairing_code("7K3M-9QXA", MAIN, "cli")
    content = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert b"7K3M9QXA" not in content
    assert b"7K3M-9QXA" not in content


async def test_guessing_is_locked_for_one_person(store: Store, clock: Clock) -> None:
    """After too many wrong codes even the right one is refused, to this person, until an hour has passed."""
    await store.add_pairing_code(CODES[0], MAIN, "cli")
    kinds = [(await redeem(store, "ZZZZ-ZZZ0")).kind for _ in range(pairing.MAX_WRONG_PER_PERSON)]
    assert set(kinds) == {"wrong"}
    assert (await redeem(store, CODES[0])).kind == "locked"
    other = said(CODES[0], person=PersonKey("telegram:8"), chat=ChatKey("telegram:300"))
    assert (await redeem(store, CODES[0], other)).kind == "paired"
    clock.now += pairing.LOCK_OUT + timedelta(seconds=1)
    await store.add_pairing_code(CODES[1], MAIN, "cli")
    assert (await redeem(store, CODES[1])).kind == "paired"


async def test_guessing_is_locked_for_everybody(store: Store) -> None:
    """Many persons guessing a few times each lock pairing for all."""
    await store.add_pairing_code(CODES[0], MAIN, "cli")
    for number in range(pairing.MAX_WRONG_IN_ALL):
        guess = said("ZZZZ-ZZZ0", person=PersonKey(f"telegram:s{number}"))
        assert (await redeem(store, "ZZZZ-ZZZ0", guess)).kind == "wrong"
    assert (await redeem(store, CODES[0])).kind == "locked"


async def test_a_known_persons_words_are_no_guesses(store: Store) -> None:
    """What somebody known writes and happens to look like a code is not counted."""
    await store.save_person(ANNA, "Anna", "owner", "cli")
    for _ in range(pairing.MAX_WRONG_PER_PERSON + 1):
        assert (await redeem(store, "ZZZZ-ZZZ0")).kind == "wrong"


async def test_a_code_works_in_direct_chats_only(store: Store) -> None:
    """In a chat of many even the right code pairs nobody: others could read it."""
    await store.add_pairing_code(CODES[0], MAIN, "cli")
    assert (await redeem(store, CODES[0], said(CODES[0], chat_kind="many"))).kind == "wrong"
    assert await store.people() == ()


async def test_a_text_that_is_no_code_is_not_stored_as_one(store: Store) -> None:
    """A code must have the form that pairing.py gives it."""
    with pytest.raises(ValueError, match="not a pairing code"):
        await store.add_pairing_code("hello", MAIN, "cli")


async def test_two_identities_are_one_person(store: Store) -> None:
    """Who speaks under a linked key is the person, with their role; who had been somebody under it is not any more."""
    await store.save_person(ANNA, "Anna", "admin", "cli")
    await store.save_person(OTHER, "Anna D.", "guest", "cli")
    await store.write(people_rows.link, ANNA, OTHER, "cli")
    facts = await store.sender_facts(OTHER, CHAT)
    assert facts.person is not None
    assert (facts.person.person, facts.person.role) == (ANNA, "admin")
    assert [each.person for each in await store.people()] == [ANNA]
    (known,) = await store.read(people_rows.known_people)
    assert known.identities == (OTHER,)
    third = PersonKey("slack:U1")
    await store.save_person(third, "A.", "member", "cli")
    await store.write(people_rows.link, third, ANNA, "cli")
    (known,) = await store.read(people_rows.known_people)
    assert (known.person.person, set(known.identities)) == (third, {ANNA, OTHER})
    assert await store.write(people_rows.unlink, OTHER, "cli")
    assert not await store.write(people_rows.unlink, OTHER, "cli")
    assert (await store.sender_facts(OTHER, CHAT)).person is None


async def test_nobody_is_linked_to_nobody_or_themselves(store: Store) -> None:
    """A link needs somebody known and another key."""
    with pytest.raises(ValueError, match="nobody known"):
        await store.write(people_rows.link, ANNA, OTHER, "cli")
    await store.save_person(ANNA, "Anna", "admin", "cli")
    with pytest.raises(ValueError, match="same person"):
        await store.write(people_rows.link, ANNA, ANNA, "cli")


async def test_a_removed_person_leaves_nothing(store: Store) -> None:
    """Identities, roles and limits go with the person."""
    await store.write(people_rows.admit_person, ANNA, "Anna", "member", MAIN, "cli")
    await store.write(people_rows.link, ANNA, OTHER, "cli")
    await store.write(people_rows.set_limits, ANNA, PersonLimits(per_hour=1), "cli")
    await store.remove_person(ANNA)
    await store.write(people_rows.admit_person, ANNA, "Anna", "member", GroupId("side"), "cli")
    (known,) = await store.read(people_rows.known_people)
    assert (known.identities, known.roles, known.limits) == ((), ((GroupId("side"), "member"),), None)


async def test_a_role_is_with_one_agent_or_everywhere(store: Store) -> None:
    """Who is admitted to one agent is a guest elsewhere; an owner is one everywhere; the higher one counts."""
    await store.write(people_rows.admit_person, ANNA, "Anna", "member", MAIN, "cli")
    assert (await store.people())[0].role == "guest"
    found = await store.read(people_rows.people_with, (ANNA, OTHER), MAIN)
    assert {key: each.role for key, each in found.items()} == {ANNA: "member"}
    assert (await store.read(people_rows.people_with, (ANNA,), GroupId("side")))[ANNA].role == "guest"
    await store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN))
    assert (await store.sender_facts(ANNA, CHAT)).roles == {MAIN: "member"}
    await store.write(people_rows.admit_person, ANNA, "Anna", "owner", MAIN, "cli")
    assert (await store.read(people_rows.people_with, (ANNA,), MAIN))[ANNA].role == "owner"
    assert await store.write(people_rows.drop_role, ANNA, MAIN, "cli")
    assert not await store.write(people_rows.drop_role, ANNA, MAIN, "cli")


async def test_what_a_person_asks_is_counted_under_all_identities(store: Store, clock: Clock) -> None:
    """Messages to agents count for a minute, an hour, a day; what was refused or overheard does not."""
    await store.write(people_rows.admit_person, ANNA, "Anna", "member", MAIN, "cli")
    await store.write(people_rows.link, ANNA, OTHER, "cli")
    for key, minutes in ((ANNA, 100), (OTHER, 30), (ANNA, 0)):
        clock.now += timedelta(hours=2) - timedelta(minutes=minutes)
        await filed(store, said(person=key))
        clock.now -= timedelta(hours=2) - timedelta(minutes=minutes)
    clock.now += timedelta(hours=2)
    await filed(store, said(person=ANNA), MessageState.CONTEXT)
    await filed(store, said(person=ANNA), MessageState.REFUSED)
    assert (await store.sender_facts(ANNA, CHAT)).asked == Asked(minute=1, hour=2, day=3)
    assert await store.read(people_rows.asked_by, (ANNA, OTHER)) == Asked(minute=1, hour=2, day=3)
    await store.save_person(ANNA, "Anna", "owner", "cli")
    assert (await store.sender_facts(ANNA, CHAT)).asked == Asked()
    await store.write(people_rows.set_limits, ANNA, PersonLimits(per_hour=9), "cli")
    facts = await store.sender_facts(ANNA, CHAT)
    assert (facts.asked.hour, facts.limits) == (2, PersonLimits(per_hour=9))
    await store.write(people_rows.set_limits, ANNA, None, "cli")
    assert (await store.sender_facts(ANNA, CHAT)).limits is None


async def test_owners_are_found_in_their_direct_chats(store: Store) -> None:
    """One chat for each owner, under any identity, with an agent; a terminal only while there is no other."""
    assert await store.read(people_rows.owner_chats) == ()
    terminal = ChatKey("terminal:main")
    await store.bind(Binding(chat=terminal, chat_kind="direct", group_id=MAIN))
    assert await store.read(people_rows.owner_chats) == (terminal,)
    await store.save_person(ANNA, "Anna", "owner", "cli")
    await store.write(people_rows.link, ANNA, OTHER, "cli")
    await filed(store, said(person=OTHER, chat=ChatKey("discord:9")))
    assert await store.read(people_rows.owner_chats) == (terminal,)
    await store.bind(Binding(chat=ChatKey("discord:9"), chat_kind="direct", group_id=MAIN))
    assert await store.read(people_rows.owner_chats) == ("discord:9",)
    many = ChatKey("telegram:-1")
    await filed(store, said(person=ANNA, chat=many, chat_kind="many"))
    await store.bind(Binding(chat=many, chat_kind="many", group_id=MAIN))
    assert await store.read(people_rows.owner_chats) == ("discord:9",)


async def test_a_chat_keeps_a_default_agent(store: Store) -> None:
    """When the default one goes the oldest of the others takes its place."""
    for number, group in enumerate(("a", "b", "c")):
        await store.bind(Binding(chat=CHAT, chat_kind="many", group_id=GroupId(group), is_default=number == 1))
    assert (await store.binding_of(CHAT)).group_id == "b"  # type: ignore[union-attr]  # it has one
    await store.unbind(CHAT, GroupId("b"))
    assert [(each.group_id, each.is_default) for each in await store.read(people_rows.bindings_of, CHAT)] == [
        ("a", True),
        ("c", False),
    ]
    await store.bind(Binding(chat=CHAT, chat_kind="many", group_id=GroupId("a"), is_default=False))
    assert (await store.binding_of(CHAT)) is not None


async def test_refusals_are_kept_up_to_a_cap(store: Store, clock: Clock) -> None:
    """A line beyond the cap ends the one that is oldest; repeats are counted on their line."""
    for number in range(3):
        await store.write(access_rows.count_refusal, PersonKey(f"telegram:{number}"), CHAT, "stranger")
        clock.now += timedelta(seconds=1)
    await store.write(access_rows.count_refusal, PersonKey("telegram:0"), CHAT, "stranger")
    await store.write(access_rows.prune_refusals, 2)
    found = await store.read(access_rows.refusals, 50)
    assert [(each.person, each.count) for each in found.lines] == [("telegram:0", 2), ("telegram:2", 1)]
    assert [(code, count) for code, count, _ in found.by_code] == [("stranger", 3)]


async def test_a_request_waits_for_an_hour(store: Store, clock: Clock) -> None:
    """One that nobody decided in time may be made again; one that was denied stays denied."""

    async def ask() -> AccessRequest:
        update = await store.store_raw(CHANNEL, mint("event"), b"{}")
        assert update is not None
        question = AskOwner(kind="person", groups=(MAIN,), zone_name="UTC")
        words = {"group_id": None, "end_reason": "a stranger", "notice": "no", "refusal": "stranger"}
        await store.write(partial(request_rows.file_and_ask, **words), update.raw_id, said(), question)  # type: ignore[arg-type]
        return (await store.read(access_rows.requests))[0]

    first = await ask()
    assert (await ask()).code == first.code
    assert len(await store.read(access_rows.waiting_of, first.code)) == 2
    clock.now += access_rows.REQUEST_LIFE["person"]
    assert await store.read(access_rows.requests) == ()
    assert await store.read(access_rows.request_by_code, first.code) is None
    assert await store.write(access_rows.has_room, "person")
    request = await ask()
    word = {"is_yes": False, "remember": None, "edited": None, "because": "", "zone_name": "UTC"}
    await store.write(partial(decision_rows.decide, **word), request.code, "cli")  # type: ignore[arg-type]
    clock.now += access_rows.REQUEST_LIFE["person"]
    assert [each.state for each in await store.read(access_rows.requests)] == ["denied"]
