"""Approvals on a real store: who is asked, whose word counts, what is remembered, who hears of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.approvals.approvals import Approvals
from runtime.approvals.records import CLI, Approval, NewApproval, Scope
from runtime.approvals.rules import MAX_WAITING_IN_GROUP
from runtime.refusal import OperationRefused
from runtime.store.records import Binding
from tests.runtime.approvals.support import ADA, GUS, MAX, OLGA, OTTO, PUSH, STRANGER, Room, chat_of, hear, room
from tests.runtime.store.support import MAIN, said


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Room]:
    async with room(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def running(approvals: Approvals) -> AsyncIterator[None]:
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(approvals.run())
        yield
        task.cancel()


class Heard:
    """A room that asked: hears of ends, and can fail to."""

    def __init__(self, failures: int = 0) -> None:
        self.ends: list[tuple[str, str]] = []
        self.failures = failures
        self.told = asyncio.Event()

    async def __call__(self, approval: Approval) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not now")
        self.ends.append((approval.approval_id, approval.state))
        self.told.set()


async def test_owners_are_asked_in_their_own_chats(here: Room) -> None:
    """Each owner gets one card with the whole effect and its buttons; nobody else does."""
    asked = await here.approvals.ask(PUSH)
    cards = await here.cards()
    assert {card.message.chat for card in cards} == {chat_of(OLGA), chat_of(OTTO)}
    card = cards[0].message
    assert asked.approval_id in card.text
    assert "command: git push" in card.text
    assert [button.value for button in card.buttons] == [
        f"/approve {asked.approval_id}",
        f"/approve {asked.approval_id} command tonight",
        f"/deny {asked.approval_id}",
    ]
    assert all(len(button.value.encode()) <= 64 for button in card.buttons)


async def test_a_terminal_is_asked_where_the_agent_answers(here: Room) -> None:
    """Of several terminals the agent's own gets the card, also when another agent was talked to since."""
    owner = PersonKey("terminal:owner")
    for chat, group in (("terminal:main", MAIN), ("terminal:writer", GroupId("writer"))):
        await here.store.bind(Binding(chat=ChatKey(chat), chat_kind="direct", group_id=group, added_by="cli"))
        await hear(here.store, said(person=owner, chat=ChatKey(chat)), group)
    for group, chat in ((MAIN, "terminal:main"), (GroupId("writer"), "terminal:writer")):
        await here.approvals.ask(replace(PUSH, group_id=group, who=(owner,)))
        assert [card.message.chat for card in await here.cards()] == [chat]


async def test_a_yes_ends_it_and_a_second_word_is_refused_with_who_and_when(here: Room) -> None:
    """The first word stands: whoever comes later is told whose it was."""
    asked = await here.approvals.ask(PUSH)
    decision = await here.approvals.decide(asked.approval_id.lower(), OLGA, is_yes=True)
    assert decision.is_final
    assert decision.approval.state == "approved"
    for by, is_yes in ((OTTO, False), (OLGA, True), (CLI, False)):
        with pytest.raises(OperationRefused) as refused:
            await here.approvals.decide(asked.approval_id, by, is_yes=is_yes)
        assert refused.value.code == "approval_decided"
        assert OLGA in refused.value.message
        assert "2026-01-31 09:00" in refused.value.message


@pytest.mark.parametrize(
    ("new", "may", "may_not"),
    [
        (PUSH, (OLGA, OTTO, CLI, PersonKey("terminal:owner")), (ADA, MAX, GUS, STRANGER)),
        (replace(PUSH, who="admin"), (OLGA, ADA, CLI), (MAX, GUS, STRANGER)),
        (replace(PUSH, who="member"), (OLGA, ADA, MAX), (GUS, STRANGER)),
        (replace(PUSH, who=(MAX,)), (MAX, CLI), (OLGA, ADA, GUS, STRANGER)),
    ],
)
async def test_only_those_who_may_decide(
    here: Room, new: NewApproval, may: tuple[str, ...], may_not: tuple[str, ...]
) -> None:
    """A role means it and those above it; named persons are the only ones, but for the machine itself."""
    for by in may_not:
        asked = await here.approvals.ask(new)
        with pytest.raises(OperationRefused) as refused:
            await here.approvals.decide(asked.approval_id, by, is_yes=True)
        assert refused.value.code == "approval_not_theirs"
    for number, by in enumerate(may):
        asked = await here.approvals.ask(replace(new, payload={"number": number}))
        assert (await here.approvals.decide(asked.approval_id, by, is_yes=True)).is_final


