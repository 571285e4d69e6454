"""Rows of conversations as a whole: lists, taking one up again, summaries, ends by policy.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from protocol.ids import ChatKey, GroupId, SessionId, SubmissionId, TaskId, mint
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import Entry
from runtime.journal import JournalKind
from runtime.sessions.records import (
    CurrentSession,
    OpenCompaction,
    SessionHead,
    SessionLine,
    SessionTurn,
    TaskLine,
    WaitingLine,
)
from runtime.store import archive_rows
from runtime.store.database import Transaction
from runtime.store.inbound_rows import session_chat
from runtime.store.journal_rows import append
from runtime.store.payload_text import from_text, to_text
from runtime.store.records import ROLES, Role
from runtime.store.task_rows import messages_of, read_task


def sessions_of(transaction: Transaction, group_id: GroupId, chat: ChatKey, limit: int) -> tuple[SessionLine, ...]:
    where = session_chat(transaction, group_id, chat)
    rows = transaction.all("sessions_of_chat", group_id=group_id, chat=where, limit=limit)
    return tuple(_line(row) for row in rows)


def session_head(transaction: Transaction, session_id: SessionId) -> SessionHead | None:
    row = transaction.one("session_by_id", session_id=session_id)
    if row is None:
        return None
    return SessionHead(
        session_id=session_id,
        group_id=GroupId(row["group_id"]),
        chat=ChatKey(row["chat"]),
        is_current=bool(row["is_current"]),
        started_at=row["started_at"],
    )


def take_up_session(transaction: Transaction, group_id: GroupId, chat: ChatKey, session_id: SessionId) -> bool:
    """Make an earlier conversation of a chat its current one; False if it is none of this chat's."""
    where = session_chat(transaction, group_id, chat)
    row = transaction.one("session_by_id", session_id=session_id)
    if row is None or row["group_id"] != group_id or row["chat"] != where:
        return False
    if not row["is_current"]:
        now = transaction.now_text()
        transaction.run("retire_session", group_id=group_id, chat=where, ended_by="resumed", ended_at=now)
        transaction.run("take_up_session", session_id=session_id)
        archive_rows.unpack(transaction, session_id)
        append(transaction, JournalKind.SESSION_RESUMED, session=session_id, group=group_id)
    return True


def session_turns(transaction: Transaction, session_id: SessionId, past: int, limit: int) -> tuple[SessionTurn, ...]:
    """Return what was asked and answered in a conversation, task by task."""
    turns = []
    for row in transaction.all("tasks_of_session", session_id=session_id, past=past, limit=limit):
        task = read_task(row)
        tools = transaction.all("tools_of_task", task_id=task.task_id)
        turns.append(
            SessionTurn(
                task=task,
                messages=messages_of(transaction, task.task_id),
                tools=tuple(tool["label"] for tool in tools),
                is_summary=transaction.one("is_summing_up", task_id=task.task_id) is not None,
            )
        )
    return tuple(turns)


# --- Ends by policy


def current_sessions(transaction: Transaction, group_id: GroupId) -> tuple[CurrentSession, ...]:
    """Return a group's current conversations in which something was said."""
    return tuple(
        CurrentSession(
            session_id=SessionId(row["session_id"]),
            chat=ChatKey(row["chat"]),
            used_at=max(row["said_at"] or "", row["worked_at"] or ""),
        )
        for row in transaction.all("current_sessions", group_id=group_id)
        if row["said_at"] or row["worked_at"]
    )


def expire(transaction: Transaction, group_id: GroupId, due: Iterable[CurrentSession], ended_by: str) -> int:
    """End conversations that are used no more, and begin a fresh one for each; return how many. One that is in use
    again, or in which somebody works or waits, stays."""
    ended = 0
    now = transaction.now_text()
    fresh = {session.session_id: session for session in current_sessions(transaction, group_id)}
    for session in due:
        is_busy = transaction.one("session_is_busy", session_id=session.session_id) is not None
        if is_busy or fresh.get(session.session_id) != session:
            continue
        transaction.run("retire_session", group_id=group_id, chat=session.chat, ended_by=ended_by, ended_at=now)
        begun = SessionId(mint("session"))
        transaction.insert(
            "insert_fresh_session", session_id=begun, group_id=group_id, chat=session.chat, started_at=now
        )
        append(transaction, JournalKind.SESSION_ENDED, ended_by, session=session.session_id, group=group_id)
        append(transaction, JournalKind.SESSION_STARTED, session=begun, group=group_id)
        ended += 1
    return ended


# --- Summaries


def turns_in_view(transaction: Transaction, session_id: SessionId) -> int:
    row = transaction.one("turns_in_view", session_id=session_id)
    return int(row["turns"]) if row else 0


def is_compacting(transaction: Transaction, session_id: SessionId) -> bool:
    return transaction.one("open_compaction_of", session_id=session_id) is not None


