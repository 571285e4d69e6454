"""The rows of groups' histories. Each function is one job of the store."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from protocol.ids import ChatKey, GroupId, TaskId
from runtime.history.authorship import Moment
from runtime.journal import JournalKind
from runtime.store.database import Transaction
from runtime.store.journal_rows import append


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A moment of a group's folders."""

    reference: str
    """The task that was about to use its first tool, or an undo."""
    group_id: GroupId
    manifest: str
    """Empty: not kept, or not any more; `reason` says why."""
    reason: str
    taken_at: str
    undone_by: str | None = None


def add_snapshot(
    transaction: Transaction, reference: str, group_id: GroupId, manifest: str, reason: str, memory_from: str = ""
) -> None:
    """Note a moment. `memory_from`: the manifest that the task's memory is compared with at its end."""
    values = {"reference": reference, "group_id": group_id, "manifest": manifest, "reason": reason}
    if transaction.run("insert_snapshot", **values, taken_at=transaction.now_text(), memory_from=memory_from):
        append(transaction, JournalKind.FOLDERS_KEPT, reason, task=reference, group=group_id)


def snapshot_of(transaction: Transaction, reference: str) -> Snapshot | None:
    row = transaction.one("snapshot_of", reference=reference)
    return _snapshot(row) if row else None


def snapshots_since(transaction: Transaction, moment: Snapshot) -> tuple[Snapshot, ...]:
    rows = transaction.all("snapshots_since", group_id=moment.group_id, taken_at=moment.taken_at)
    return tuple(map(_snapshot, rows))


def newest_snapshots(transaction: Transaction, group_id: GroupId, limit: int) -> tuple[Snapshot, ...]:
    return tuple(map(_snapshot, transaction.all("newest_snapshots", group_id=group_id, limit=limit)))


def snapshot_of_chat(transaction: Transaction, group_id: GroupId, chat: ChatKey) -> Snapshot | None:
    row = transaction.one("snapshot_of_chat", group_id=group_id, chat=chat)
    return _snapshot(row) if row else None


def begin_undo(
    transaction: Transaction, undo_id: str, moment: Snapshot, manifest: str, by: str, undone: tuple[str, ...]
) -> None:
    """Note that folders go back to a moment, and what they hold now, so that this can be undone as well."""
    add_snapshot(transaction, undo_id, moment.group_id, manifest, "")
    for reference in undone:
        transaction.run("mark_undone", reference=reference, undone_by=undo_id)
    append(transaction, JournalKind.FOLDERS_UNDONE, by, task=moment.reference, undo=undo_id, group=moment.group_id)


def drop_snapshots(transaction: Transaction, last: Snapshot, reason: str) -> None:
    """Note that the bytes of a group's moments up to this one are gone."""
    transaction.run("drop_snapshots", group_id=last.group_id, taken_at=last.taken_at, reason=reason)


def drop_snapshots_since(transaction: Transaction, group_id: GroupId, since: str, reason: str) -> int:
    """Note that the bytes of a group's moments from a time on are gone; return how many there were."""
    return transaction.run("drop_snapshots_since", group_id=group_id, since=since, reason=reason)


def moments_of(transaction: Transaction, group_id: GroupId) -> tuple[Moment, ...]:
    return tuple(Moment(**dict(row)) for row in transaction.all("moments_of", group_id=group_id))


def snapshot_groups(transaction: Transaction) -> tuple[GroupId, ...]:
    return tuple(GroupId(row["group_id"]) for row in transaction.all("snapshot_groups"))


def memory_from(transaction: Transaction, reference: str) -> str | None:
    """Return what a task's memory is to be compared with, '' if it was looked at; None: it has used no tool."""
    row = transaction.one("memory_from", reference=reference)
    return row["memory_from"] if row else None


def set_memory_from(transaction: Transaction, reference: str, manifest: str) -> None:
    transaction.run("set_memory_from", reference=reference, memory_from=manifest)


def memory_bases(transaction: Transaction, group_id: GroupId) -> frozenset[str]:
    """Return the manifests of a group that are still to be compared with."""
    return frozenset(row["memory_from"] for row in transaction.all("memory_bases", group_id=group_id))


def unlooked_tasks(transaction: Transaction) -> tuple[tuple[TaskId, GroupId], ...]:
    """Return the tasks that do not run any more, and whose memory nobody has looked at."""
    return tuple((TaskId(row["reference"]), GroupId(row["group_id"])) for row in transaction.all("unlooked_tasks"))


def _snapshot(row: sqlite3.Row) -> Snapshot:
    return Snapshot(
        reference=row["reference"],
        group_id=GroupId(row["group_id"]),
        manifest=row["manifest"],
        reason=row["reason"],
        taken_at=row["taken_at"],
        undone_by=row["undone_by"],
    )
