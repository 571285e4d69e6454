"""Forgetting a person: their words and names are nowhere in the home any more, and everything else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey
from protocol.message import OutboundMessage
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import ToolCall
from runtime.approvals.approvals import Approvals
from runtime.approvals.records import NewApproval, Scope
from runtime.delegation.records import DelegationRequest
from runtime.history.history import Histories
from runtime.lasting.forget import ForgetDesk
from runtime.recall.index import RecallIndex
from runtime.refusal import OperationRefused
from runtime.store import approval_rows, delegation_rows, submission_rows
from runtime.store.blank import blank_body
from runtime.store.records import Binding, MessageState
from runtime.submission import NewSubmission
from tests.runtime.host_bench import MAIN, HostBench, ScriptedAgent, open_bench, said

ANNA = PersonKey("stage:anna-1729")
CANARY = "zebra-canary"
CALL = ToolCall(call_id="call_1", name="shell", arguments={"command": f"echo {CANARY}"})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        yield opened


async def repeat(agent: ScriptedAgent) -> None:
    """Use everything that was said in a tool, a file and the answer."""
    await agent.turn(0, f"they said {CANARY}", CALL)
    await agent.tool_started(1, CALL)
    await agent.tool_finished(2, CALL, f"{CANARY}!")
    await agent.send_file("call_2", f"{CANARY}.txt", CANARY.encode())
    await agent.answer(3, f"You said {CANARY}")


async def say(bench: HostBench, text: str, person: PersonKey, chat: str) -> None:
    inbound = said(text, chat=chat, person=person)
    update = await bench.store.store_raw(inbound.channel_id, inbound.event_id, json.dumps({"text": text}).encode())
    assert update is not None
    await bench.store.save_person(person, f"name of {person}", "member", "cli")
    filed = await bench.store.file_message(update.raw_id, inbound, state=MessageState.QUEUED, group_id=MAIN)
    bench.dispatcher.arrived(filed.message)


def forget_desk(bench: HostBench) -> ForgetDesk:
    """One over the bench's home, with a search index in it."""
    index = RecallIndex(bench.home.path)

    async def drop_index() -> None:
        await asyncio.to_thread(index.drop)

    return ForgetDesk(bench.home, bench.store, Histories(bench.home, bench.store, lambda: 1 << 30), drop_index)


def found(home: Path, *words: str) -> set[str]:
    """Return which words stand in which files of a home."""
    return {
        f"{word} in {path.relative_to(home)}"
        for path in home.rglob("*")
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes()
    }


async def test_nothing_of_them_is_left(bench: HostBench) -> None:
    """After a talk with tools and files no byte of what they said, nor their key or name, is in the home; what another
    person said in the same time is."""
    bench.room.scripts = [repeat]
    async with bench.host():
        await bench.store.bind(Binding(chat=said("").chat, chat_kind="direct", group_id=MAIN))
        await say(bench, f"remember {CANARY}", ANNA, "stage:anna-chat")
        await bench.channel.texts(2)
        await bench.idle()
        await say(bench, "ostrich", PersonKey("stage:bob"), "stage:bob-chat")
        await bench.channel.texts(3)
        await bench.idle()
        words = (CANARY, "anna-1729", "anna-chat")
        assert found(bench.home.path, *words)
        receipt = await forget_desk(bench).forget(ANNA)
        assert found(bench.home.path, *words) == set()
        assert found(bench.home.path, "ostrich")
        assert (receipt.messages, receipt.tasks, receipt.files) == (1, 1, 1)
        assert receipt.is_compact
        assert [group.group_id for group in receipt.groups] == [MAIN]
        assert [person.person for person in await bench.store.people()] == ["stage:bob"]
        check = await bench.store.verify_journal()
        assert check.broken_at is None


@pytest.mark.parametrize("event_id", ["wire:1", "stage:anna-chat:1700.1", "D0-anna-1729:1700.1"])
async def test_an_update_of_theirs_that_comes_again_is_still_known(bench: HostBench, event_id: str) -> None:
    """Platforms send an event again for days; what it was called is not kept, and it is not filed anew."""
    inbound = replace(said("hi", chat="stage:anna-chat", person=ANNA), event_id=event_id)
    update = await bench.store.store_raw(inbound.channel_id, event_id, b"raw")
    assert update is not None
    await bench.store.save_person(ANNA, "Anna", "member", "cli")
    await bench.store.file_message(update.raw_id, inbound, state=MessageState.CONTEXT, group_id=MAIN)
    await forget_desk(bench).forget(ANNA)
    assert found(bench.home.path, event_id) == set()
    assert await bench.store.store_raw(inbound.channel_id, event_id, b"raw") is None
    assert await bench.store.store_raw(inbound.channel_id, "another", b"raw") is not None
    assert await bench.store.store_raw(ChannelId("other"), event_id, b"raw") is not None


