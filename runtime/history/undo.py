"""Undo: takes a group's folders back to before a task, and says what cannot be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from credproxy.admin_client.link import ProxyError
from protocol.ids import AttemptId, ChatKey, GroupId, TaskId, mint
from protocol.proxy_admin import ProxyCall
from runtime.history.history import Histories
from runtime.history.keep import Keep
from runtime.history.manifest import Change
from runtime.history.tree import TreeRefused
from runtime.refusal import OperationRefused
from runtime.store import history_rows, space_rows
from runtime.store.history_rows import Snapshot
from runtime.store.store import Store

T = TypeVar("T")

MAX_NAMED = 20
"""Files, tasks and calls that are named one by one; what is beyond is counted."""


class CallRecords(Protocol):
    """The part of `credproxy.admin_client.link.ProxyAdmin` that tells what tasks have done outside."""

    async def calls(self, task_id: TaskId, attempt_id: AttemptId | None = None) -> tuple[ProxyCall, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """What an undo changes, or has changed."""

    reference: str
    """The task whose moment it goes back to, or the undo."""
    group_id: GroupId
    taken_at: str
    changes: tuple[Change, ...]
    later: tuple[str, ...]
    """What changed the folders after it, and is undone with it: tasks and undos, oldest first."""
    lasting: tuple[str, ...]
    """What cannot be undone, a sentence each."""
    undo_id: str = ""
    """Takes this one back; empty in a plan."""


class UndoDesk:
    """Plans and carries out."""

    def __init__(self, histories: Histories, store: Store, calls: CallRecords) -> None:
        self._histories = histories
        self._store = store
        self._calls = calls

    async def last_of(self, group_id: GroupId, chat: ChatKey) -> str:
        """Return the chat's newest task that has a moment and is not undone; OperationRefused if there is none."""
        moment = await self._store.read(history_rows.snapshot_of_chat, group_id, chat)
        if moment is None:
            raise OperationRefused("nothing_to_undo", "No task of this chat has changed files since the last undo")
        return moment.reference

    async def plan(self, reference: str) -> Undoing:
        """Return what an undo of this task would change. Raises OperationRefused where it is not possible."""
        moment = await self._moment(reference)
        async with self._histories.held(moment.group_id) as keep:
            return await self._look(moment, keep)

    async def undo(self, reference: str, *, with_later: bool, by: str) -> Undoing:
        """Take the folders back to before a task. What others changed since is undone only `with_later`."""
        moment = await self._moment(reference)
        async with self._histories.held(moment.group_id) as keep:
            running = [row.task_id for row in await self._store.running_tasks() if row.group_id == moment.group_id]
            if running:
                text = f"{moment.group_id} is at work ({running[0]}), and would go on in changed folders"
                raise OperationRefused("task_running", text, "/stop, or ./nightyard stop --task TASK")
            found = await self._look(moment, keep)
            if found.later and not with_later:
                text = f"{_named(found.later, 'other change')} came after {reference}, and would be undone with it"
                raise OperationRefused("later_changes", text, f"./nightyard undo {reference} --with-later")
            undo_id = mint("undo")
            now = await self._try(keep.take, moment)
            undone = (moment.reference, *found.later)
            await self._store.write(history_rows.begin_undo, undo_id, moment, now, by, undone)
            changes = await self._try(lambda: keep.restore(moment.manifest), moment)
            return Undoing(
                reference=reference,
                group_id=moment.group_id,
                taken_at=moment.taken_at,
                changes=changes,
                later=found.later,
                lasting=found.lasting,
                undo_id=undo_id,
            )

    async def moments(self, group_id: GroupId, limit: int) -> tuple[Snapshot, ...]:
        """Return a group's newest moments, newest first."""
        return await self._store.read(history_rows.newest_snapshots, group_id, limit)

    async def _moment(self, reference: str) -> Snapshot:
        moment = await self._store.read(history_rows.snapshot_of, reference)
        if moment is None:
            if await self._store.task(TaskId(reference)) is None:
                text = f"there is no task {reference[:80]!r}"
                raise OperationRefused("unknown_task", text, "./nightyard history GROUP")
            raise OperationRefused("nothing_to_undo", f"{reference} used no tool, so it changed no files")
        if not moment.manifest:
            raise OperationRefused("no_history", f"{reference} cannot be undone: {moment.reason}")
        return moment

    async def _look(self, moment: Snapshot, keep: Keep) -> Undoing:
        changes = await self._try(lambda: keep.plan(moment.manifest), moment)
        lost = await self._try(lambda: keep.lost(moment.manifest), moment)
        later = await self._store.read(history_rows.snapshots_since, moment)
        now = await self._try(keep.take, moment) if later else ""
        return Undoing(
            reference=moment.reference,
            group_id=moment.group_id,
            taken_at=moment.taken_at,
            changes=changes,
            later=_changing(later, now),
            lasting=(*_first(lost), *await self._lasting((moment, *later))),
        )

    async def _lasting(self, moments: Sequence[Snapshot]) -> tuple[str, ...]:
        """Say what went out into the world."""
        lines = []
        for moment in moments:
            task_id = TaskId(moment.reference)
            sent = [row for row in await self._store.outbox_of(task_id) if row.state == "sent"]
            files = sum(row.message.file_path is not None for row in sent)
            if sent:
                with_files = f", {_count(files, 'file')} among them" if files else ""
                lines.append(f"{task_id}: {_count(len(sent), 'message')} delivered{with_files}.")
            for space, count, alone in await self._store.read(space_rows.changes_of, task_id):
                who = "" if alone else ", it or others at work there"
                lines.append(f"{task_id}: {_count(count, 'file')} changed in the space {space}{who}; they stay.")
            try:
                calls = await self._calls.calls(task_id)
            except ProxyError as error:
                lines.append(f"{task_id}: what it called outside is not known: {error}.")
                continue
            lines += _first([f"{task_id}: {call.target} ({_answer(call)})." for call in calls])
        return tuple(lines)

    @staticmethod
    async def _try(act: Callable[[], T], moment: Snapshot) -> T:
        try:
            return await asyncio.to_thread(act)
        except KeyError:
            text = f"{moment.reference} cannot be undone: what was kept for it is gone"
            raise OperationRefused("history_gone", text) from None
        except TreeRefused as refused:
            text = f"{moment.reference} cannot be undone: the folders of {moment.group_id} {refused}"
            raise OperationRefused("no_history", text) from refused
        except OSError as error:
            text = f"the undo of {moment.reference} did not get to its end: {error}"
            raise OperationRefused("undo_failed", text, f"./nightyard undo {moment.reference}") from error


def _changing(later: Sequence[Snapshot], now: str) -> tuple[str, ...]:
    """Return what has changed the folders since the first of these moments and is still to be seen there."""
    held = [*(each.manifest for each in later), now]
    if held[0] == now:
        return ()
    undos = {each.undone_by for each in later}
    return tuple(
        each.reference
        for each, after in zip(later, held[1:], strict=True)
        if each.manifest != after and each.undone_by is None and each.reference not in undos
    )


def _first(lines: Sequence[str]) -> list[str]:
    """Return what is named one by one, and how much is not."""
    left = len(lines) - MAX_NAMED
    return [*lines[:MAX_NAMED], *([f"… and {left} more."] if left > 0 else [])]


def _answer(call: ProxyCall) -> str:
    return "may have happened" if call.status is None else f"answered {call.status}"


def _named(references: Sequence[str], noun: str) -> str:
    named = ", ".join(references[:3])
    return f"{_count(len(references), noun)} ({named}{', …' if len(references) > 3 else ''})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
