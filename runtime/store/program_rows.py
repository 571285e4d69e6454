"""Rows of programs: who may submit tasks, the hashes of their tokens, what they submitted and what became of it.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.ids import AttemptId, GroupId, SubmissionId, TaskId
from runtime.journal import JournalKind
from runtime.programs.records import Program, ProgramEvent, ProgramTask
from runtime.store.database import Transaction
from runtime.store.journal_rows import append

EVENTS_AT_ONCE = 5_000
"""Journal entries looked through in one job of the reader, about 10 ms: others are served between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTask:
    """One submission of a program's, for a list."""

    noted: ProgramTask
    task_id: TaskId | None
    state: str
    code: str
    ended_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    events: tuple[ProgramEvent, ...]
    cursor: int
    """Up to where the journal was looked through."""
    is_last: bool
    """Nothing more has happened yet."""


def add_program(
    transaction: Transaction, name: str, groups: Sequence[GroupId], token_hash: str, by: str, *, is_attended: bool
) -> Program | None:
    """Let a program submit; None if one of this name may already. `token_hash` empty: by the socket's permission."""
    found = transaction.one("program_by_name", program=name)
    if found is not None and found["revoked_at"] is None:
        return None
    now = transaction.now_text()
    transaction.run(
        "put_program",
        program=name,
        groups=json.dumps(list(groups)),
        is_attended=int(is_attended),
        added_at=now,
        added_by=by,
    )
    if token_hash:
        transaction.run("put_program_token", token_hash=token_hash, program=name, created_at=now)
    append(transaction, JournalKind.PROGRAM_ADDED, by, program=name)
    return program(transaction, name)


def revoke_program(transaction: Transaction, name: str, by: str) -> bool:
    """Let a program submit no more, its tokens included; False if it could not."""
    transaction.run("forget_program_tokens", program=name)
    if not transaction.run("revoke_program", program=name, revoked_at=transaction.now_text()):
        return False
    append(transaction, JournalKind.PROGRAM_REVOKED, by, program=name)
    return True


def programs(transaction: Transaction) -> tuple[Program, ...]:
    return tuple(_program(row) for row in transaction.all("all_programs"))


def program(transaction: Transaction, name: str) -> Program | None:
    """Return a program by its name, also one that was revoked."""
    row = transaction.one("program_by_name", program=name)
    return _program(row) if row else None


def program_of_token(transaction: Transaction, token_hash: str) -> Program | None:
    """Return the program that may submit with a token."""
    row = transaction.one("program_by_token", token_hash=token_hash)
    return _program(row) if row else None


def put_program_task(transaction: Transaction, noted: ProgramTask) -> None:
    transaction.run(
        "put_program_task",
        submission_id=noted.submission_id,
        program=noted.program,
        group_id=noted.group_id,
        skill=noted.skill,
        skill_sha256=noted.skill_sha256,
        input_sha256=noted.input_sha256,
        mode=noted.mode,
        submitted_at=transaction.now_text(),
    )


def note_start(transaction: Transaction, submission_id: SubmissionId, mode: str, skill_sha256: str) -> None:
    """Note with which mode of its group, and which content of its skill, an attempt begins."""
    transaction.run("note_start", submission_id=submission_id, mode=mode, skill_sha256=skill_sha256)


def program_task(transaction: Transaction, submission_id: SubmissionId) -> ProgramTask | None:
    row = transaction.one("program_task", submission_id=submission_id)
    return _program_task(row) if row else None


def program_tasks(transaction: Transaction, name: str, limit: int) -> tuple[ListedTask, ...]:
    """Return the newest submissions of a program, or of all (empty), the newest first."""
    return tuple(
        ListedTask(
            noted=_program_task(row),
            task_id=TaskId(row["task_id"]) if row["task_id"] is not None else None,
            state=row["state"] or "queued",
            code=row["code"] or "",
            ended_at=row["ended_at"],
        )
        for row in transaction.all("program_tasks", program=name, limit=limit)
    )


def counts_of(transaction: Transaction, submitter: str) -> tuple[int, int]:
    """Return how much of a submitter's work waits and runs."""
    row = transaction.one("program_counts", submitter=submitter)
    return (row["queued"], row["running"]) if row else (0, 0)


def events_after(transaction: Transaction, submitter: str, after: int, submission_id: str = "") -> EventPage:
    """Return what happened to a submitter's work next after a place in the journal."""
    end = transaction.one("journal_end")
    last = end["seq"] if end else 0
    up_to = min(last, after + EVENTS_AT_ONCE)
    rows = transaction.all(
        "events_of_submitter", after=after, up_to=up_to, submitter=submitter, submission_id=submission_id
    )
    return EventPage(events=tuple(_event(row) for row in rows), cursor=max(up_to, after), is_last=up_to >= last)


def _program(row: sqlite3.Row) -> Program:
    return Program(
        name=row["program"],
        groups=tuple(GroupId(group) for group in json.loads(row["groups"])),
        is_attended=bool(row["is_attended"]),
        has_token=bool(row["has_token"]),
        added_at=row["added_at"],
        added_by=row["added_by"],
        revoked_at=row["revoked_at"],
    )


def _program_task(row: sqlite3.Row) -> ProgramTask:
    return ProgramTask(
        submission_id=SubmissionId(row["submission_id"]),
        program=row["program"],
        group_id=GroupId(row["group_id"]),
        skill=row["skill"],
        skill_sha256=row["skill_sha256"],
        input_sha256=row["input_sha256"],
        mode=row["mode"],
        submitted_at=row["submitted_at"],
    )


def _event(row: sqlite3.Row) -> ProgramEvent:
    return ProgramEvent(
        seq=row["seq"],
        kind=row["kind"],
        at=row["at"],
        submission_id=SubmissionId(row["submission_id"]),
        task_id=TaskId(row["task_id"]) if row["task_id"] is not None else None,
        attempt_id=AttemptId(row["attempt_id"]) if row["attempt_id"] is not None else None,
    )
