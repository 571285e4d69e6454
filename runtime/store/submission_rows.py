"""Rows of work that no message brought: taken in once, claimed as a task once.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Literal, cast

from protocol.ids import AttemptId, ChatKey, PersonKey, SessionId, SubmissionId, TaskId, mint
from protocol.task import TaskResult, TaskStatus
from runtime.journal import JournalKind, payload_digest
from runtime.store import archive_rows, task_rows
from runtime.store.database import Transaction
from runtime.store.errors import ClaimRefused
from runtime.store.inbound_rows import find_or_make_session
from runtime.store.journal_rows import append
from runtime.store.payload_text import from_text, to_text
from runtime.store.records import Claim, MessageState, TaskRow
from runtime.submission import NewSubmission, Submission

MAX_QUEUED = 10_000
"""Beyond this none is taken: whoever submits without end is told so."""
ALL_CONTEXT = 1 << 62
"""Above every message's seq: what was kept as context is shown, however new it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSubmission:
    """A submission as the store keeps it."""

    submission_id: SubmissionId
    number: int
    after_message: int
    """The newest message's seq when it came."""
    session_id: SessionId | None
    state: Literal["queued", "claimed"]
    new: NewSubmission
    task_id: TaskId | None = None
    task_state: str | None = None

    def shown(self, *, is_new: bool = False) -> Submission:
        """Return what its submitter is told."""
        state: Literal["queued", "running", "suspended", "ended"] = "queued" if self.task_state is None else "ended"
        if self.task_state in ("running", "suspended"):
            state = cast(Literal["running", "suspended"], self.task_state)
        return Submission(submission_id=self.submission_id, state=state, task_id=self.task_id, is_new=is_new)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """Why a submission was not taken in."""

    code: Literal["key_reused", "queue_full", "unknown_session"]


def take_in(transaction: Transaction, new: NewSubmission) -> tuple[StoredSubmission, bool] | NotTaken:
    """Store a submission; return it and whether it is new."""
    text = to_text(new)
    digest = payload_digest(transaction.key, text)
    key = {"submitter": new.submitter, "idempotency_key": new.idempotency_key}
    known = transaction.one("submission_by_key", **key) if new.idempotency_key else None
    if known is not None:
        return (_submission(known), False) if known["digest"] == digest else NotTaken(code="key_reused")
    queued = transaction.one("count_queued_submissions")
    if queued is not None and queued["queued"] >= MAX_QUEUED:
        return NotTaken(code="queue_full")
    session_id = _session(transaction, new)
    if isinstance(session_id, NotTaken):
        return session_id
    submission_id = SubmissionId(mint("sub"))
    transaction.insert(
        "insert_submission",
        submission_id=submission_id,
        **key,
        digest=digest,
        group_id=new.group_id,
        session_id=session_id,
        chat=new.chat,
        spec_id=transaction.insert("insert_payload", subject=_subject(new), body=text),
        created_at=transaction.now_text(),
    )
    append(transaction, JournalKind.SUBMISSION_QUEUED, text, submission=submission_id, group=new.group_id)
    return _known(transaction, submission_id), True


def submission(transaction: Transaction, submission_id: SubmissionId) -> StoredSubmission | None:
    row = transaction.one("submission_by_id", submission_id=submission_id)
    return _submission(row) if row else None


def waiting_submissions(transaction: Transaction, limit: int) -> tuple[StoredSubmission, ...]:
    return tuple(_submission(row) for row in transaction.all("waiting_submissions", limit=limit))


def task_of(transaction: Transaction, submission_id: SubmissionId) -> TaskRow | None:
    row = transaction.one("task_of_submission", submission_id=submission_id)
    return task_rows.read_task(row) if row else None


def claim(transaction: Transaction, submission_id: SubmissionId) -> Claim:
    """Make one task of a queued submission, with its first attempt. Raises ClaimRefused."""
    stored = _claimable(transaction, submission_id)
    row = _make_task(transaction, stored)
    shown = stored.session_id is not None and transaction.run(
        "show_context", task_id=row.task_id, session_id=stored.session_id, before=ALL_CONTEXT
    )
    return Claim(
        task=row,
        attempt=task_rows.start_attempt(transaction, row.task_id, AttemptId(mint("attempt")), number=1),
        messages=(),
        context=task_rows.messages_of(transaction, row.task_id) if shown else (),
        submission=stored.new,
    )


