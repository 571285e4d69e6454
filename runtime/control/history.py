"""The verbs of groups' histories: what an undo would change, and the undo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from protocol.codec import Json
from protocol.ids import GroupId
from protocol.plain_text import escape
from runtime.control.verb import BY, VerbTable, verb
from runtime.group import Groups
from runtime.history.undo import MAX_NAMED, UndoDesk, Undoing


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoArguments:
    task: str
    """A task's id, or that of an undo, which is then taken back."""
    with_later: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArguments:
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryArguments:
    group: GroupId
    limit: int = 20


def history_verbs(desk: UndoDesk, groups: Callable[[], Groups]) -> VerbTable:
    """Return the verbs that the undo desk carries out."""

    async def undo(given: UndoArguments) -> Json:
        return view_undoing(await desk.undo(given.task, with_later=given.with_later, by=BY))

    async def plan(given: PlanArguments) -> Json:
        return view_undoing(await desk.plan(given.task))

    async def history(given: HistoryArguments) -> Json:
        moments = await desk.moments(given.group, max(1, min(given.limit, 200)))
        if not moments:  # of an agent that is gone they may still be there
            groups().checked(given.group)
        return {
            "moments": [
                {
                    "reference": each.reference,
                    "taken_at": each.taken_at,
                    "is_kept": bool(each.manifest),
                    "reason": each.reason,
                    "undone_by": each.undone_by,
                }
                for each in moments
            ]
        }

    return {
        "undo": verb(UndoArguments, undo),
        "undo_plan": verb(PlanArguments, plan),
        "history": verb(HistoryArguments, history),
    }


def view_undoing(undoing: Undoing) -> Json:
    """Return it for programs; files beyond MAX_NAMED are counted only."""
    return {
        "task": undoing.reference,
        "group": undoing.group_id,
        "taken_at": undoing.taken_at,
        "undo": undoing.undo_id,
        "counts": dict(Counter(change.kind for change in undoing.changes)),
        "changes": [{"path": escape(change.path), "kind": change.kind} for change in undoing.changes[:MAX_NAMED]],
        "later": list(undoing.later),
        "lasting": list(undoing.lasting),
    }
