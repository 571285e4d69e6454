"""MemoryGuard: what a task that read untrusted text would leave in its agent's memory waits for an owner.

A tool may write there as it likes while its task runs. When the task ends, or gives its container up, its memory is
compared with what it found: what differs is taken back out and becomes a question. No task of that agent begins before;
where it cannot be taken out (a full disk) the agent is held back, and it is tried again until it could.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from pathlib import Path

from protocol.codec import from_json, to_json
from protocol.ids import GroupId, TaskId
from runtime.approvals.approvals import Approvals
from runtime.approvals.memory_change import MemoryChange, NotedFile, change_lines, merged, read_change
from runtime.approvals.records import Approval
from runtime.approvals.rules import digest_of
from runtime.approvals.taint import Taints
from runtime.history import tree
from runtime.history.history import Histories
from runtime.history.keep import MEMORY, NOTHING, Keep
from runtime.history.manifest import Difference
from runtime.home import Home
from runtime.insist import insist
from runtime.pauses import MEMORY as CAUSE
from runtime.pauses import Pauses
from runtime.refusal import OperationRefused
from runtime.store import history_rows
from runtime.store.store import Store

log = logging.getLogger(__name__)

RETRY_S = 20.0
"""When it is tried again what could not be taken back."""
BY_HOST = "host"

ASIDE = "approved"
"""What the name of a file ends with that an owner let in, and that does not fit to what is there by now."""


class MemoryGuard:
    """One for the whole host."""

    def __init__(
        self,
        home: Home,
        store: Store,
        histories: Histories,
        approvals: Approvals,
        taints: Taints,
        pauses: Pauses,
        *,
        retry_s: float = RETRY_S,
    ) -> None:
        self._home = home
        self._pauses = pauses
        self._retry_s = retry_s
        self._failed: dict[TaskId, GroupId] = {}
        """Tasks that have left what they may not, and whose groups are held for it."""
        self._has_failed = asyncio.Event()
        self._store = store
        self._histories = histories
        self._approvals = approvals
        self._taints = taints
        approvals.subscribe("memory", self.decided)

    async def is_watched(self, task_id: TaskId) -> bool:
        """Return whether what a task has noted is to be looked at when nothing of it runs any more. Where not, that is
        noted: it counts as looked at."""
        if not await self._store.read(history_rows.memory_from, task_id):
            return False
        if (await self._taints.taint_of(task_id)).is_tainted:
            return True
        await self._looked(task_id)
        return False

    async def look(self, task_id: TaskId, group_id: GroupId) -> None:
        """Take back what a watched task has noted, and ask the owners about it."""
        base = await self._store.read(history_rows.memory_from, task_id)
        if not base:
            return
        try:
            await self._look(task_id, group_id, base)
        except (OSError, KeyError, tree.TreeRefused) as error:
            extra = {"action": "memory_not_looked_at", "task_id": task_id, "group_id": group_id}
            log.error("what a task noted could not be taken back, it is tried again: %r", error, extra=extra)
            why = getattr(error, "strerror", None) or error
            reason = f"what {task_id} noted after it had read others' words could not be taken out of its memory: {why}"
            holding = partial(self._pauses.pause, group_id, by=BY_HOST, cause=CAUSE, reason=reason)
            await insist(holding, "a memory that is not what it was")
            self._failed[task_id] = group_id
            self._has_failed.set()
            return
        await self._looked(task_id)
        self._failed.pop(task_id, None)

    async def _look(self, task_id: TaskId, group_id: GroupId, base: str) -> None:
        async with self._histories.held(group_id) as keep:
            if not await asyncio.to_thread(keep.has, base):
                base = NOTHING
            differences = await asyncio.to_thread(_differences, keep, base)
            change = read_change(differences or ())
            is_let_in = bool(change.files) and await self._is_let_in(task_id, group_id, change)
            if differences is None or (differences and not is_let_in):
                await asyncio.to_thread(keep.restore, base, only_memory=True)
                extra = {"action": "memory_taken_back", "task_id": task_id, "group_id": group_id}
                log.info("what a task noted waits for an owner, or is not kept", extra=extra)

    async def recover(self) -> None:
        """Look at what the host did not get to before it went, or could not take back; let go who was held for it. The
        pauses are loaded."""
        for task_id, group_id in await self._store.read(history_rows.unlooked_tasks):
            if await self.is_watched(task_id):
                await self.look(task_id, group_id)
        await self._let_go()

    async def run(self) -> None:
        """Try again what could not be taken back, until cancelled."""
        while True:
            await self._has_failed.wait()
            await asyncio.sleep(self._retry_s)
            self._has_failed.clear()
            for task_id, group_id in tuple(self._failed.items()):
                await self.look(task_id, group_id)
            await self._let_go()

    async def _let_go(self) -> None:
        held = [pause.group_id for pause in self._pauses.all() if pause.cause == CAUSE]
        for group_id in set(held) - set(self._failed.values()):
            await insist(partial(self._pauses.resume, group_id, causes=(CAUSE,)), "the end of a hold")

    async def decided(self, approval: Approval) -> None:
        """Put what an owner let in into the memory; what they did not is out of it already."""
        if not approval.is_approved or approval.used_at is not None or approval.group_id is None:
            return
        change = from_json(MemoryChange, approval.payload, "approval")
        folder = self._home.group(approval.group_id) / MEMORY
        async with self._histories.held(approval.group_id):
            for noted in change.files:
                try:
                    await asyncio.to_thread(_carry_out, folder, noted)
                except OSError as error:
                    extra = {"action": "memory_not_written", "group_id": approval.group_id}
                    log.warning("an approved note could not be written: %s", error, extra=extra)
        await self._approvals.use(approval.approval_id)

    async def _is_let_in(self, task_id: TaskId, group_id: GroupId, change: MemoryChange) -> bool:
        """Ask; True where the very same was let in before."""
        payload = to_json(change)
        try:
            asked = await self._taints.guard(
                "memory",
                task_id=task_id,
                group_id=group_id,
                payload=payload,
                summary=f"The agent {group_id} would remember what you see here.",
                key=f"memory:{task_id}:{digest_of('memory', group_id, payload)[:32]}",
                lines=change_lines(change),
            )
        except OperationRefused as refused:
            extra = {"action": "memory_not_asked", "task_id": task_id, "group_id": group_id}
            log.warning("what a task noted is not kept: %s", refused.message, extra=extra)
            return False
        return asked is None or asked.is_approved

    async def _looked(self, task_id: TaskId) -> None:
        await insist(partial(self._store.write, history_rows.set_memory_from, task_id, ""), "a look at a memory")


def _differences(keep: Keep, base: str) -> tuple[Difference, ...] | None:
    """Return what differs; None for a memory that cannot be read: it is emptied, so that it can be what it was."""
    try:
        return keep.memory_differences(base)
    except (tree.TreeRefused, OSError) as error:
        log.warning("a memory could not be looked at, and is what it was again: %s", error)
        keep.empty_memory()
        return None


def _carry_out(folder: Path, noted: NotedFile) -> None:
    """Make one file as it was let in. Raises OSError."""
    with tree.opened_folder(folder) as root:
        now = _read(root, noted.path)
        wanted, fits = merged(noted, now)
        if wanted is None:
            if fits:
                tree.remove(root, noted.path)
            return
        path = noted.path if fits else f"{noted.path}.{ASIDE}"
        parents = path.split("/")[:-1]
        for index in range(len(parents)):
            tree.make_folder(root, "/".join(parents[: index + 1]), 0o755)
        tree.write_file(root, path, 0o644, partial(_fill, text=wanted))


def _read(root: int, path: str) -> str | None:
    """Return a file's text, None where there is no such file."""
    for found in tree.walk(root, ""):
        if found.path.lstrip("/") == path:
            try:
                with os.fdopen(found.open(), encoding="utf-8") as file:
                    return file.read()
            except (OSError, UnicodeError):
                return None
    return None


def _fill(descriptor: int, text: str) -> None:
    with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as file:
        file.write(text)