async def test_everything_can_still_be_read(bench: HostBench) -> None:
    """What remains of their messages, tasks and answers is whole in form: lists and traces show it."""
    bench.room.scripts = [repeat]
    async with bench.host():
        await say(bench, f"remember {CANARY}", ANNA, "stage:anna-chat")
        await bench.channel.texts(2)
        await bench.idle()
        (assignment,) = bench.room.assignments
        await forget_desk(bench).forget(ANNA)
        trace = await bench.store.trace(assignment.task.task_id)
        assert trace is not None
        assert trace.task is not None
        assert trace.task.spec is not None
        assert trace.task.spec.prompt == "(forgotten)"
        (message,) = await bench.store.recent_messages()
        assert (message.inbound.text, message.inbound.sender_name) == ("(forgotten)", "")
        assert message.session_id is not None
        assert await bench.store.transcript_of(message.session_id) == ()
        assert await bench.store.steps_of(assignment.task.task_id)
        assert await bench.store.person(ANNA) is None


async def test_a_chat_of_theirs_alone_is_no_chat_any_more(bench: HostBench) -> None:
    """What the host said there of its own goes, and its binding: an alarm would be sent to a chat that has no name."""
    bench.room.scripts = [repeat]
    async with bench.host():
        await bench.store.bind(Binding(chat=ChatKey("stage:anna-chat"), chat_kind="direct", group_id=MAIN))
        await bench.store.bind(Binding(chat=ChatKey("stage:bob-chat"), chat_kind="direct", group_id=MAIN))
        await say(bench, "hello", ANNA, "stage:anna-chat")
        await bench.channel.texts(2)
        await bench.idle()
        notice = OutboundMessage(chat=ChatKey("stage:anna-chat"), text=f"a schedule failed: {CANARY}")
        await bench.store.put_outbound("notice", notice)
        await forget_desk(bench).forget(ANNA)
        assert found(bench.home.path, CANARY, "anna-chat") == set()
        assert [binding.chat for binding in await bench.store.bindings()] == ["stage:bob-chat"]


