"""What tasks of a forgotten person have left in groups' folders: their notes go, and every moment that held them.

A file of the memory that their tasks alone have written is made what it was before them. Where others have written
too, or somebody by hand, it stays and is named: nobody can tell whose word is whose. The workspace is what was worked
on, and is named only. Of the group's history nothing is kept from their first task on: no undo brings anything back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from protocol.ids import GroupId, TaskId
from runtime.history.authorship import Moment, Window, Written, left_by, whose
from runtime.history.history import Histories
from runtime.history.keep import MEMORY, Keep
from runtime.history.tree import TreeRefused
from runtime.lasting.receipt import GroupFiles
from runtime.store import history_rows
from runtime.store.store import Store

FORGOTTEN = "it held what somebody wrote who was forgotten"
BY_HAND_S = 2.0
"""A file that was changed so long after their last task ended was changed by somebody else."""


async def forget_files(
    store: Store, histories: Histories, group_id: GroupId, tasks: frozenset[TaskId], since: str
) -> GroupFiles:
    """Destroy what some tasks left in a group's folders, and its history from `since` on: when the first was made."""
    async with histories.held(group_id) as keep:
        moments = await store.read(history_rows.moments_of, group_id)
        try:
            found = await asyncio.to_thread(_take_out, keep, group_id, moments, tasks)
        except (OSError, KeyError, TreeRefused) as error:
            text = f"what is in the folders of {group_id} could not be looked at: {error}"
            found = GroupFiles(group_id=group_id, problem=text)
        dropped = await store.write(history_rows.drop_snapshots_since, group_id, since, FORGOTTEN)
        bases = await store.read(history_rows.memory_bases, group_id)
        kept = {each.manifest for each in moments if each.manifest and each.taken_at < since}
        await asyncio.to_thread(keep.prune, kept | bases)
        await asyncio.to_thread(keep.forget_seen)
        return replace(found, moments=dropped, needed=len(bases - kept))


def _take_out(keep: Keep, group_id: GroupId, moments: Sequence[Moment], tasks: frozenset[TaskId]) -> GroupFiles:
    """Take their notes out of the memory. Blocks."""
    kept = [number for number, each in enumerate(moments) if each.manifest]
    theirs = [number for number, each in enumerate(moments) if each.reference in tasks]
    if not kept or not theirs:
        return GroupFiles(group_id=group_id, unknown=len(theirs))
    unknown = sum(number < kept[0] for number in theirs)
    begins = sum(number <= theirs[0] for number in kept[1:])
    alone, mixed = left_by(_windows(keep, moments, kept[begins:], frozenset(tasks)))
    now = keep.now()
    notes, left = [], [path for path in mixed if path in now]
    for path, written in alone.items():
        if path not in now:
            continue
        if not path.startswith(f"{MEMORY}/") or _is_changed_since(keep, path, written):
            left.append(path)
            continue
        keep.put_back(path, written.before)
        notes.append(path)
    return GroupFiles(group_id=group_id, notes=tuple(sorted(notes)), left=tuple(sorted(left)), unknown=unknown)


def _windows(keep: Keep, moments: Sequence[Moment], kept: Sequence[int], tasks: frozenset[str]) -> Iterator[Window]:
    """Yield what was changed from each kept moment to the next, and from the last up to now."""
    for first, last in zip(kept, [*kept[1:], len(moments)], strict=True):
        who, until = whose(moments, first, last, tasks)
        before = keep.manifest(moments[first].manifest)
        after = keep.manifest(moments[last].manifest) if last < len(moments) else keep.now()
        yield Window(before=before, after=after, whose=who, ended_at=until)


def _is_changed_since(keep: Keep, path: str, written: Written) -> bool:
    """Return whether somebody has changed a file after their tasks had ended."""
    if not written.until:
        return True
    return keep.changed_at(path) > datetime.fromisoformat(written.until).timestamp() + BY_HAND_S
