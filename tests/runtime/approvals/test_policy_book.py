"""Policy: constraints as people write them, what the store is told of them, modes and mounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import ChatKey, GroupId
from protocol.task import TaskResult, TaskStatus
from runtime.approvals.constraint_terms import (
    MAX_CONSTRAINTS,
    build_constraint,
    constraint_text,
    parse_constraint,
    why_wrong,
)
from runtime.approvals.policy_book import PolicyBook
from runtime.approvals.records import CLI
from runtime.config import ParsedSettings, parse_settings
from runtime.group import Groups
from runtime.group_reading import build_group, sort_groups
from runtime.people.records import Destination
from runtime.refusal import OperationRefused
from runtime.store import access_rows, forget_rows, hold_rows
from tests.runtime.approvals.support import MAX, Room, room
from tests.runtime.store.support import MAIN, claimed, reply

SIDE = GroupId("side")
TEAM = ChatKey("telegram:900")
OTHER = ChatKey("telegram:901")
DONE = TaskResult(status=TaskStatus.REPLY, text="x")


def groups(**texts: str) -> Groups:
    """Return groups as their group.yaml says."""
    parsed: ParsedSettings = parse_settings("")
    built = {GroupId(name): build_group(GroupId(name), text, "", parsed.settings) for name, text in texts.items()}
    return sort_groups(built, parsed)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Room]:
    async with room(tmp_path) as made:
        yield made


async def book_of(here: Room, **texts: str) -> PolicyBook:
    book = PolicyBook(here.store, lambda: groups(**texts), lambda: "UTC")
    await book.load()
    return book


@pytest.mark.parametrize(
    ("text", "key", "told"),
    [
        ("constraints: [{then: ask}]", "constraints[0]", "exactly one"),
        ("constraints: [{tool: shell, host: a.test}]", "constraints[0]", "exactly one"),
        ("constraints: [{tool: shell, methods: [GET]}]", "constraints[0].methods", "goes with `host`"),
        ("constraints: [{host: a.test, methods: [get]}]", "constraints[0].methods", "one is 'get'"),
        ("constraints: [{host: 'https://a.test'}]", "constraints[0].host", "should be a host"),
        ("constraints: [{tool: '../x'}]", "constraints[0].tool", "a tool's name"),
        ("constraints: [{command: '* *'}]", "constraints[0].command", "besides *"),
        ("constraints: [{destination: 'A B'}]", "constraints[0].destination", "destination's name"),
        ("constraints: [{tool: shell, who: [everybody]}]", "constraints[0].who", "owner, admin, member"),
        ("constraints: [{tool: shell, who: [guest]}]", "constraints[0].who", "owner, admin, member"),
        ("constraints: [{tool: shell, who: ['t:1'], quorum: 2}]", "constraints[0].quorum", "names 1"),
        ("constraints: [{tool: shell, deadline: soon}]", "constraints[0].deadline", "10s to 30d"),
        ("constraints: [{tool: shell, then: maybe}]", "constraints[0].then", "ask, deny"),
        ("constraints: [{toool: shell}]", "constraints[0].toool", "did you mean tool"),
        ("review: {deadline: 1s}", "review.deadline", "10s to 30d"),
        ("review: {sample_percent: 101}", "review.sample_percent", "at most 100"),
        ("mode: pilot", "mode", "copilot, autonomous"),
    ],
)
def test_a_fault_suspends_the_group_and_is_named(text: str, key: str, told: str) -> None:
    """Policy that was not understood must not be taken for none: file, line, key, and what would be right."""
    found = groups(main=text)
    assert found.ready == {}
    problem = found.suspended[MAIN][0]
    assert (problem.file, problem.line, problem.key) == ("groups/main/group.yaml", 1, key)
    assert told in str(problem)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("host mail.example.org POST ask owner 1h", 'host "mail.example.org" POST: ask owner, for 1h'),
        ("host *.example.org deny", 'host "*.example.org": never'),
        ('command "git push" admin 90s', 'command "git push": ask admin, for 90s'),
        (
            "tool send_file telegram:1 telegram:2 quorum2",
            'tool "send_file": ask telegram:1 telegram:2, 2 of them, for 1h',
        ),
        ("destination family", 'destination "family": ask owner, for 1h'),
    ],
)
def test_constraints_as_they_are_typed(typed: str, text: str) -> None:
    """What is typed in a chat says the same as group.yaml, and reads back as it was meant."""
    settings = parse_constraint(typed)
    assert why_wrong(settings) is None
    assert constraint_text(build_constraint("x", settings)) == text


@given(st.text(max_size=80))
def test_any_text_is_a_constraint_or_is_refused(text: str) -> None:
    """No text breaks the parser, and what it takes is sound."""
    try:
        settings = parse_constraint(text)
    except OperationRefused as refused:
        assert refused.mend
        return
    assert why_wrong(settings) is None


def test_a_skill_in_agents_of_both_modes_suspends_them() -> None:
    """Mounting is promoting: what was tried under review must not act by itself by the same edit."""
    found = groups(main="skills: [notes]\nmode: copilot", side="skills: [notes]", third="skills: [other]")
    assert set(found.ready) == {GroupId("third")}
    for group_id in (MAIN, SIDE):
        (problem,) = [problem for problem in found.suspended[group_id] if problem.key == "skills"]
        assert "main (copilot), side (autonomous)" in problem.message
    same = groups(main="skills: [notes]\nmode: copilot", side="skills: [notes]\nmode: copilot")
    assert set(same.ready) == {MAIN, SIDE}


async def test_mounts_are_journalled_with_who_changed_them(here: Room) -> None:
    """What a start finds changed is the file's doing, what a reload finds is the command line's; no change, no row."""
    await book_of(here, main="skills: [notes]")
    await book_of(here, main="skills: [notes]")
    book = PolicyBook(here.store, lambda: groups(main="skills: [mail]", side="skills: [notes]"), lambda: "UTC")
    await book.load({None: CLI})
    entries = [entry for entry in await here.store.journal_tail() if entry.kind.startswith("skill_")]
    assert [(entry.kind, entry.refs["group"], entry.refs["skill"], entry.by) for entry in entries] == [
        ("skill_mounted", "main", "notes", "file"),
        ("skill_unmounted", "main", "notes", "cli"),
        ("skill_mounted", "main", "mail", "cli"),
        ("skill_mounted", "side", "notes", "cli"),
    ]


async def test_who_changed_a_mount_can_be_forgotten_and_the_chain_stays_whole(here: Room) -> None:
    """A person's key stands beside the journal: it goes with them, of what they mounted and of what they took out."""
    await book_of(here, main="skills: [notes]")
    book = PolicyBook(here.store, lambda: groups(main="", side="skills: [mail]"), lambda: "UTC")
    await book.load({MAIN: MAX})
    entries = [entry for entry in await here.store.journal_tail() if entry.kind.startswith("skill_")]
    assert [(entry.kind, entry.refs["group"], entry.by) for entry in entries[1:]] == [
        ("skill_unmounted", "main", MAX),
        ("skill_mounted", "side", "file"),
    ]
    await here.store.write(forget_rows.forget, (MAX,))
    entries = [entry for entry in await here.store.journal_tail() if entry.kind == "skill_unmounted"]
    assert entries[0].by.startswith("forgotten_")
    assert (await here.store.verify_journal()).broken_at is None


