"""Rows of taint: which tasks have read text that anybody may have written.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

from protocol.ids import GroupId, TaskId
from runtime.approvals.records import Taint, TaintSource
from runtime.journal import JournalKind
from runtime.people.roles import reaches
from runtime.store.database import Transaction
from runtime.store.decider_rows import decider_of
from runtime.store.journal_rows import append


def mark(transaction: Transaction, task_id: TaskId, source: TaintSource, origin: str) -> bool:
    """Note that a task read something; False if that was noted before."""
    is_new = transaction.run("insert_taint", task_id=task_id, source=source, origin=origin, now=transaction.now_text())
    if is_new:
        append(transaction, JournalKind.TASK_TAINTED, f"{source} {origin}", task=task_id)
    return is_new > 0


def taint_of(transaction: Transaction, task_id: TaskId) -> Taint:
    """Return all of anybody's text that a task has read, itself or through its conversation."""
    found = {(row["source"], row["origin"]) for row in transaction.all("taints_of_task", task_id=task_id)}
    found |= {("person", person) for person in _strangers(transaction, task_id)}
    trust = transaction.one("trust_of_task", task_id=task_id)
    if trust is not None and trust["trust"] == "untrusted":
        found.add(("program", "what it was given"))
    return Taint(sources=tuple(sorted(found)))


def _strangers(transaction: Transaction, task_id: TaskId) -> list[str]:
    """Return who spoke and is no member, neither everywhere nor with the task's agent: guests, and those whose words
    were kept as context."""
    strangers = []
    for row in transaction.all("strangers_of_task", task_id=task_id):
        role = decider_of(transaction, row["person"], GroupId(row["group_id"])).role
        if role is None or not reaches(role, "member"):
            strangers.append(row["person"])
    return strangers
