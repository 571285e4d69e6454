"""Rows of remembered decisions: what somebody has said yes or no to for longer than this once, and how far it reaches.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). Reaches and
times are `approvals/scopes.py`'s.
"""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import datetime

from protocol.ids import GroupId
from runtime.approvals.records import Approval, Remembered, Scope
from runtime.approvals.scopes import keys_of
from runtime.journal import JournalKind
from runtime.refusal import OperationRefused
from runtime.store.database import Transaction, time_text
from runtime.store.journal_rows import append, append_by


def remember(
    transaction: Transaction, asked: Approval, scope: Scope, *, is_yes: bool, by: str, until: datetime
) -> None:
    """Have a decision hold for all that its scope covers."""
    covered = reach(asked, scope)
    transaction.run(
        "remember_decision",
        kind=asked.kind,
        group_id=asked.group_id or "",
        scope=scope.word,
        scope_key=_hashed(covered),
        is_yes=is_yes,
        by=by,
        approval_id=asked.approval_id,
        now=transaction.now_text(),
        expires_at=time_text(until),
    )
    refs = {"approval": asked.approval_id, "group": asked.group_id, "task": asked.task_id}
    append(transaction, JournalKind.DECISION_REMEMBERED, f"{scope.word} {covered}", **refs)


def remembered_for(transaction: Transaction, kind: str, group_id: GroupId | None, payload: object) -> Remembered | None:
    """Return what is remembered for this: of several decisions the narrowest counts."""
    for word, covered in keys_of(kind, group_id, payload).items():
        row = transaction.one(
            "remembered_decision",
            kind=kind,
            group_id=group_id or "",
            scope=word,
            scope_key=_hashed(covered),
            now=transaction.now_text(),
        )
        if row is not None:
            return _read_remembered(row)
    return None


def remembered(transaction: Transaction) -> tuple[Remembered, ...]:
    rows = transaction.all("remembered_decisions", now=transaction.now_text())
    return tuple(_read_remembered(row) for row in rows)


def forget(transaction: Transaction, decision_id: int, by: str) -> bool:
    """Let a remembered decision hold no more; False if it does not."""
    if not transaction.run("forget_decision", decision_id=decision_id):
        return False
    append_by(transaction, JournalKind.DECISION_FORGOTTEN, by, decision=str(decision_id))
    return True


def reach(asked: Approval, scope: Scope) -> str:
    """Return what a scope covers; OperationRefused where this approval has no such thing."""
    keys = keys_of(asked.kind, asked.group_id, asked.payload)
    if scope.word == "exact" or scope.word in asked.scope_offers:
        reach = keys.get(scope.word)
        if reach is not None:
            return reach
    offers = ", ".join(asked.scope_offers) or "none"
    message = f"{asked.approval_id} cannot be remembered by its {scope.word} (offered: {offers})"
    raise OperationRefused("scope_unknown", message, f"/approve {asked.approval_id}")


def _hashed(reach: str) -> str:
    return hashlib.sha256(reach.encode("utf-8", "replace")).hexdigest()


def _read_remembered(row: sqlite3.Row) -> Remembered:
    return Remembered(
        decision_id=row["decision_id"],
        kind=row["kind"],
        group_id=GroupId(row["group_id"]) or None,
        scope=row["scope"],
        is_yes=bool(row["is_yes"]),
        by=row["by"],
        approval_id=row["approval_id"],
        decided_at=row["decided_at"],
        expires_at=row["expires_at"],
    )
