"""Keeps what a group's folders held before each task that uses a tool, and takes them back there.

A task's moment is kept when its model has asked for its first tool and before that tool may run: the host does not
acknowledge the step until then. What the folders' bytes are is `keep.py`'s, what is told of an undo `undo.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from protocol.ids import GroupId, TaskId
from runtime.history.keep import NOTHING, Keep
from runtime.history.tree import TreeRefused
from runtime.home import Home
from runtime.insist import insist
from runtime.store import history_rows
from runtime.store.store import Store

log = logging.getLogger(__name__)

MAX_MOMENTS = 500
"""A group's older ones are not kept."""
SWEEP_EVERY_S = 3600.0
PRUNED = "it is too long ago: what was kept has made room"


class Histories:
    """The histories of all groups. `max_bytes` says what one may take of the disk now."""

    def __init__(self, home: Home, store: Store, max_bytes: Callable[[], int]) -> None:
        self._home = home
        self._store = store
        self._max_bytes = max_bytes
        self._locks: defaultdict[GroupId, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def before_tools(self, task_id: TaskId, group_id: GroupId) -> None:
        """Keep what the group's folders hold, if that was not done for this task. Where it cannot be kept, the task
        goes on, and an undo says why it is not possible."""
        async with self._locks[group_id]:
            memory_from = await self._store.read(history_rows.memory_from, task_id)
            if memory_from is not None:
                if not memory_from:
                    await self._go_on(task_id, group_id)
                return
            manifest, reason, memory_from = "", "", await self._take_memory(task_id, group_id)
            try:
                manifest = await asyncio.to_thread(self.keep_of(group_id).take)
            except TreeRefused as refused:
                reason = f"the folders of {group_id} {refused}"
            except OSError as error:
                reason = f"the folders of {group_id} could not be kept: {error.strerror or error}"
            if reason:
                extra = {"action": "folders_not_kept", "task_id": task_id, "group_id": group_id}
                log.warning("a task cannot be undone: %s", reason, extra=extra)
            added = (task_id, group_id, manifest, reason, memory_from or manifest or await self._older(group_id))
            await insist(lambda: self._store.write(history_rows.add_snapshot, *added), "a moment of the folders")

    async def _go_on(self, task_id: TaskId, group_id: GroupId) -> None:
        """Note what the memory holds before another part of a task, whose last part was looked at."""
        manifest = await self._take_memory(task_id, group_id) or await self._older(group_id)
        await insist(lambda: self._store.write(history_rows.set_memory_from, task_id, manifest), "a memory's moment")

    async def _take_memory(self, task_id: TaskId, group_id: GroupId) -> str:
        try:
            return await asyncio.to_thread(self.keep_of(group_id).take_memory)
        except (TreeRefused, OSError) as error:
            extra = {"action": "memory_not_kept", "task_id": task_id, "group_id": group_id}
            log.warning("what a task notes is compared with an older moment of its memory: %s", error, extra=extra)
            return ""

    async def _older(self, group_id: GroupId) -> str:
        """Return the newest moment whose bytes are kept, in place of one that could not be: a task that has read
        untrusted text leaves nothing behind that nobody saw, though what was noted since waits with it."""
        moments = await self._store.read(history_rows.newest_snapshots, group_id, MAX_MOMENTS)
        return next((moment.manifest for moment in moments if moment.manifest), NOTHING)

    @asynccontextmanager
    async def held(self, group_id: GroupId) -> AsyncIterator[Keep]:
        """Hold a group's history: no tool of a task that begins meanwhile runs before this ends."""
        async with self._locks[group_id]:
            yield self.keep_of(group_id)

    def keep_of(self, group_id: GroupId) -> Keep:
        return Keep(self._home.group(group_id), self._home.history(group_id))

    async def run(self) -> None:
        """Make room in the histories, now and every hour, until cancelled."""
        while True:
            for group_id in await self._store.read(history_rows.snapshot_groups):
                try:
                    await self.sweep(group_id)
                except (OSError, ValueError) as error:
                    extra = {"action": "history_not_swept", "group_id": group_id}
                    log.warning("an old history was not cleared away: %s", error, extra=extra)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self, group_id: GroupId) -> None:
        """Drop the oldest moments beyond the number and the bytes that are allowed."""
        async with self.held(group_id) as keep:
            moments = [
                moment
                for moment in await self._store.read(history_rows.newest_snapshots, group_id, MAX_MOMENTS * 2)
                if moment.manifest
            ]
            wanted, dropped = moments[:MAX_MOMENTS], moments[MAX_MOMENTS:]
            needed = await self._store.read(history_rows.memory_bases, group_id)
            await asyncio.to_thread(keep.prune, needed | {moment.manifest for moment in wanted})
            while wanted and await asyncio.to_thread(keep.held_bytes) > self._max_bytes():
                half = len(wanted) // 2
                wanted, dropped = wanted[:half], wanted[half:]
                await asyncio.to_thread(keep.prune, needed | {moment.manifest for moment in wanted})
            if dropped:
                await self._store.write(history_rows.drop_snapshots, dropped[0], PRUNED)