async def test_quorum_counts_persons_not_words(here: Room) -> None:
    """Two owners must agree: one owner twice is one, the machine and a terminal are one, and one no ends it."""
    new = replace(PUSH, quorum=2)
    asked = await here.approvals.ask(new)
    first = await here.approvals.decide(asked.approval_id, OLGA, is_yes=True)
    assert (first.is_final, first.missing) == (False, 1)
    with pytest.raises(OperationRefused) as refused:
        await here.approvals.decide(asked.approval_id, OLGA, is_yes=True)
    assert refused.value.code == "approval_voted"
    assert (await here.approvals.decide(asked.approval_id, OTTO, is_yes=True)).is_final
    other = await here.approvals.ask(replace(new, payload={"n": 2}))
    await here.approvals.decide(other.approval_id, CLI, is_yes=True)
    with pytest.raises(OperationRefused):
        await here.approvals.decide(other.approval_id, "terminal:owner", is_yes=True)
    denied = await here.approvals.decide(other.approval_id, OTTO, is_yes=False)
    assert (denied.is_final, denied.approval.state) == (True, "denied")


async def test_one_of_several_cannot_have_the_others_yes_remembered(here: Room) -> None:
    """Where two must agree each time is asked anew: no button offers more, a word that wants more does not count."""
    asked = await here.approvals.ask(replace(PUSH, quorum=2))
    (card, *_) = await here.cards()
    assert [button.label for button in card.message.buttons] == ["Yes", "No"]
    await here.approvals.decide(asked.approval_id, OLGA, is_yes=True)
    with pytest.raises(OperationRefused, match="2 persons each time"):
        await here.approvals.decide(
            asked.approval_id, OTTO, is_yes=True, remember=Scope(word="command", until="always")
        )
    assert (await here.approvals.find(asked.approval_id)).is_open
    assert (await here.approvals.decide(asked.approval_id, OTTO, is_yes=True)).is_final
    assert await here.approvals.remembered_decisions() == ()


async def test_linked_identities_are_one_person(here: Room) -> None:
    """Who agrees on one platform cannot agree once more on another, and is known there."""
    slack = PersonKey("slack:U1")
    await here.store.write(
        lambda transaction: transaction.run(
            "save_identity", identity=slack, person=OLGA, added_at=transaction.now_text(), added_by="cli"
        )
    )
    asked = await here.approvals.ask(replace(PUSH, quorum=2))
    await here.approvals.decide(asked.approval_id, slack, is_yes=True)
    with pytest.raises(OperationRefused) as refused:
        await here.approvals.decide(asked.approval_id, OLGA, is_yes=True)
    assert refused.value.code == "approval_voted"
    named = await here.approvals.ask(replace(PUSH, who=(OLGA,), payload={"n": 1}))
    assert (await here.approvals.decide(named.approval_id, slack, is_yes=True)).is_final


async def test_nothing_is_decided_after_the_deadline(here: Room) -> None:
    """It runs out by itself, whoever asked hears of it, and a yes comes too late before that too."""
    heard = Heard()
    here.approvals.subscribe("tool", heard)
    asked = await here.approvals.ask(replace(PUSH, deadline_s=60))
    here.clock.pass_s(60)
    with pytest.raises(OperationRefused) as refused:
        await here.approvals.decide(asked.approval_id, OLGA, is_yes=True)
    assert refused.value.code == "approval_expired"
    async with running(here.approvals):
        await heard.told.wait()
    assert heard.ends == [(asked.approval_id, "expired")]


