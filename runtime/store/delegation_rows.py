"""Rows of what agents ask of other agents, and of the files that they hand over.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). Who may ask
whom is decided in `delegation/decisions.py`.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from protocol.ids import FileId, GroupId, SubmissionId, TaskId, mint
from protocol.record import Record
from runtime.delegation.records import (
    AskingFacts,
    Delegation,
    DelegationAnswer,
    DelegationId,
    DelegationRequest,
    HandedFile,
)
from runtime.journal import JournalKind
from runtime.store.database import Transaction, time_text
from runtime.store.journal_rows import append
from runtime.store.payload_text import from_text, to_text


class _FileName(Record):
    name: str
    sha256: str = ""


def asking_facts(
    transaction: Transaction, from_task: TaskId, from_group: GroupId, to_group: str, since: datetime
) -> AskingFacts:
    """Return what is known of who asks; `since`: an hour ago."""
    behind = transaction.one("ancestors_of_task", task_id=from_task)
    counts = transaction.one(
        "count_delegations", from_task=from_task, from_group=from_group, to_group=to_group, since=time_text(since)
    )
    assert counts is not None  # counts always give a row
    return AskingFacts(
        ancestors=tuple(map(GroupId, json.loads(behind["ancestors"]))) if behind else (),
        asked_by_task=counts["by_task"],
        asked_last_hour=counts["by_pair"],
        open_of_group=counts["open"],
    )


def add_delegation(
    transaction: Transaction,
    *,
    from_group: GroupId,
    from_task: TaskId,
    call_id: str,
    ancestors: tuple[GroupId, ...],
    request: DelegationRequest,
) -> Delegation:
    """Record what an agent asks; the same call again is the delegation that it made first."""
    known = delegation_of_call(transaction, from_task, call_id)
    if known is not None:
        return known
    delegation_id, body = DelegationId(mint("dlg")), to_text(request)
    transaction.run(
        "insert_delegation",
        delegation_id=delegation_id,
        from_group=from_group,
        from_task=from_task,
        call_id=call_id,
        to_group=request.to,
        ancestors=json.dumps(ancestors),
        request_id=transaction.insert("insert_payload", subject=from_group, body=body),
        asked_at=transaction.now_text(),
    )
    append(
        transaction,
        JournalKind.DELEGATION_ASKED,
        body,
        delegation=delegation_id,
        task=from_task,
        group=from_group,
        to_group=request.to,
    )
    made = delegation_of_call(transaction, from_task, call_id)
    assert made is not None  # made above
    return made


def delegation_of_call(transaction: Transaction, from_task: TaskId, call_id: str) -> Delegation | None:
    row = transaction.one("delegation_of_call", from_task=from_task, call_id=call_id)
    return _delegation(row) if row else None


def delegation_of_submission(transaction: Transaction, submission_id: SubmissionId) -> Delegation | None:
    row = transaction.one("delegation_of_submission", submission_id=submission_id)
    return _delegation(row) if row else None


def delegation_submitted(transaction: Transaction, known: Delegation, submission_id: SubmissionId) -> bool:
    changed = transaction.run("submit_delegation", delegation_id=known.delegation_id, submission_id=submission_id)
    if changed:
        _note(transaction, JournalKind.DELEGATION_SUBMITTED, known, submission=submission_id)
    return changed > 0


def delegation_ended(transaction: Transaction, known: Delegation, answer: DelegationAnswer) -> bool:
    """Record what came of it; False if that was known already."""
    body = to_text(answer)
    changed = transaction.run(
        "end_delegation",
        delegation_id=known.delegation_id,
        answer_id=transaction.insert("insert_payload", subject=known.to_group, body=body),
        ended_at=transaction.now_text(),
    )
    if changed:
        _note(transaction, JournalKind.DELEGATION_ENDED, known, body)
    return changed > 0


def delegation_answered(transaction: Transaction, known: Delegation) -> bool:
    """Record that the asking task has its answer, or that nobody waits for it any more."""
    changed = transaction.run("answer_delegation", delegation_id=known.delegation_id)
    if changed:
        _note(transaction, JournalKind.DELEGATION_ANSWERED, known)
    return changed > 0


def open_delegations(transaction: Transaction) -> tuple[Delegation, ...]:
    return tuple(_delegation(row) for row in transaction.all("open_delegations"))


def open_delegations_of(transaction: Transaction, from_task: TaskId) -> tuple[Delegation, ...]:
    return tuple(_delegation(row) for row in transaction.all("open_delegations_of_task", from_task=from_task))


def newest_delegations(transaction: Transaction, limit: int) -> tuple[Delegation, ...]:
    return tuple(_delegation(row) for row in transaction.all("newest_delegations", limit=limit))


def add_handed_file(transaction: Transaction, file: HandedFile, group_id: GroupId) -> None:
    """Record a file that an agent sent for another; the same call again changes nothing."""
    name = to_text(_FileName(name=file.name, sha256=file.sha256))
    transaction.run(
        "insert_handed_file",
        task_id=file.task_id,
        call_id=file.call_id,
        file_id=file.file_id,
        payload_id=transaction.insert("insert_payload", subject=group_id, body=name),
        size_bytes=file.size_bytes,
        stored_at=transaction.now_text(),
    )
    append(transaction, JournalKind.FILE_HANDED, name, task=file.task_id, file=file.file_id, group=group_id)


def handed_files_of(transaction: Transaction, task_id: TaskId) -> tuple[HandedFile, ...]:
    return tuple(_handed(row, task_id) for row in transaction.all("handed_files_of_task", task_id=task_id))


def _handed(row: sqlite3.Row, task_id: TaskId) -> HandedFile:
    said = from_text(_FileName, row["body"])
    return HandedFile(
        task_id=task_id,
        call_id=row["call_id"],
        file_id=FileId(row["file_id"]),
        name=said.name or "file",
        size_bytes=row["size_bytes"],
        sha256=said.sha256,
    )


def _note(
    transaction: Transaction, kind: JournalKind, known: Delegation, payload: str = "", **refs: str | None
) -> None:
    append(transaction, kind, payload, delegation=known.delegation_id, task=known.from_task, **refs)


def _delegation(row: sqlite3.Row) -> Delegation:
    return Delegation(
        delegation_id=DelegationId(row["delegation_id"]),
        from_group=GroupId(row["from_group"]),
        from_task=TaskId(row["task_id"]),
        call_id=row["call_id"],
        to_group=GroupId(row["to_group"]),
        ancestors=tuple(map(GroupId, json.loads(row["ancestors"]))),
        state=row["state"],
        submission_id=SubmissionId(row["submission_id"]) if row["submission_id"] is not None else None,
        request=from_text(DelegationRequest, row["request"]),
        answer=from_text(DelegationAnswer, row["answer"]) if row["answer"] is not None else None,
        asked_at=row["asked_at"],
        ended_at=row["ended_at"],
    )
