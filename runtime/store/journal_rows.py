"""The journal's rows: adding an entry in a job's transaction, reading and checking the chain.

How an entry is sealed is `runtime/journal.py`'s business.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

from protocol.ids import MessageId, TaskId
from runtime.journal import FIRST_PREVIOUS, JournalKind, SealedEntry, payload_digest, refs_text, seal, why_broken
from runtime.store.database import Transaction
from runtime.store.records import JournalCheck, JournalEntry

CHECKED_AT_ONCE = 2_000
"""Entries checked in one job of the reader, about 20 ms: others are served between."""


def append_by(transaction: Transaction, kind: JournalKind, by: str, payload: str = "", **refs: str | None) -> None:
    """Add an entry about what somebody did. Who it was is in the digest, and stands beside the chain, where it can be
    forgotten."""
    append(transaction, kind, f"{by} {payload}".rstrip(), **refs)
    transaction.run_waiting()
    seq, _ = transaction.journal_end or _journal_end(transaction)
    transaction.run("insert_journal_by", seq=seq, by=by)


def append(transaction: Transaction, kind: JournalKind, payload: str = "", **refs: str | None) -> None:
    """Add an entry about these ids; of the payload only the keyed digest is kept."""
    last_seq, last_hash = transaction.journal_end or _journal_end(transaction)
    entry = seal(
        transaction.key,
        seq=last_seq + 1,
        at=transaction.now_text(),
        kind=kind,
        refs=refs_text({name: value for name, value in refs.items() if value is not None}),
        digest=payload_digest(transaction.key, payload) if payload else "",
        previous=last_hash,
    )
    transaction.run_later(
        "journal_insert",
        seq=entry.seq,
        at=entry.at,
        kind=entry.kind,
        refs=entry.refs,
        digest=entry.digest,
        previous=entry.previous,
        hash=entry.hash,
    )
    transaction.journal_end = entry.seq, entry.hash


def _journal_end(transaction: Transaction) -> tuple[int, str]:
    last = transaction.one("journal_last")
    return (last["seq"], last["hash"]) if last else (0, FIRST_PREVIOUS)


def journal_tail(transaction: Transaction, limit: int) -> tuple[JournalEntry, ...]:
    transaction.run_waiting()
    rows = transaction.all("journal_tail", limit=limit)
    return tuple(reversed([replace(_entry(row), by=row["by"] or "") for row in rows]))


def journal_of(
    transaction: Transaction, message_ids: tuple[MessageId, ...], task_id: TaskId | None
) -> tuple[JournalEntry, ...]:
    """Return the entries about some messages and their task, in order."""
    rows = [row for message_id in message_ids for row in transaction.all("journal_of_message", message_id=message_id)]
    if task_id is not None:
        rows += transaction.all("journal_of_task", task_id=task_id)
    entries = {row["seq"]: _entry(row) for row in rows}
    return tuple(entries[seq] for seq in sorted(entries))


class ChainCheck:
    """Walks the chain piece by piece."""

    def __init__(self) -> None:
        self._seq = 0
        self._previous = FIRST_PREVIOUS
        self._broken_at: int | None = None
        self._reason = ""

    def advance(self, transaction: Transaction) -> bool:
        """Check the next piece; return whether there may be more."""
        rows = transaction.all("journal_after", seq=self._seq, limit=CHECKED_AT_ONCE)
        for row in rows:
            entry = SealedEntry(**dict(row))
            reason = why_broken(transaction.key, entry, expected_seq=self._seq + 1, expected_previous=self._previous)
            if reason is not None:
                self._broken_at, self._reason = self._seq + 1, reason
                return False
            self._seq, self._previous = entry.seq, entry.hash
        return len(rows) == CHECKED_AT_ONCE

    def result(self) -> JournalCheck:
        return JournalCheck(entries=self._seq, broken_at=self._broken_at, reason=self._reason)


def _entry(row: sqlite3.Row) -> JournalEntry:
    return JournalEntry(
        seq=row["seq"],
        at=row["at"],
        kind=row["kind"],
        refs=json.loads(row["refs"]),
        digest=row["digest"],
        hash=row["hash"],
    )