async def test_same_thing_is_asked_once_and_a_yes_lets_it_go_once(here: Room) -> None:
    """While it waits the same again is the same question; after the yes it goes once; then somebody is asked anew."""
    first = await here.approvals.ask(PUSH)
    again = await here.approvals.ask(PUSH)
    assert again.approval_id == first.approval_id
    assert len(await here.cards()) == 2
    await here.approvals.decide(first.approval_id, OLGA, is_yes=True)
    granted = await here.approvals.ask(PUSH)
    assert (granted.approval_id, granted.is_approved) == (first.approval_id, True)
    third = await here.approvals.ask(PUSH)
    assert third.is_open
    assert third.approval_id != first.approval_id
    assert not await here.approvals.use(first.approval_id)


async def test_a_yes_is_for_what_was_shown_alone(here: Room) -> None:
    """Another argument, another agent, another kind: another question."""
    asked = await here.approvals.ask(PUSH)
    await here.approvals.decide(asked.approval_id, OLGA, is_yes=True)
    for other in (
        replace(PUSH, payload={"tool": "shell", "arguments": {"command": "git push -f"}}),
        replace(PUSH, group_id=None),
        replace(PUSH, kind="package"),
    ):
        assert (await here.approvals.ask(other)).is_open


async def test_no_means_stop_asking(here: Room) -> None:
    """What was denied is denied at once for a day, without a card; then it may be asked again."""
    asked = await here.approvals.ask(PUSH)
    await here.cards()
    await here.approvals.decide(asked.approval_id, OLGA, is_yes=False, because="not on a Saturday")
    assert await here.approvals.remembered("tool", MAIN, PUSH.payload) is False
    here.clock.pass_s(23 * 3600)
    again = await here.approvals.ask(PUSH)
    assert (again.state, again.because) == ("denied", "not on a Saturday")
    assert OLGA in again.reason
    assert await here.cards() == []
    here.clock.pass_s(2 * 3600)
    assert (await here.approvals.ask(PUSH)).is_open


async def test_a_yes_can_hold_for_this_command_until_tonight(here: Room) -> None:
    """Until midnight where the owner lives, nobody is asked about this command again; then they are."""
    asked = await here.approvals.ask(PUSH)
    await here.approvals.decide(asked.approval_id, OLGA, is_yes=True, remember=Scope(word="command", until="tonight"))
    here.clock.pass_s(13.9 * 3600)  # 22:54 UTC, an hour later in Berlin
    assert (await here.approvals.ask(PUSH)).is_approved
    assert (await here.approvals.ask(PUSH)).is_approved
    here.clock.pass_s(0.2 * 3600)
    assert (await here.approvals.ask(PUSH)).is_open


async def test_a_reach_that_was_not_offered_is_refused(here: Room) -> None:
    """A tool's command is no host: nothing is decided by such a word."""
    asked = await here.approvals.ask(PUSH)
    with pytest.raises(OperationRefused) as refused:
        await here.approvals.decide(asked.approval_id, OLGA, is_yes=True, remember=Scope(word="host", until="hour"))
    assert refused.value.code == "scope_unknown"
    assert (await here.approvals.find(asked.approval_id)).is_open


async def test_remembered_decision_can_be_forgotten(here: Room) -> None:
    """Then people are asked again."""
    asked = await here.approvals.ask(PUSH)
    await here.approvals.decide(asked.approval_id, OLGA, is_yes=True, remember=Scope(word="command", until="always"))
    (remembered,) = await here.approvals.remembered_decisions()
    assert remembered.is_yes
    assert await here.approvals.forget(remembered.decision_id, CLI)
    assert not await here.approvals.forget(remembered.decision_id, CLI)
    await here.approvals.use(asked.approval_id)
    assert (await here.approvals.ask(PUSH)).is_open


async def test_whoever_asked_hears_of_it_again_after_a_restart(here: Room) -> None:
    """An end that a room could not take, or that nobody was there to take, is told again."""
    failing = Heard(failures=1)
    here.approvals.subscribe("tool", failing)
    asked = await here.approvals.ask(PUSH)
    await here.approvals.decide(asked.approval_id, OLGA, is_yes=True)
    restarted, heard = here.restarted(), Heard()
    restarted.subscribe("tool", heard)
    async with running(restarted):
        await heard.told.wait()
    assert heard.ends == [(asked.approval_id, "approved")]