async def test_work_under_way_is_not_cut_off(bench: HostBench) -> None:
    """While a message of theirs waits or is being answered, nothing is destroyed, and they are told how to end it."""

    async def hang(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.wait_for_stop()

    bench.room.scripts = [hang]
    async with bench.host() as dispatcher:
        await say(bench, CANARY, ANNA, "stage:anna-chat")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        with pytest.raises(OperationRefused, match="under way") as refused:
            await forget_desk(bench).forget(ANNA)
        assert refused.value.mend.startswith("./nightyard stop --task task_")
        await dispatcher.stop_chat(said("", chat="stage:anna-chat").chat, "enough")


async def test_nobody_is_told_of(bench: HostBench) -> None:
    """A person of whom nothing is known is refused by their key."""
    with pytest.raises(OperationRefused, match="nothing is known of 'stage:nobody'"):
        await forget_desk(bench).forget(PersonKey("stage:nobody"))


async def test_only_a_digest_is_kept(bench: HostBench) -> None:
    """What says that somebody was forgotten does not say who."""
    async with bench.host():
        await say(bench, "hi", ANNA, "stage:anna-chat")
        await bench.channel.texts(1)
        await bench.idle()
        await forget_desk(bench).forget(ANNA)
    with contextlib.closing(sqlite3.connect(bench.home.store)) as connection:
        ((digests, receipt),) = connection.execute("SELECT digests, receipt FROM forgotten").fetchall()
    assert len(json.loads(digests)[0]) == 64
    assert json.loads(receipt)["messages"] == 1


@pytest.mark.parametrize(
    ("body", "blank"),
    [
        (
            '{"text":"x","kind":"message","sender_name":"y","size":3}',
            '{"text":"(forgotten)","kind":"message","sender_name":"","size":3}',
        ),
        (
            '{"calls":[{"call_id":"c","name":"shell","arguments":{"a":"x"}}]}',
            '{"calls":[{"call_id":"c","name":"","arguments":{}}]}',
        ),
        ('{"result_schema":{"title":"x"}}', '{"result_schema":null}'),
        ("no json", "(forgotten)"),
        ('"x"', '"(forgotten)"'),
    ],
)
def test_words_go_and_shape_stays(body: str, blank: str) -> None:
    """Texts of people and agents are taken out; ids, kinds and numbers stay."""
    assert blank_body(body) == blank


def test_group_names_are_no_persons() -> None:
    """A group's name is the owner's own and stays."""
    assert blank_body(json.dumps({"group_id": GroupId("main")})) == '{"group_id":"main"}'


async def test_what_other_agents_were_asked_goes_too(bench: HostBench) -> None:
    """A task that one of their tasks handed to another agent is theirs as well: request, task and answer."""
    store = bench.store
    async with bench.host():
        await say(bench, f"remember {CANARY}", ANNA, "stage:anna-chat")
        await bench.channel.texts(1)
        await bench.idle()
        (assignment,) = bench.room.assignments
        request = DelegationRequest(to="side", prompt=f"what is a {CANARY}?")
        asked = await store.write(
            lambda transaction: delegation_rows.add_delegation(
                transaction,
                from_group=MAIN,
                from_task=assignment.task.task_id,
                call_id="c",
                ancestors=(MAIN,),
                request=request,
            )
        )
        new = NewSubmission(submitter=f"group:{MAIN}", group_id=GroupId("side"), prompt=f"what is a {CANARY}?")
        taken = await store.write(submission_rows.take_in, new)
        assert isinstance(taken, tuple)
        submission_id = taken[0].submission_id
        await store.write(delegation_rows.delegation_submitted, asked, submission_id)
        with pytest.raises(OperationRefused, match="under way"):
            await store.write(submission_rows.claim, submission_id)
            await forget_desk(bench).forget(ANNA)
        row = await store.read(submission_rows.task_of, submission_id)
        assert row is not None
        answer = TaskResult(status=TaskStatus.REPLY, text=f"a {CANARY} is a bird")
        await store.finish_task(row.task_id, answer)
        inbox = bench.home.inbox(GroupId("side"))
        inbox.mkdir(parents=True)
        for name in (f"{asked.delegation_id}-there-0.txt", f"{submission_id}.txt"):  # handed over; a long request
            (inbox / name).write_text(CANARY)
        (inbox / "other.txt").write_text("Bob's")
        receipt = await forget_desk(bench).forget(ANNA)
        assert (receipt.tasks, receipt.files) == (2, 2)
        assert [path.name for path in inbox.iterdir()] == ["other.txt"]
        assert found(bench.home.path, CANARY) == set()


async def test_what_others_were_shown_to_decide_on_goes_too(bench: HostBench) -> None:
    """Cards about their tasks stand in owners' chats, their key in longer keys and in sentences: all of it goes, and
    another whose key begins with theirs keeps it."""
    other = PersonKey(f"{ANNA}0")
    for owner in (PersonKey("stage:olga"), other):
        await bench.store.save_person(owner, "Olga", "owner", "cli")
        inbound = said("hello", chat=f"{owner}-chat", person=owner)
        update = await bench.store.store_raw(inbound.channel_id, inbound.event_id, b"raw")
        assert update is not None
        await bench.store.file_message(update.raw_id, inbound, state=MessageState.CONTEXT, group_id=MAIN)
    approvals = Approvals(
        bench.store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda _: bench.home.path
    )
    async with bench.host():
        bench.room.scripts = [repeat]
        await say(bench, CANARY, ANNA, "stage:anna-chat")
        await bench.channel.texts(2)
        await bench.idle()
        task_id = bench.room.assignments[0].task.task_id
        new = NewApproval(
            kind="tool", group_id=MAIN, task_id=task_id, payload={"command": CANARY}, summary=f"{ANNA} asks"
        )
        asked = await approvals.ask(new)
        await approvals.decide(asked.approval_id, other, is_yes=True, remember=Scope(word="exact", until="day"))
        again = await approvals.ask(replace(new, summary="again"))
        assert again.is_approved
        assert await bench.store.read(approval_rows.chats_of, asked.approval_id)
        await bench.store.put_outbound(
            f"notice:{ANNA}:1", OutboundMessage(chat=ChatKey("stage:olga-chat"), text=f"`{ANNA}` is new; {other} knows")
        )
        await bench.idle()
        await forget_desk(bench).forget(ANNA)
        assert found(bench.home.path, CANARY) == set()
    with contextlib.closing(sqlite3.connect(bench.home.path / "store.db")) as connection:
        bodies = [row[0] for row in connection.execute("SELECT body FROM payloads WHERE instr(body, 'is new') > 0")]
        keys = [row[0] for row in connection.execute("SELECT idempotency_key FROM outbox")]
    assert len(bodies) == 1 and f"{other} knows" in bodies[0] and f"`{ANNA}`" not in bodies[0]
    assert not any(f":{ANNA}:" in key for key in keys)
