"""Rows of what agents ask, and of tasks that wait for an answer without a container.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from protocol.ids import AttemptId, TaskId
from protocol.link import Answered, Ask, approval_id
from protocol.transcript import Step, ToolCall, ToolOutput
from runtime.approvals.rules import digest_of
from runtime.journal import JournalKind
from runtime.open_tool import open_tool
from runtime.store import task_rows
from runtime.store.database import Transaction, time_text
from runtime.store.errors import ClaimRefused, UnknownRow
from runtime.store.journal_rows import append
from runtime.store.outbox_rows import close_cards
from runtime.store.payload_text import from_text, to_text
from runtime.store.records import AttemptRow, Claim, TaskRow

APPROVAL = "approval"
"""The kind of a question whether a call may be made; the call itself follows a yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a tool call of a task asked."""

    task_id: TaskId
    ask: Ask
    state: Literal["open", "answered", "closed"]
    asked_at: str
    deadline_at: str
    answered_at: str | None = None
    answer: Answered | None = None


def ask(transaction: Transaction, task_id: TaskId, asked: Ask) -> Question:
    """Store a question of a running task, once for a call; return it as it stands."""
    known = question(transaction, task_id, asked.call_id)
    if known is not None:
        return known
    row = task_rows.task(transaction, task_id)
    if row is None or row.state != "running":
        raise UnknownRow("running task", task_id)
    now, payload = transaction.now(), to_text(asked)
    stored = Question(
        task_id=task_id,
        ask=asked,
        state="open",
        asked_at=time_text(now),
        deadline_at=time_text(now + timedelta(seconds=asked.timeout_s)),
    )
    transaction.run(
        "insert_question",
        task_id=task_id,
        call_id=asked.call_id,
        kind=asked.kind,
        ask_id=transaction.insert("insert_payload", subject=row.group_id, body=payload),
        asked_at=stored.asked_at,
        deadline_at=stored.deadline_at,
    )
    append(transaction, JournalKind.QUESTION_ASKED, payload, task=task_id)
    return stored


def answer(transaction: Transaction, task_id: TaskId, answered: Answered) -> bool:
    """Store the answer to an open question; False if there is none: the first answer counts."""
    known, row = question(transaction, task_id, answered.call_id), task_rows.task(transaction, task_id)
    is_wanted = row is not None and row.state in ("running", "suspended")
    if known is None or known.state != "open" or row is None or not is_wanted:
        return False
    payload = to_text(answered)
    transaction.run(
        "answer_question",
        task_id=task_id,
        call_id=answered.call_id,
        answer_id=transaction.insert("insert_payload", subject=row.group_id, body=payload),
        answered_at=transaction.now_text(),
    )
    append(transaction, JournalKind.QUESTION_ANSWERED, payload, task=task_id)
    close_cards(transaction, card_key(task_id, answered.call_id))
    return True


def card_key(task_id: TaskId, call_id: str) -> str:
    """Return the key under which a question that people are asked stands in its chat."""
    return f"{task_id}:ask:{call_id}"


def question(transaction: Transaction, task_id: TaskId, call_id: str) -> Question | None:
    row = transaction.one("question_by_call", task_id=task_id, call_id=call_id)
    return _question(row) if row else None


def questions_of(transaction: Transaction, task_id: TaskId) -> tuple[Question, ...]:
    return tuple(_question(row) for row in transaction.all("questions_of_task", task_id=task_id))


def open_questions(transaction: Transaction) -> tuple[Question, ...]:
    """Return the questions that tasks wait with, the most pressing first."""
    return tuple(_question(row) for row in transaction.all("open_questions"))


def close_questions(transaction: Transaction) -> None:
    """Forget the questions of tasks that have ended."""
    close_cards_of(transaction)
    transaction.run("close_questions")


def close_cards_of(transaction: Transaction, task_id: TaskId | None = None) -> int:
    """Take the buttons off what an ended task, or any that has, still asks people; return of how many cards."""
    rows = transaction.all("questions_to_close", task_id=task_id or "")
    return sum(close_cards(transaction, card_key(TaskId(row["task_id"]), row["call_id"])) for row in rows)


def waits_for_answer(transaction: Transaction, task_id: TaskId) -> bool:
    """Return whether a task's open tool call is a question without an answer."""
    if transaction.one("waits_for_answer", task_id=task_id) is None:
        return False
    asked = _asked_by_open_tool(transaction, task_id)
    return asked is not None and asked.state == "open"


def suspend(transaction: Transaction, task_id: TaskId, reason: str) -> bool:
    """Have a running task wait without a container, its attempt ended for `reason`; False if it does not run."""
    if not transaction.run("suspend_task", task_id=task_id):
        return False
    open_attempt = transaction.one("open_attempt_of_task", task_id=task_id)
    if open_attempt is not None:
        task_rows.attempt_ended(transaction, AttemptId(open_attempt["attempt_id"]), reason)
    append(transaction, JournalKind.TASK_SUSPENDED, task=task_id)
    return True


