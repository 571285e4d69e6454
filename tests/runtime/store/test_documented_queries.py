"""docs/store.md: each of its queries runs, and nothing of the store that people read is missing in it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from protocol.ids import ChatKey, FileId, PersonKey, TaskId
from protocol.link import Ask
from protocol.message import OutboundMessage
from protocol.task import TaskResult, TaskStatus
from runtime.approvals.constraint_terms import ConstraintSettings
from runtime.approvals.records import NewApproval, Scope
from runtime.approvals.reviews import ReviewRule
from runtime.delegation.records import DelegationRequest, HandedFile
from runtime.journal import JournalKind
from runtime.people.records import Destination
from runtime.schedules.calendar import ByCron
from runtime.schedules.cron import parse_cron
from runtime.schedules.decisions import DuePlan
from runtime.schedules.records import NewSchedule, PlannedRun, ScheduleText
from runtime.spaces.look import Look, Seen
from runtime.store import (
    access_rows,
    approval_rows,
    archive_rows,
    constraint_rows,
    decision_rows,
    delegation_rows,
    forget_rows,
    history_rows,
    hold_rows,
    model_rows,
    move_rows,
    schedule_rows,
    send_rows,
    space_rows,
    taint_rows,
    usage_rows,
)
from runtime.store.pause_rows import pause
from runtime.store.question_rows import ask
from runtime.store.records import Binding, MessageState
from runtime.store.store import Store, open_store
from runtime.store.submission_rows import take_in
from runtime.submission import NewSubmission
from tests.runtime.store.support import ANNA, CHANNEL, CHAT, MAIN, REPLY, answered, claimed, filed, running, said, used

PAGE = (Path(__file__).parents[3] / "docs" / "store.md").read_text("utf-8")
BOB = PersonKey("telegram:8")
QUERIES = re.findall(r"^```sql\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A store in which something of everything has happened."""
    async with open_store(tmp_path) as store:
        await store.save_person(ANNA, "Anna", "owner", "cli")
        await store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN))
        destination = Destination(group_id=MAIN, name="team", chat=CHAT)
        await store.write(access_rows.save_destination, destination)
        await store.write(access_rows.count_refusal, ANNA, CHAT, "rate")
        await store.write(usage_rows.put_use, [used("2026-01-31")])
        await answered(store)
        failed = await running(store)
        result = TaskResult(status=TaskStatus.FAILED, code="agent_crashed", reason="It crashed.")
        await store.finish_task(failed.task.task_id, result, message_state=MessageState.DEAD)
        await claimed(store)
        await filed(store, said(), MessageState.REFUSED, None)
        await store.put_outbound("notice", OutboundMessage(chat=CHAT, text="x"))
        update = await store.store_raw(CHANNEL, "dead", b"?")
        assert update is not None
        await store.file_dead_letter(update.raw_id, "no such kind")
        await schedule_and_delegation(store)
        await waiting_work(store)
        await decisions(store)
        await store.write(history_rows.add_snapshot, failed.task.task_id, MAIN, "0" * 64, "")
        await store.write(space_rows.enter, "notes", failed.task.task_id, True)
        await store.write(space_rows.note, "notes", Look((Seen("plan.md", "", "0" * 64, 7),), (), ()))
        await filed(store, said(person=BOB, chat=ChatKey("telegram:8")), MessageState.REFUSED, None)
        await store.write(forget_rows.forget, (BOB,))
        await store.write(model_rows.choose_model, MAIN, CHAT, "anthropic/some", "cli")
        await archived_conversation(store)
        update = await store.store_raw(CHANNEL, "moved", b"?")
        assert update is not None
        await store.write(move_rows.move_chat, update.raw_id, ChatKey("telegram:-5"), ChatKey("telegram:-1005"))
    return tmp_path / "store.db"


async def archived_conversation(store: Store) -> None:
    """A conversation that has ended and is packed."""
    chat = ChatKey("telegram:300")
    message = await filed(store, said(chat=chat))
    assert message.session_id is not None
    claim = await store.claim_messages([message.message_id])
    await store.finish_task(claim.task.task_id, REPLY)
    await store.new_session(MAIN, chat)
    texts = await store.read(archive_rows.texts_of, message.session_id)
    assert await store.write(archive_rows.archive, MAIN, message.session_id, texts, archive_rows.pack(texts))


