"""The rows of dead letters. Each function is one job of the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from protocol.ids import ChatKey, GroupId
from runtime.journal import JournalKind
from runtime.store.database import Transaction, time_text
from runtime.store.journal_rows import append
from runtime.store.outbox_rows import read_outbox
from runtime.store.records import OutboxRow

LetterKind = Literal["task", "schedule", "delivery", "update"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """Something that found no good end."""

    reference: str
    """A task's id, that of a schedule's run, `out_<number>` or `raw_<number>`."""
    kind: LetterKind
    group_id: GroupId
    """Empty where none is known."""
    chat: ChatKey
    """Empty where none is known."""
    state: Literal["open", "retried", "closed"]
    died_at: str
    ended_at: str | None
    ended_by: str

    @property
    def number(self) -> int:
        """Of the outbox's or the updates' row."""
        return int(self.reference.rpartition("_")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadUpdate:
    """An update that could not be decoded."""

    channel_id: str
    event_id: str
    reason: str
    received_at: str
    raw_bytes: int


def newest_letters(transaction: Transaction, limit: int) -> tuple[Letter, ...]:
    """Return the newest letters, whether somebody has ended them or not."""
    return tuple(map(_letter, transaction.all("newest_letters", limit=limit)))


def open_letters(
    transaction: Transaction, limit: int, past: int = 0, chat: ChatKey | None = None
) -> tuple[tuple[Letter, ...], int]:
    """Return the newest open letters behind the first `past`, of one chat or of all, and how many there are in all."""
    rows = transaction.all("open_letters", chat=chat, limit=limit, past=past)
    count = transaction.one("count_open_letters", chat=chat)
    return tuple(map(_letter, rows)), count["letters"] if count else 0


def letter(transaction: Transaction, reference: str) -> Letter | None:
    row = transaction.one("letter", reference=reference)
    return _letter(row) if row else None


def failed_task_of_chat(transaction: Transaction, chat: ChatKey) -> Letter | None:
    row = transaction.one("open_letter_of_chat", chat=chat)
    return _letter(row) if row else None


def count_letters(transaction: Transaction) -> Mapping[str, int]:
    return {row["kind"]: row["letters"] for row in transaction.all("count_letters")}


def end_letter(transaction: Transaction, reference: str, state: Literal["retried", "closed"], by: str) -> bool:
    """Note what became of a letter; False if it was not open."""
    now = transaction.now_text()
    if not transaction.run("end_letter", reference=reference, state=state, ended_at=now, ended_by=by):
        return False
    if state == "closed":
        transaction.run("empty_closed")
    kind = JournalKind.LETTER_RETRIED if state == "retried" else JournalKind.LETTER_CLOSED
    append(transaction, kind, by, letter=reference)
    return True


def close_letters(transaction: Transaction, before: datetime, by: str, chat: ChatKey | None = None) -> int:
    """Close all that died before a time, of one chat or of all; return how many."""
    now = transaction.now_text()
    closed = transaction.run("close_letters", before=time_text(before), chat=chat, ended_at=now, ended_by=by)
    if closed:
        transaction.run("empty_closed")
        append(transaction, JournalKind.LETTER_CLOSED, by, letters=str(closed))
    return closed


def retry_delivery(transaction: Transaction, found: Letter, by: str) -> bool:
    """Put a message that was given up back into the outbox; False if it is not dead any more."""
    if not transaction.run("revive_outbox", outbox_id=found.number, now=transaction.now_text()):
        return False
    append(transaction, JournalKind.OUTBOX_PENDING, outbox=str(found.number))
    return end_letter(transaction, found.reference, "retried", by)


def retry_update(transaction: Transaction, found: Letter, by: str) -> bool:
    """Have an update decoded again; False if it is not dead any more."""
    if not transaction.run("revive_raw", raw_id=found.number):
        return False
    return end_letter(transaction, found.reference, "retried", by)


def dead_delivery(transaction: Transaction, outbox_id: int) -> OutboxRow | None:
    row = transaction.one("outbox_row", outbox_id=outbox_id)
    return read_outbox(row) if row else None


def dead_update(transaction: Transaction, raw_id: int) -> DeadUpdate | None:
    row = transaction.one("raw_update", raw_id=raw_id)
    if row is None:
        return None
    return DeadUpdate(
        channel_id=row["channel_id"],
        event_id=row["event_id"],
        reason=row["reason"],
        received_at=row["received_at"],
        raw_bytes=row["raw_bytes"],
    )


def _letter(row: sqlite3.Row) -> Letter:
    return Letter(
        reference=row["reference"],
        kind=row["kind"],
        group_id=GroupId(row["group_id"]),
        chat=ChatKey(row["chat"]),
        state=row["state"],
        died_at=row["died_at"],
        ended_at=row["ended_at"],
        ended_by=row["ended_by"],
    )
