"""Spaces: who is at work in which shared folder, and after each of them who wrote what.

A space is looked at before the first tool of each task that is shown it, and when nothing runs any more of one that
may write there. So between two looks the same tasks could write, and no others: one writer is known for sure; of
several each change names all of them, since nobody outside can tell two writers of one folder apart; without any it was
somebody on the machine.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path

from protocol.ids import TaskId
from runtime.approvals.records import Taint, TaintSource
from runtime.container_command import SpaceMount
from runtime.history import tree
from runtime.history.tree import TreeRefused
from runtime.home import Home
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.spaces.look import Look, look
from runtime.store import space_rows
from runtime.store.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 1_000
"""Changes in one transaction: others are served between."""

TaintOf = Callable[[TaskId], Awaitable[Taint]]
Mark = Callable[[TaskId, TaintSource, str], Awaitable[None]]


class Spaces:
    """One for the whole host."""

    def __init__(self, home: Home, store: Store, *, taint_of: TaintOf, mark: Mark) -> None:
        """`taint_of` and `mark`: what a task has read of strangers' words, and that another has read it there."""
        self._home = home
        self._store = store
        self._taint_of = taint_of
        self._mark = mark
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._inside: dict[TaskId, dict[str, bool]] = {}
        """By task: the spaces that its tools may look into, and whether they may write there."""

    async def recover(self) -> None:
        """Take up who is at work, and look after those who ended while no host was there."""
        for stay in await self._store.read(space_rows.stays):
            self._inside.setdefault(stay.task_id, {})[stay.space] = stay.may_write
            if not stay.is_running:
                await self.end(stay.task_id)

    async def begin(self, task_id: TaskId, mounts: Iterable[SpaceMount]) -> None:
        """Return when a task's tools may look into what it is shown. Not for the first time: at once."""
        for mount in mounts:
            if mount.name in self._inside.get(task_id, {}):
                continue
            async with self._locks[mount.name]:
                await self._look(mount.name)
                entering = partial(self._store.write, space_rows.enter, mount.name, task_id, mount.may_write)
                await insist(entering, "who is at work in a space")
                self._inside.setdefault(task_id, {})[mount.name] = mount.may_write
            for source, origin in (await self._store.read(space_rows.taint_of, mount.name)).sources:
                await self._mark(task_id, source, origin)

    def is_inside(self, task_id: TaskId) -> bool:
        """Return whether `end` is to be called when nothing of the task runs any more."""
        return task_id in self._inside

    async def end(self, task_id: TaskId) -> None:
        """Hear that nothing of a task runs any more: note what it has written."""
        for name, may_write in self._inside.get(task_id, {}).items():
            async with self._locks[name]:
                if may_write:
                    await self._look(name)
                leaving = partial(self._store.write, space_rows.leave, name, task_id)
                await insist(leaving, "who is at work in a space")
        self._inside.pop(task_id, None)

    async def refresh(self, name: str) -> None:
        """Look now, for somebody who asks."""
        async with self._locks[name]:
            await self._look(name)

    async def remove(self, name: str, by: str) -> None:
        """Remove a space's files. Raises OperationRefused while somebody is at work there, or if they cannot go."""
        async with self._locks[name]:
            busy = [task_id for task_id, spaces in self._inside.items() if name in spaces]
            if busy:
                text = f"{busy[0]} is at work in the space {name}"
                raise OperationRefused("task_running", text, f"./nightyard stop --task {busy[0]}")
            try:
                await asyncio.to_thread(_remove_all, self._home.space(name))
            except FileNotFoundError:
                pass
            except OSError as error:
                text = f"the files of the space {name} could not be removed: {error}"
                raise OperationRefused("not_removed", text, f"look at {self._home.space(name)}") from error
            await self._store.write(space_rows.remove, name, by)

    async def _look(self, name: str) -> None:
        """Note what has changed in a space since the last look. Where it cannot be looked at, the next look does."""
        folder = self._home.space(name)
        if not folder.is_dir():
            return
        marks = await self._store.read(space_rows.marks, name)
        try:
            found = await asyncio.to_thread(look, folder, marks)
        except (TreeRefused, OSError) as error:
            why = f"its folders {error}" if isinstance(error, TreeRefused) else str(error)
            extra = {"action": "space_not_looked_at", "space": name}
            log.warning("who wrote what in the space %s is noted later: %s", name, why, extra=extra)
            return
        for part in _parts(found):
            noting = partial(self._store.write, space_rows.note, name, part)
            look_id, writers = await insist(noting, "what was written in a space")
            if look_id:
                await self._pass_on_taint(name, look_id, writers)

    async def _pass_on_taint(self, name: str, look_id: str, writers: Iterable[TaskId]) -> None:
        """What was written by who has read strangers' words may be strangers' words, for who reads it there."""
        for writer in writers:
            taint = await self._taint_of(writer)
            if not taint.is_tainted:
                continue
            await insist(partial(self._store.write, space_rows.add_taint, look_id, taint), "a taint of a space")
            others = [task_id for task_id, spaces in self._inside.items() if name in spaces and task_id != writer]
            for other in others:
                for source, origin in taint.sources:
                    await self._mark(other, source, origin)


def _remove_all(folder: Path) -> None:
    """Remove a folder with all that is in it, whatever that is."""
    with tree.opened_folder(folder) as root:
        for name in sorted(os.listdir(root)):  # noqa: PTH208  # a descriptor: nobody can move the folder away
            tree.remove(root, name)
    folder.rmdir()


def _parts(found: Look) -> Iterable[Look]:
    """Yield a look in parts of a size."""
    for first in range(0, len(found.seen), AT_ONCE):
        yield Look(found.seen[first : first + AT_ONCE], (), ())
    for first in range(0, len(found.gone), AT_ONCE):
        yield Look((), found.gone[first : first + AT_ONCE], ())
    for first in range(0, len(found.refused), AT_ONCE):
        yield Look((), (), found.refused[first : first + AT_ONCE])