async def test_added_constraints_hold_beside_the_files(here: Room) -> None:
    """Over a restart too; those of the file cannot be lifted by a chat, and there is an end to their number."""
    text = "constraints: [{tool: shell}]"
    book = await book_of(here, main=text)
    made = await book.add(MAIN, parse_constraint("host a.test"), CLI)
    again = await book_of(here, main=text)
    assert [each.constraint_id for each in again.of(MAIN)] == ["group.yaml:1", made.constraint_id]
    assert [rule.host for rule in again.egress_rules(MAIN)] == ["a.test"]
    assert again.of(SIDE) == ()
    with pytest.raises(OperationRefused) as in_file:
        await again.remove(MAIN, "group.yaml:1", CLI)
    assert in_file.value.code == "constraint_in_file"
    await again.remove(MAIN, made.constraint_id, CLI)
    with pytest.raises(OperationRefused) as unknown:
        await again.remove(MAIN, made.constraint_id, CLI)
    assert unknown.value.code == "constraint_unknown"
    for number in range(MAX_CONSTRAINTS - 1):
        await again.add(MAIN, parse_constraint(f"host a{number}.test"), CLI)
    with pytest.raises(OperationRefused) as too_many:
        await again.add(MAIN, parse_constraint("host b.test"), CLI)
    assert too_many.value.code == "too_many_constraints"


async def test_a_looser_constraint_on_a_destination_does_not_replace_a_stricter_one(here: Room) -> None:
    """Two owners must agree, though somebody added a question to an admin with a shorter time."""
    text = "constraints:\n  - {destination: team, who: [owner], quorum: 2, deadline: 1h}\n"
    book = await book_of(here, main=text)
    await here.store.write(access_rows.save_destination, Destination(group_id=MAIN, name="team", chat=TEAM))
    await book.add(MAIN, parse_constraint("destination team ask admin 10m"), CLI)
    claim = await claimed(here.store)
    await here.store.finish_task(claim.task.task_id, DONE, outbound=[reply("a", chat=TEAM)])
    (waiting,) = await here.approvals.waiting()
    assert (waiting.who, waiting.quorum) == ("owner", 2)


@pytest.mark.parametrize(("terms", "state"), [("destination team", "held"), ("destination team deny", "refused")])
async def test_constraint_on_a_destination_is_the_stores(here: Room, terms: str, state: str) -> None:
    """What is said to that name waits, or is never sent, whatever room would send it; other chats are free."""
    book = await book_of(here, main="")
    await here.store.write(access_rows.save_destination, Destination(group_id=MAIN, name="team", chat=TEAM))
    await book.add(MAIN, parse_constraint(terms), CLI)
    claim = await claimed(here.store)
    await here.store.finish_task(
        claim.task.task_id, DONE, outbound=[reply("a", chat=TEAM), reply("b", chat=OTHER, step="more")]
    )
    (held,) = await here.store.read(hold_rows.held_of, claim.task.task_id)
    assert (held.message.chat, held.state) == (TEAM, state)
    cards = await here.cards()
    assert [card.message.text for card in cards if card.message.chat == OTHER] == ["b"]
    assert not [card for card in cards if card.message.chat == TEAM]
    waiting = await here.approvals.waiting()
    assert len(waiting) == (state == "held")
