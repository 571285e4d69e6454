"""Rows of shared folders: what each is known to hold, who is at work in it, who wrote what. Each
function is one job.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol.ids import GroupId, TaskId, mint
from runtime.approvals.records import Taint
from runtime.journal import JournalKind, payload_digest
from runtime.spaces.look import ChangeKind, Look
from runtime.store.database import Transaction
from runtime.store.journal_rows import append, append_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A task whose tools may look into a space."""

    space: str
    task_id: TaskId
    may_write: bool
    is_running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterRow:
    """A task that could have written something."""

    task_id: TaskId
    group_id: GroupId | None
    """None: nothing is known of it any more."""
    submitter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A line of a space's log."""

    at: str
    """When it was found: the end of the task that wrote it, or the beginning of the next."""
    path: str
    """Empty: its writer was forgotten."""
    kind: ChangeKind
    digest: str
    size_bytes: int
    writers: tuple[WriterRow, ...]
    """One: it wrote this. Several: one of them did, or each a part. None: no agent; somebody on the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """How much a space was found to hold when last looked at."""

    files: int
    size_bytes: int


def marks(transaction: Transaction, space: str) -> Mapping[str, str]:
    return {row["path"]: row["mark"] for row in transaction.all("space_marks", space=space)}


def note(transaction: Transaction, space: str, found: Look) -> tuple[str, tuple[TaskId, ...]]:
    """Note what a look found, and who is at work there and may write; return the look's id (empty: it all says what it
    said) and them. In the journal stands one entry, with a digest of the list."""
    look_id, now = mint("look"), transaction.now_text()
    changes: list[tuple[str, ChangeKind, str, int]] = []
    for each in found.seen:
        digest = payload_digest(transaction.key, each.content)
        known = transaction.one("space_file", space=space, path=each.path)
        if known is not None and known["digest"] == digest:
            transaction.run("set_space_mark", space=space, path=each.path, mark=each.mark)
        else:
            changes.append((each.path, "changed" if known is not None else "created", digest, each.size_bytes))
            values = {"mark": each.mark, "digest": digest, "size_bytes": each.size_bytes, "look_id": look_id}
            transaction.run("set_space_file", space=space, path=each.path, **values)
    for path in found.gone:
        changes.append((path, "deleted", "", 0))
        transaction.run("drop_space_file", space=space, path=path)
    changes += [(path, "refused", "", 0) for path in found.refused]
    if not changes:
        return "", ()
    writers = tuple(
        TaskId(row["task_id"]) for row in transaction.all("tasks_in_space", space=space) if row["may_write"]
    )
    transaction.run("insert_space_look", look_id=look_id, space=space, looked_at=now)
    for task_id in writers:
        transaction.run("insert_space_look_task", look_id=look_id, task_id=task_id)
    for path, kind, digest, size_bytes in changes:
        values = {"look_id": look_id, "path": path, "kind": kind, "digest": digest, "size_bytes": size_bytes}
        transaction.run("insert_space_change", **values)
    task = writers[0] if len(writers) == 1 else None
    append(transaction, JournalKind.SPACE_CHANGED, json.dumps(changes), space=space, look=look_id, task=task)
    return look_id, writers


def enter(transaction: Transaction, space: str, task_id: TaskId, may_write: bool) -> None:
    transaction.run("enter_space", space=space, task_id=task_id, may_write=int(may_write))


def leave(transaction: Transaction, space: str, task_id: TaskId) -> None:
    transaction.run("leave_space", space=space, task_id=task_id)


def stays(transaction: Transaction) -> tuple[Stay, ...]:
    """Return who is at work where, as the store knows it."""
    return tuple(
        Stay(
            space=row["space"],
            task_id=TaskId(row["task_id"]),
            may_write=bool(row["may_write"]),
            is_running=bool(row["is_running"]),
        )
        for row in transaction.all("space_stays")
    )


def add_taint(transaction: Transaction, look_id: str, taint: Taint) -> None:
    """Note what somebody had read who could have written what a look found."""
    for source, origin in taint.sources:
        transaction.run("insert_space_look_taint", look_id=look_id, source=source, origin=origin)


def taint_of(transaction: Transaction, space: str) -> Taint:
    """Return whose text may stand in what a space holds now."""
    return Taint(sources=tuple((row["source"], row["origin"]) for row in transaction.all("space_taints", space=space)))


def held(transaction: Transaction, space: str) -> HeldRow:
    row = transaction.one("space_held", space=space)
    return HeldRow(files=row["files"], size_bytes=row["size_bytes"]) if row else HeldRow(files=0, size_bytes=0)


def known(transaction: Transaction) -> tuple[str, ...]:
    """Return the spaces of which something is known, declared or not."""
    return tuple(row["space"] for row in transaction.all("known_spaces"))


def log(transaction: Transaction, space: str, limit: int, path: str = "", task_id: str = "") -> tuple[ChangeRow, ...]:
    """Return the newest changes of a space, newest first; only those of or below a path, or that a task could have
    made."""
    rows = transaction.all("space_log", space=space, path=path, task_id=task_id, limit=limit)
    writers = {look_id: _writers(transaction, look_id) for look_id in {row["look_id"] for row in rows}}
    return tuple(
        ChangeRow(
            at=row["looked_at"],
            path=row["path"],
            kind=row["kind"],
            digest=row["digest"],
            size_bytes=row["size_bytes"],
            writers=writers[row["look_id"]],
        )
        for row in rows
    )


def _writers(transaction: Transaction, look_id: str) -> tuple[WriterRow, ...]:
    return tuple(
        WriterRow(
            task_id=TaskId(row["task_id"]),
            group_id=GroupId(row["group_id"]) if row["group_id"] else None,
            submitter=row["submitter"] or "",
        )
        for row in transaction.all("space_look_tasks", look_id=look_id)
    )


def changes_of(transaction: Transaction, task_id: TaskId) -> tuple[tuple[str, int, bool], ...]:
    """Return in which spaces a task could have changed how many files, and whether it alone could."""
    rows = transaction.all("space_changes_of_task", task_id=task_id)
    return tuple((row["space"], row["files"], row["writers"] == 1) for row in rows)


def files_of(transaction: Transaction, tasks: Iterable[TaskId]) -> tuple[str, ...]:
    """Return what some tasks could have written that is still in spaces, as paths like `spaces/notes/a.md`."""
    found = (row for task in tasks for row in transaction.all("space_files_of_task", task_id=task))
    return tuple(sorted({f"spaces/{row['space']}/{row['path']}" for row in found}))


def blank_of(transaction: Transaction, tasks: Sequence[TaskId]) -> int:
    """Take the names of files out of what is kept of some tasks."""
    return sum(transaction.run("blank_space_changes", task_id=task) for task in tasks)


def blank_before(transaction: Transaction, before: str, limit: int) -> int:
    """Take the names out of changes from before a time, at most so many; return how many there were."""
    return transaction.run("blank_old_space_changes", before=before, limit=limit)


def remove(transaction: Transaction, space: str, by: str) -> None:
    """Note that a space's files are removed."""
    transaction.run("drop_space_files", space=space)
    append_by(transaction, JournalKind.SPACE_REMOVED, by, space, space=space)