def suspended_tasks(transaction: Transaction) -> tuple[TaskRow, ...]:
    """Return the tasks that wait, oldest first."""
    return tuple(task_rows.read_task(row) for row in transaction.all("suspended_tasks"))


def resumable_tasks(transaction: Transaction) -> tuple[TaskRow, ...]:
    """Return the suspended tasks that have their answer, oldest first."""
    rows = suspended_tasks(transaction)
    return tuple(row for row in rows if transaction.one("waits_for_answer", task_id=row.task_id) is None)


def resume(transaction: Transaction, task_id: TaskId) -> Claim:
    """Have a suspended task go on in a new attempt, the answer among its steps. Raises ClaimRefused."""
    row = task_rows.task(transaction, task_id)
    if row is None or row.state != "suspended":
        raise ClaimRefused("it is not suspended any more")
    busy = row.session_id and transaction.one("running_task_of_session", session_id=row.session_id)
    if busy:
        raise ClaimRefused(f"its session is busy with {busy['task_id']}")
    transaction.run("resume_task", task_id=task_id)
    append(transaction, JournalKind.TASK_RESUMED, task=task_id)
    attempt = begin_attempt(transaction, task_id)
    resumed = task_rows.task(transaction, task_id)
    assert resumed is not None  # read above
    return Claim(task=resumed, attempt=attempt, messages=(), context=())


def begin_attempt(transaction: Transaction, task_id: TaskId) -> AttemptRow:
    """Add the next attempt of a running task. The answer to what an earlier one asked is its first step: nobody is
    asked again. After a yes to a call it is the agent that goes on (`approved_calls`)."""
    attempt = task_rows.begin_attempt(transaction, task_id)
    asked = _asked_by_open_tool(transaction, task_id)
    answer = asked.answer if asked is not None else None
    if asked is None or answer is None or (asked.ask.kind == APPROVAL and not answer.is_error):
        return attempt
    call_id = asked.ask.call_id.removesuffix(approval_id("")) if asked.ask.kind == APPROVAL else asked.ask.call_id
    output = ToolOutput(call_id=call_id, text=answer.answer, is_error=answer.is_error)
    index = task_rows.next_step_index(transaction, task_id)
    task_rows.insert_step(transaction, attempt, Step(index=index, kind="tool_finished", output=output))
    return attempt


def approved_calls(transaction: Transaction, task_id: TaskId, number: int) -> tuple[str, ...]:
    """Return the call that the attempt of this number begins with: a person has said yes to exactly it, and no agent
    had heard of that when its attempt ended, so that nobody can have made it."""
    asked, call = _asked_by_open_tool(transaction, task_id), _open_call(transaction, task_id)
    if asked is None or call is None or asked.ask.kind != APPROVAL or not is_yes_to(asked, call):
        return ()
    heard = any(
        attempt.number < number and attempt.door_id is not None and (attempt.ended_at or "~") >= str(asked.answered_at)
        for attempt in task_rows.attempts_of(transaction, task_id)
    )
    return () if heard else (call.call_id,)


def is_yes_to(asked: Question, call: ToolCall) -> bool:
    """Return whether a person has said yes to this very call: the tool, and every byte of its arguments. Whether files
    are those that were asked about is seen when they come (`asks/sending.py`)."""
    payload = asked.ask.payload
    if asked.answer is None or asked.answer.is_error or not isinstance(payload, dict):
        return False
    named = {name: value for name, value in payload.items() if name not in ("file", "files")}
    made = {"tool": call.name, "arguments": call.arguments}
    return digest_of("tool", None, named) == digest_of("tool", None, made)


def _asked_by_open_tool(transaction: Transaction, task_id: TaskId) -> Question | None:
    """Return what the open tool call asked: itself, or whether it may be made."""
    asked = {each.ask.call_id: each for each in questions_of(transaction, task_id)}
    call = _open_call(transaction, task_id) if asked else None
    return None if call is None else asked.get(call.call_id) or asked.get(approval_id(call.call_id))


def _open_call(transaction: Transaction, task_id: TaskId) -> ToolCall | None:
    tool = open_tool(task_rows.steps_of(transaction, task_id))
    return tool.call if tool is not None else None


def _question(row: sqlite3.Row) -> Question:
    return Question(
        task_id=TaskId(row["task_id"]),
        ask=from_text(Ask, row["ask"]),
        state=row["state"],
        asked_at=row["asked_at"],
        deadline_at=row["deadline_at"],
        answered_at=row["answered_at"],
        answer=from_text(Answered, row["answer"]) if row["answer"] is not None else None,
    )
