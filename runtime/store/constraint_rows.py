"""Rows of constraints that were added in chats or by the command line, and of who mounted which skill.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass

from protocol.codec import from_json, to_json
from protocol.ids import GroupId
from runtime.approvals.constraint_terms import ConstraintSettings
from runtime.approvals.rules import make_approval_id
from runtime.journal import JournalKind
from runtime.store.database import Transaction
from runtime.store.journal_rows import append_by

Mount = tuple[GroupId, str]
"""(group, skill)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedConstraint:
    """A constraint that somebody added."""

    constraint_id: str
    group_id: GroupId
    settings: ConstraintSettings
    added_by: str
    added_at: str


def add(transaction: Transaction, group_id: GroupId, settings: ConstraintSettings, by: str) -> AddedConstraint:
    """Have a constraint hold."""
    constraint_id, terms = make_approval_id(os.urandom(5)), json.dumps(to_json(settings))
    transaction.run(
        "insert_constraint",
        constraint_id=constraint_id,
        group_id=group_id,
        terms=terms,
        added_by=by,
        now=transaction.now_text(),
    )
    append_by(transaction, JournalKind.CONSTRAINT_ADDED, by, terms, group=group_id, constraint=constraint_id)
    return AddedConstraint(
        constraint_id=constraint_id,
        group_id=group_id,
        settings=settings,
        added_by=by,
        added_at=transaction.now_text(),
    )


def remove(transaction: Transaction, group_id: GroupId, constraint_id: str, by: str) -> bool:
    """Have an added constraint hold no more; False if the group has none of this code."""
    if not transaction.run("delete_constraint", constraint_id=constraint_id, group_id=group_id):
        return False
    append_by(transaction, JournalKind.CONSTRAINT_REMOVED, by, group=group_id, constraint=constraint_id)
    return True


def added(transaction: Transaction) -> tuple[AddedConstraint, ...]:
    return tuple(
        AddedConstraint(
            constraint_id=row["constraint_id"],
            group_id=GroupId(row["group_id"]),
            settings=from_json(ConstraintSettings, json.loads(row["terms"])),
            added_by=row["added_by"],
            added_at=row["added_at"],
        )
        for row in transaction.all("added_constraints")
    )


def set_mounts(
    transaction: Transaction, mounts: Collection[Mount], by: Callable[[GroupId], str]
) -> tuple[set[Mount], set[Mount]]:
    """Note which skills are mounted where now, and who changed it; return those that came and those that went. `by`:
    who changed the settings of a group."""
    before = {(GroupId(row["group_id"]), str(row["skill"])) for row in transaction.all("skill_mounts")}
    came, went = set(mounts) - before, before - set(mounts)
    for group_id, skill in sorted(went):
        transaction.run("delete_skill_mount", group_id=group_id, skill=skill)
        append_by(transaction, JournalKind.SKILL_UNMOUNTED, by(group_id), group=group_id, skill=skill)
    for group_id, skill in sorted(came):
        transaction.run(
            "insert_skill_mount", group_id=group_id, skill=skill, by=by(group_id), now=transaction.now_text()
        )
        append_by(transaction, JournalKind.SKILL_MOUNTED, by(group_id), group=group_id, skill=skill)
    return came, went