def note_compaction(
    transaction: Transaction, submission_id: SubmissionId, session_id: SessionId, chat: ChatKey, by: str
) -> None:
    """Note that a submission sums a conversation up. Noting it twice is noting it once."""
    transaction.run(
        "insert_compaction",
        submission_id=submission_id,
        session_id=session_id,
        chat=chat,
        asked_by=by,
        asked_at=transaction.now_text(),
    )


def open_compactions(transaction: Transaction) -> tuple[OpenCompaction, ...]:
    return tuple(
        OpenCompaction(
            submission_id=SubmissionId(row["submission_id"]),
            session_id=SessionId(row["session_id"]),
            chat=ChatKey(row["chat"]),
            task_id=TaskId(row["task_id"]) if row["task_ended_at"] is not None else None,
            result=from_text(TaskResult, row["result"]) if row["result"] is not None else None,
        )
        for row in transaction.all("open_compactions")
    )


def end_compaction(transaction: Transaction, compaction: OpenCompaction, summary: Entry | None) -> bool:
    """Have the summary stand for all turns before this moment's last one of its own task; None: there is none, nothing
    changes. False if that was done already."""
    head = transaction.one("session_by_id", session_id=compaction.session_id)
    group_id = GroupId(head["group_id"]) if head else None
    text = to_text(summary) if summary is not None else ""
    payload_id = transaction.insert("insert_payload", subject=group_id, body=text) if text else None
    ends = transaction.all("entries_of_task", task_id=compaction.task_id) if text else []
    changed = transaction.run(
        "end_compaction",
        submission_id=compaction.submission_id,
        state="done" if text else "failed",
        task_id=compaction.task_id,
        from_position=max((row["position"] for row in ends), default=-1) + 1 if text else None,
        payload_id=payload_id,
        ended_at=transaction.now_text(),
    )
    if changed and text:
        append(transaction, JournalKind.SESSION_COMPACTED, text, session=compaction.session_id, group=group_id)
    return changed > 0


def drop_compactions(transaction: Transaction, task_id: TaskId) -> int:
    """Take out the summaries that a task has made, with their words; return how many."""
    rows = transaction.all("compactions_of_task", task_id=task_id)
    for row in rows:
        transaction.run("drop_compaction", submission_id=row["submission_id"])
        if row["payload_id"] is not None:
            transaction.run("drop_payload", payload_id=row["payload_id"])
    return len(rows)


# --- What goes on


def tasks_of_chat(transaction: Transaction, chat: ChatKey, limit: int) -> tuple[TaskLine, ...]:
    return tuple(_task(row) for row in transaction.all("recent_tasks_of_chat", chat=chat, limit=limit))


def tasks_of_group(transaction: Transaction, group_id: GroupId, limit: int) -> tuple[TaskLine, ...]:
    """Return a group's tasks that have not ended, then its newest ones."""
    found = [
        *transaction.all("open_tasks_of_group", group_id=group_id),
        *transaction.all("recent_tasks_of_group", group_id=group_id, limit=limit),
    ]
    return tuple(dict.fromkeys(_task(row) for row in found))


def waiting_of_group(transaction: Transaction, group_id: GroupId, limit: int) -> tuple[WaitingLine, ...]:
    rows = transaction.all("waiting_of_group", group_id=group_id, limit=limit)
    return tuple(WaitingLine(work=row["work"], chat=ChatKey(row["chat"]), since=row["since"]) for row in rows)


def uncommon_chats(transaction: Transaction) -> tuple[tuple[ChatKey, Role], ...]:
    """Return the direct chats of those who may do more or less than members there, and what they are."""
    return tuple(
        (ChatKey(row["chat"]), max(row["role"], row["role_here"] or row["role"], key=ROLES.index))
        for row in transaction.all("uncommon_chats")
    )


def _task(row: sqlite3.Row) -> TaskLine:
    return TaskLine(
        task_id=TaskId(row["task_id"]),
        group_id=GroupId(row["group_id"]),
        chat=ChatKey(row["chat"]) if row["chat"] is not None else None,
        submitter=row["submitter"],
        state=row["state"],
        code=row["code"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )


def _line(row: sqlite3.Row) -> SessionLine:
    inbound = json.loads(row["first_body"])["inbound"]
    return SessionLine(
        session_id=SessionId(row["session_id"]),
        is_current=bool(row["is_current"]),
        started_at=row["started_at"],
        last_at=row["last_at"],
        messages=row["messages"],
        first_words=str(inbound["text"]),
        ended_by=row["ended_by"],
        is_archived=bool(row["is_archived"]),
    )


def is_answer(result: TaskResult | None) -> bool:
    """Return whether a task has said something."""
    return result is not None and result.status is TaskStatus.REPLY and bool(result.text.strip())
