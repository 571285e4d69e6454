"""The audit: a row for every request and every denial, on record before anything is forwarded.

The loop itself commits, without waiting for the disk: such a commit outlives a killed process at once, costs less than
waking a thread, and many calls share one. Waiting for the disk, copying the log into the file, and questions that may
read much are for one thread (`audit_thread.py`). A power cut spares what was synced: everything `SYNC_S` after its
commit, and a call that may change the world before it is forwarded.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from credproxy.audit.file import AuditEntry, AuditFile, CallUse, read_calls, read_usage
from credproxy.audit.task_use import TaskUse
from credproxy.audit.thread import AuditThread
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.proxy_admin import ProxyCall, ProxyDenial
from protocol.task import Usage

log = logging.getLogger(__name__)

SYNC_S = 0.25
GATHER_S = 0.02
"""How long the end of a call that changed nothing may wait for company: the next begin takes it along in one commit.
What a kill in this time loses is a call's token count."""
CHECKPOINT_COMMITS = 500
"""Of about four pages of 4 KiB each; sqlite's own default is 1,000 pages."""
CLOSE_TIMEOUT_S = 10.0

T = TypeVar("T")


class AuditFailed(Exception):
    """The audit could not be written: what it should have recorded must not happen."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Job:
    run: Callable[[AuditFile], Any]
    answer: asyncio.Future[Any] | None
    needs_sync: bool


class Audit:
    """Use as an async context; every method is called from the loop that entered it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._file: AuditFile | None = None
        self._thread: AuditThread | None = None
        self._gathered: list[_Job] = []
        self._committing: asyncio.Handle | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._syncing: asyncio.TimerHandle | None = None
        self._calls_under_way = 0
        self._commits = 0

    async def __aenter__(self) -> Audit:
        self._loop = asyncio.get_running_loop()
        try:
            self._file = AuditFile(self._path)
            self._thread = AuditThread(self._path, self._loop)
        except (sqlite3.Error, OSError) as error:
            raise AuditFailed(f"{self._path} cannot be opened: {error}") from error
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._commit()
        for handle in (self._gathering, self._syncing):
            if handle is not None:
                handle.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.end, CLOSE_TIMEOUT_S)
        if self._file is not None:
            self._close(self._file)

    def begin(self, entry: AuditEntry) -> asyncio.Future[None]:
        """Write the row of a call that is about to be forwarded: await the future before forwarding. Raises
        AuditFailed."""
        self._calls_under_way += 1
        return self._submit(lambda file: file.append(entry), needs_sync=entry.is_unsafe)

    def end(self, entry: AuditEntry, use: CallUse | None) -> None:
        """Complete a call's record and add its use to the sums. Never waits: it is written soon, in order."""

        def write(file: AuditFile) -> None:
            file.append(entry)
            if use is not None:
                file.add_use(entry.task_id, entry.group_id, use)

        self._calls_under_way -= 1
        self._gathered.append(_Job(write, None, entry.is_unsafe))
        if entry.is_unsafe:
            self._commit()
        elif self._gathering is None and self._loop is not None:
            self._gathering = self._loop.call_later(GATHER_S, self._commit_gathered)

    def note(self, entry: AuditEntry) -> asyncio.Future[None]:
        """Write a row that stands for itself: a denial, a fetched token, a freeze. Raises AuditFailed."""
        return self._submit(lambda file: file.append(entry), needs_sync=entry.kind != "denied")

    async def task_use(self, task_id: TaskId) -> TaskUse:
        """Return what a task's ended calls have used, over all its attempts and our restarts."""
        return await self._submit(lambda file: file.task_use(task_id))

    async def usage(self, task_id: TaskId | None, day: str | None) -> Sequence[tuple[GroupId, str, Usage]]:
        """Return (group, model, use) over one task, one UTC day, or all."""
        return await self._read(lambda connection: read_usage(connection, task_id, day))

    async def calls(self, task_id: TaskId, attempt_id: AttemptId | None) -> Sequence[ProxyCall]:
        """Return the calls outside model routes that may have changed the world, in order."""
        return await self._read(lambda connection: read_calls(connection, task_id, attempt_id))

    async def denials(self, task_id: TaskId) -> Sequence[ProxyDenial]:
        """Return what a task was refused, in order."""
        return await self._submit(lambda file: file.denials(task_id))

    async def mark(self, name: str) -> str | None:
        """Return a stored mark (`frozen`), None if it was never set."""
        return await self._submit(lambda file: file.mark(name))

    async def set_mark(self, name: str, value: str, entry: AuditEntry) -> None:
        """Store a mark together with its row in the chain."""

        def write(file: AuditFile) -> None:
            file.set_mark(name, value)
            file.append(entry)

        await self._submit(write, needs_sync=True)

    def _submit(self, run: Callable[[AuditFile], T], *, needs_sync: bool = False) -> asyncio.Future[T]:
        """Commit at once where nobody else is at work; else at the end of the loop's round, with what others bring."""
        if self._loop is None or self._file is None:
            raise AuditFailed("the audit is not open")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._gathered.append(_Job(run, answer, needs_sync))
        if self._calls_under_way <= 1:
            self._commit()
        elif self._committing is None:
            self._committing = self._loop.call_soon(self._commit)
        return answer

    async def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the file in the thread, all that came before included."""
        self._commit()
        if self._loop is None or self._thread is None:
            raise AuditFailed("the audit is not open")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._thread.read(run, lambda value, error: _settle(answer, value, error))
        return await answer

    def _commit_gathered(self) -> None:
        self._gathering = None
        self._commit()

    def _commit(self) -> None:
        """Run what has gathered in one transaction, in order, and tell who waits."""
        if self._committing is not None:
            self._committing.cancel()
            self._committing = None
        jobs, self._gathered = self._gathered, []
        if not jobs or self._file is None:
            return
        try:
            self._file.begin()
            values = [job.run(self._file) for job in jobs]
            self._file.commit()
        except sqlite3.Error as error:
            self._file.roll_back()
            log.error("the audit cannot be written: %s", error, extra={"action": "audit_failed"})
            for job in jobs:
                _settle(job.answer, None, str(error))
            return
        self._commits += 1
        if any(job.needs_sync for job in jobs):
            self._sync([(job.answer, value) for job, value in zip(jobs, values, strict=True)])
            return
        for job, value in zip(jobs, values, strict=True):
            _settle(job.answer, value, "")
        if self._syncing is None and self._loop is not None:
            self._syncing = self._loop.call_later(SYNC_S, self._sync, ())

    def _sync(self, waiting: Sequence[tuple[asyncio.Future[Any] | None, Any]]) -> None:
        """Have all that is committed brought to the disk; tell then those who wait for it."""
        if self._syncing is not None:
            self._syncing.cancel()
            self._syncing = None
        file, thread = self._file, self._thread
        if file is None or thread is None:
            return
        last_seq = file.last_seq

        def done(error: str) -> None:
            if not error:
                file.synced_seq = max(file.synced_seq, last_seq)
            for answer, value in waiting:
                _settle(answer, value, error)

        needs_checkpoint = self._commits >= CHECKPOINT_COMMITS
        self._commits = 0 if needs_checkpoint else self._commits
        thread.sync(done, needs_checkpoint=needs_checkpoint)

    def _close(self, file: AuditFile) -> None:
        try:
            file.close()
        except sqlite3.Error as error:
            log.error("the audit could not be closed: %s", error, extra={"action": "audit_failed"})


def _settle(answer: asyncio.Future[T] | None, value: T, error: str) -> None:
    if answer is None or answer.done():
        return
    if error:
        answer.set_exception(AuditFailed(error))
    else:
        answer.set_result(value)
