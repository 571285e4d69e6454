"""Rows of groups that are held back.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import GroupId
from runtime.journal import JournalKind
from runtime.store.database import Transaction
from runtime.store.journal_rows import append


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """What holds a group back."""

    group_id: GroupId
    cause: str
    """Whose pause it is: `person`, `budget`, `crash_loop`; one of each may hold a group."""
    reason: str
    """For people, without a full stop; empty for a person's."""
    set_by: str
    set_at: str


def pauses(transaction: Transaction) -> tuple[Pause, ...]:
    return tuple(Pause(**dict(row)) for row in transaction.all("pauses"))


def pause(transaction: Transaction, group_id: GroupId, cause: str, reason: str, by: str) -> bool:
    """Hold a group back; False if this cause does already."""
    now = transaction.now_text()
    values = {"group_id": group_id, "cause": cause, "reason": reason, "set_by": by, "set_at": now}
    if not transaction.run("set_pause", **values):
        return False
    append(transaction, JournalKind.GROUP_PAUSED, f"{cause}: {reason}", group=group_id)
    return True


def resume(transaction: Transaction, group_id: GroupId, causes: tuple[str, ...]) -> bool:
    """Let a group go on as far as these causes are concerned; False if none of them held it."""
    lifted = sum(transaction.run("lift_pause", group_id=group_id, cause=cause) for cause in causes)
    if lifted:
        append(transaction, JournalKind.GROUP_RESUMED, ", ".join(causes), group=group_id)
    return lifted > 0