async def decisions(store: Store) -> None:
    """Questions, one of them decided for longer, an output that waits, a task that read the web, added policy."""
    new = NewApproval(kind="tool", group_id=MAIN, payload={"n": 1}, summary="A tool.")
    await store.write(approval_rows.ask, new, "UTC")
    asked = await store.write(approval_rows.ask, replace(new, payload={"n": 2}), "UTC")
    word = {"is_yes": True, "remember": Scope(until="always"), "edited": None, "because": "", "zone_name": "UTC"}
    await store.write(partial(decision_rows.decide, **word), asked.approval_id, "cli")  # type: ignore[arg-type]
    rule = ReviewRule(group_id=MAIN, mode="copilot", who="owner", quorum=1, deadline_s=60, sample_percent=0, zone="UTC")
    await store.write(hold_rows.set_review_rules, (rule,))
    elsewhere = OutboundMessage(chat=ChatKey("telegram:900"), text="x")
    (task, *_) = await store.running_tasks()
    assert await store.put_outbound("held", elsewhere, task.task_id)
    send = partial(send_rows.send, kind="text", message=elsewhere, outbox_key="sent")
    await store.write(send, task.task_id, MAIN, "call_s")
    await store.write(taint_rows.mark, task.task_id, "web", "example.org")
    await store.write(constraint_rows.add, MAIN, ConstraintSettings(host="mail.example.org"), "cli")
    await store.write(constraint_rows.set_mounts, {(MAIN, "notes")}, lambda _: "file")


async def waiting_work(store: Store) -> None:
    """A submission that waits, a task with a question, and a group that is held back."""
    await store.write(take_in, NewSubmission(submitter="cli", group_id=MAIN, prompt="count"))
    (task, *_) = await store.running_tasks()
    await store.write(ask, task.task_id, Ask(call_id="call_1", kind="approval", text="May I?"))
    await store.write(pause, MAIN, "person", "it is being mended", "cli")


async def schedule_and_delegation(store: Store) -> None:
    """A schedule with a run, and an agent that asks another and hands it a file."""
    new = NewSchedule(
        group_id=MAIN,
        chat=CHAT,
        timing=ByCron(cron=parse_cron("0 8 * * *")),
        zone="UTC",
        text=ScheduleText(prompt="Good morning"),
        made_by="cli",
        subject=MAIN,
    )
    due = datetime(2026, 1, 31, 8, tzinfo=UTC)
    made = await store.write(schedule_rows.add_schedule, new, due)
    assert made is not None
    run = PlannedRun(due_at=due, start_at=due, origin="due", state="waiting")
    await store.write(schedule_rows.take_due, made, DuePlan(runs=(run,), next_due_at=due + timedelta(days=1)))
    request = DelegationRequest(to="side", prompt="Look this up")
    asked = partial(delegation_rows.add_delegation, from_group=MAIN, from_task=TaskId("task_a"), call_id="c")
    await store.write(asked, ancestors=(MAIN,), request=request)
    file = HandedFile(task_id=TaskId("task_a"), call_id="f", file_id=FileId("file_a"), name="a.txt", size_bytes=1)
    await store.write(delegation_rows.add_handed_file, file, MAIN)
    await store.write(schedule_rows.set_person_zone, ANNA, "Europe/Berlin")


@pytest.mark.parametrize("query", QUERIES)
def test_a_documented_query_runs(query: str, file: Path) -> None:
    """The query gives rows on a store in which things happened (the one about a task: for a task that is there)."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        (task_id,) = connection.execute("SELECT task_id FROM v_tasks LIMIT 1").fetchone()
        assert connection.execute(query.replace("task_…", task_id)).fetchall()


def test_every_view_and_its_columns_are_documented(file: Path) -> None:
    """Each view has its part of the page, in which each of its columns is named."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")]
        for name in names:
            parts = [part for part in PAGE.split("\n### ") if f"`{name}`" in part.partition("\n")[0]]
            assert len(parts) == 1, name
            columns = [row[0] for row in connection.execute(f"SELECT * FROM {name}").description]
            assert [column for column in columns if f"`{column}`" not in parts[0]] == [], name


def test_every_kind_of_entry_and_state_is_documented() -> None:
    """Whatever stands in the journal's `kind` or a message's `state` is explained."""
    words = [*JournalKind, *MessageState, *TaskStatus]
    assert [word.value for word in words if f"`{word.value}`" not in PAGE] == []