def cancel(transaction: Transaction, submission_id: SubmissionId, reason: str) -> TaskRow | None:
    """End a queued submission as a task that was stopped before it began; None if it is not queued any more. Its
    session may be busy: one that does not run holds nothing."""
    stored = submission(transaction, submission_id)
    if stored is None or stored.state != "queued":
        return None
    row = _make_task(transaction, stored, state="suspended")
    result = TaskResult(status=TaskStatus.STOPPED, reason=reason)
    task_rows.finish_task(
        transaction,
        row.task_id,
        result,
        attempt_id=None,
        seq=None,
        outbound=(),
        entries=(),
        message_state=MessageState.DEAD,
        end_reason="",
    )
    return task_rows.task(transaction, row.task_id)


def _claimable(transaction: Transaction, submission_id: SubmissionId) -> StoredSubmission:
    stored = submission(transaction, submission_id)
    if stored is None or stored.state != "queued":
        raise ClaimRefused("it is not queued any more")
    busy = stored.session_id and transaction.one("running_task_of_session", session_id=stored.session_id)
    if busy:
        raise ClaimRefused(f"its session is busy with {busy['task_id']}")
    return stored


def _make_task(transaction: Transaction, stored: StoredSubmission, state: str = "running") -> TaskRow:
    new = stored.new
    transaction.run("claim_submission", submission_id=stored.submission_id)
    return task_rows.insert_task(
        transaction,
        TaskRow(
            task_id=TaskId(mint("task")),
            group_id=new.group_id,
            session_id=stored.session_id,
            submitter=new.submitter,
            payer=_payer(transaction, new),
            chat=new.chat,
            reply_to=None,
            state=state,
            created_at=transaction.now_text(),
            submission_id=stored.submission_id,
        ),
    )


def _payer(transaction: Transaction, new: NewSubmission) -> PersonKey | Literal[""]:
    """Return whose limits work counts for: a member's schedules, and what agents ask of others for them, are theirs."""
    kind, _, name = new.submitter.partition(":")
    row = None
    if kind == "schedule":
        row = transaction.one("payer_of_schedule", schedule_id=int(name)) if name.isdecimal() else None
    elif kind == "group":  # its key is the delegation's
        row = transaction.one("payer_of_delegation", delegation_id=new.idempotency_key)
    elif kind == "person":
        return PersonKey(name)
    return row["payer"] if row is not None else ""


def _subject(new: NewSubmission) -> str:
    """Return whose words the prompt is."""
    kind, _, person = new.submitter.partition(":")
    return person if kind == "person" else new.group_id


def _session(transaction: Transaction, new: NewSubmission) -> SessionId | NotTaken | None:
    match new.session:
        case "none":
            return None
        case "chat":
            assert new.chat is not None  # checked before it came here
            return find_or_make_session(transaction, new.group_id, new.chat)
        case "own":
            return _session_apart(transaction, new)
        case named:
            row = transaction.one("session_group", session_id=named)
            is_theirs = row is not None and row["group_id"] == new.group_id
            if not is_theirs:
                return NotTaken(code="unknown_session")
            archive_rows.unpack(transaction, SessionId(named))
            return SessionId(named)


def _session_apart(transaction: Transaction, new: NewSubmission) -> SessionId:
    session_id = SessionId(mint("session"))
    transaction.insert(
        "insert_session_apart",
        session_id=session_id,
        group_id=new.group_id,
        chat=new.chat or "",
        started_at=transaction.now_text(),
    )
    append(transaction, JournalKind.SESSION_STARTED, session=session_id, group=new.group_id)
    return session_id


def _known(transaction: Transaction, submission_id: SubmissionId) -> StoredSubmission:
    stored = submission(transaction, submission_id)
    assert stored is not None  # stored in this transaction
    return stored


def _submission(row: sqlite3.Row) -> StoredSubmission:
    return StoredSubmission(
        submission_id=SubmissionId(row["submission_id"]),
        number=row["submission_seq"],
        after_message=row["after_message"],
        session_id=SessionId(row["session_id"]) if row["session_id"] is not None else None,
        state=row["state"],
        new=replace(
            from_text(NewSubmission, row["body"]), chat=ChatKey(row["chat"]) if row["chat"] is not None else None
        ),
        task_id=TaskId(row["task_id"]) if row["task_id"] is not None else None,
        task_state=row["task_state"],
    )