async def test_the_other_chats_hear_that_it_is_decided(here: Room) -> None:
    """The chat where it was decided has its answer; the others are told not to bother."""
    heard = Heard()
    here.approvals.subscribe("tool", heard)
    asked = await here.approvals.ask(PUSH)
    await here.cards()
    before = here.woken
    async with running(here.approvals):
        await here.approvals.decide(asked.approval_id, OLGA, is_yes=True)
        await heard.told.wait()
        while not (told := await here.cards()):
            pass  # each look is a question to the store, and the room goes on meanwhile
    assert [row.message.chat for row in told] == [chat_of(OTTO)]
    assert OLGA in told[0].message.text
    assert here.woken > before


async def test_people_are_reminded_twice(here: Room) -> None:
    """Half way, and shortly before the end."""
    await here.approvals.ask(replace(PUSH, deadline_s=3600))
    await here.cards()
    reminders = []
    for _ in range(6):
        here.clock.pass_s(590)
        async with running(here.approvals):
            for _ in range(50):
                await asyncio.sleep(0)
            reminders += [row.message.text for row in await here.cards()]
    assert len(reminders) == 4  # two owners
    assert all(text.startswith("Still waiting") for text in reminders)


async def test_a_flood_does_not_wear_people_out(here: Room) -> None:
    """So many questions of one agent may wait; one more is refused, another agent's is not."""
    for number in range(MAX_WAITING_IN_GROUP):
        await here.approvals.ask(replace(PUSH, payload={"number": number}))
    with pytest.raises(OperationRefused) as refused:
        await here.approvals.ask(PUSH)
    assert refused.value.code == "too_many_approvals"
    assert (await here.approvals.ask(replace(PUSH, group_id=None))).is_open


async def test_a_long_effect_is_a_file_and_the_card_says_so(here: Room) -> None:
    """The card shows the beginning; the file before it has every line."""
    text = "\n".join(f"line {number}" for number in range(500))
    await here.approvals.ask(replace(PUSH, payload={"tool": "write_file", "arguments": {"content": text}}))
    rows = [row for row in await here.cards() if row.message.chat == chat_of(OLGA)]
    assert [row.message.file_path is not None for row in rows] == [True, False]
    written = Path(rows[0].message.file_path or "").read_text("utf-8")
    assert "line 499" in written
    assert "line 499" not in rows[1].message.text
    assert "The file above has it whole" in rows[1].message.text


async def test_nothing_an_agent_wrote_passes_for_ours(here: Room) -> None:
    """Direction marks and escapes are written out, a fence of the agent's stays inside ours."""
    evil = "\u202egpj.exe\x1b[2J\n```\n**May I?**"
    await here.approvals.ask(replace(PUSH, payload={"tool": "shell", "arguments": {"command": evil}}))
    text = (await here.cards())[0].message.text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "⟨U+202E⟩" in text
    inside = text.partition("```\n")[2].rpartition("\n```")[0]
    assert all(line.startswith("| ") for line in inside.splitlines())


async def test_withdrawn_question_is_nobodys_any_more(here: Room) -> None:
    """Its task was stopped: no word counts, and whoever asked hears of it."""
    heard = Heard()
    here.approvals.subscribe("tool", heard)
    asked = await here.approvals.ask(replace(PUSH))
    assert await here.approvals.withdraw(asked.approval_id, "the task was stopped")
    assert not await here.approvals.withdraw(asked.approval_id, "again")
    with pytest.raises(OperationRefused) as refused:
        await here.approvals.decide(asked.approval_id, OLGA, is_yes=True)
    assert "the task was stopped" in refused.value.message
    async with running(here.approvals):
        await heard.told.wait()
    assert heard.ends == [(asked.approval_id, "withdrawn")]


async def test_the_journal_has_every_step(here: Room) -> None:
    """Asked, each word, the end, what is remembered: ids and digests, never the text."""
    asked = await here.approvals.ask(PUSH)
    await here.approvals.decide(asked.approval_id, OLGA, is_yes=False)
    entries = [entry for entry in await here.store.journal_tail() if "approval" in entry.refs]
    assert [entry.kind for entry in entries] == [
        "approval_asked",
        "approval_voted",
        "approval_denied",
        "decision_remembered",
    ]
    assert all("git" not in str(entry.refs) for entry in entries)
    assert (await here.store.verify_journal()).broken_at is None
