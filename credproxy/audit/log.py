"""The audit: a row for every request and every denial, on record before anything is forwarded.

The loop itself commits, without waiting for the disk: such a commit outlives a killed process at once, costs less than
waking a thread, and many calls share one. A call that changes nothing does not wait for one: its row is written down
beside the file (`begun.py`) and joins the next. Waiting for the disk, copying the log into the file, and what the host
asks are for one thread (`thread.py`); what reads much is for others. A power cut spares what was synced: everything
`SYNC_S` after its commit, and a call that may change the world before it is forwarded.

Nothing is dropped in silence. A row that must come before its deed and cannot be written stops the deed, and the next
row that can be written says how many there were; a row that comes after its deed is kept and tried again.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from credproxy.admin_client.audit import AuditFilter, AuditRow, ModelUseRow, Totals
from credproxy.audit.entry import AuditEntry, CallUse
from credproxy.audit.file import AuditFile
from credproxy.audit.jobs import AuditFailed, Gap, Job, settle
from credproxy.audit.migrate import AuditTooNew
from credproxy.audit.records import (
    MAX_LOG_ROWS,
    TotalsQuery,
    read_apart,
    read_calls,
    read_keys,
    read_log,
    read_models,
    read_taints,
    read_traffic,
    read_usage,
    read_use_rows,
)
from credproxy.audit.task_use import TaskUse
from credproxy.audit.thread import AuditThread
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.proxy_admin import ProxyCall
from protocol.task import Usage

log = logging.getLogger(__name__)

SYNC_S = 0.25
GATHER_S = 0.02
"""How long the rows of calls that change nothing wait for company. A kill in this time loses none of their begins, and
of their ends those that no begin has come behind."""
HANDED_OVER_ROWS = 32
"""So many are given to sqlite at once, when an answer has just been sent: a commit of all that came in would keep the
next request waiting for a millisecond."""
UNSYNCED = frozenset(("denied", "shadow"))
"""Rows of what did not happen: nothing waits for the disk on their account."""
CHECKPOINT_COMMITS = 500
"""Of about four pages of 4 KiB each; sqlite's own default is 1,000 pages."""
COMMIT_ROWS = 16
"""So many fill about four pages: a commit of more counts as several."""
CLOSE_TIMEOUT_S = 10.0
RETRY_S = 1.0
"""What could not be written is tried again so often, with every row that comes in between too."""

T = TypeVar("T")


class Audit:
    """Use as an async context; every method is called from the loop that entered it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._file: AuditFile | None = None
        self._thread: AuditThread | None = None
        self._gathered: list[Job] = []
        self._begun: list[Job] = []
        """Run already, in a transaction that is open; up to the last begin written down besides."""
        self._done: asyncio.Future[None]
        """What whoever need not wait is given."""
        self._unwritten: list[Job] = []
        self._gap: Gap | None = None
        self._committing: asyncio.Handle | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._syncing: asyncio.TimerHandle | None = None
        self._retrying: asyncio.TimerHandle | None = None
        self._under_way: dict[str, AuditEntry] = {}
        self._commits = 0
        self._synced_seq = 0
        """As the file's mark says."""

    async def __aenter__(self) -> Audit:
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        self._done.set_result(None)
        try:
            self._file = AuditFile(self._path)
            self._thread = AuditThread(self._path, self._loop)
        except (sqlite3.Error, OSError, AuditTooNew) as error:
            raise AuditFailed(f"{self._path} cannot be opened: {error}") from error
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._commit()
        for handle in (self._gathering, self._syncing, self._retrying):
            if handle is not None:
                handle.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.end, CLOSE_TIMEOUT_S)
        file, self._file = self._file, None
        if file is not None:
            self._close(file)

    @property
    def problem(self) -> str:
        """Why nothing is let out, while the audit cannot be written; else empty."""
        if self._gap is None and not self._unwritten:
            return ""
        reason = self._gap.reason if self._gap is not None else "a row is waiting"
        return f"the audit {self._path} cannot be written, so nothing goes out: {reason}"

    @property
    def last_seq(self) -> int:
        """The number of the last row."""
        return self._opened()[1].last_seq

    def begin(self, entry: AuditEntry) -> asyncio.Future[None]:
        """Write the row of a call that is about to be forwarded: await the future before forwarding. Raises
        AuditFailed. Each call ends with `end`, written or not."""
        self._under_way[entry.call_id] = entry
        if entry.is_unsafe or self.problem:
            return self._submit(lambda file: file.append(entry), needs_sync=entry.is_unsafe, has_row=True)
        return self._write_down(entry)

    def _write_down(self, entry: AuditEntry) -> asyncio.Future[None]:
        """Put a row on record beside the file; it is committed before long. Where that fails, it is committed now."""
        loop, file = self._opened()
        if not self._begun:
            file.begin()
        file.append(entry)
        try:
            file.write_down()
        except OSError:
            answer: asyncio.Future[None] = loop.create_future()
            self._begun.append(Job(lambda file: file.append(entry), answer, False, True))
            self._commit()
            return answer
        self._begun.append(Job(lambda file: file.append(entry), None, False, True))
        self._commit_soon()
        return self._done

    def end(self, entry: AuditEntry, use: CallUse | None) -> None:
        """Complete a call's record and add its use to the sums. Never waits: it is written soon, in order. What its
        begin said (target, rule, secret, note) need not be said again."""
        begun = self._under_way.pop(entry.call_id, None)

        def write(file: AuditFile) -> None:
            file.append(entry, begun)
            if use is not None:
                file.add_use(entry.task_id, entry.group_id, use)

        job = Job(write, None, entry.is_unsafe, True)
        if entry.is_unsafe or self._file is None or self.problem:
            self._gathered.append(job)
        else:
            self._run_now(job, self._file)
        if entry.is_unsafe:
            self._commit()
        else:
            self._commit_soon()

    def _run_now(self, job: Job, file: AuditFile) -> None:
        """Give a row its place; it is committed before long, and written down with the next one that is."""
        if not self._begun:
            file.begin()
        job.run(file)
        self._begun.append(job)
        try:
            file.hand_over(HANDED_OVER_ROWS)
        except sqlite3.Error as error:
            file.roll_back()
            begun, self._begun = self._begun, []
            self._keep(begun, str(error))

    def note(self, entry: AuditEntry) -> asyncio.Future[None]:
        """Write a row that stands for itself: a denial, a fetched token, a freeze. Raises AuditFailed."""
        return self._submit(lambda file: file.append(entry), needs_sync=entry.kind not in UNSYNCED, has_row=True)

    def note_done(self, entry: AuditEntry) -> None:
        """Write a row about what has happened already and cannot be stopped any more. Never waits, never fails."""
        self._gathered.append(Job(lambda file: file.append(entry), None, True, True))
        self._commit()

    async def task_use(self, task_id: TaskId) -> TaskUse:
        """Return what a task's ended calls have used, over all its attempts and our restarts."""
        return await self._submit(lambda file: file.task_use(task_id))

    async def purse_use(self, name: str, day: str) -> TaskUse:
        """Return what the ended calls of a UTC day have used of a purse."""
        return await self._submit(lambda file: file.purse_use(name, day))

    async def use_rows(
        self, task_id: TaskId | None, since_day: str, after: ModelUseRow | None
    ) -> Sequence[ModelUseRow]:
        """Return the next page of model use by task, day and model: of one task, or of all since a UTC day."""
        return await self._read(lambda connection: read_use_rows(connection, task_id, since_day, after))

    async def usage(self, task_id: TaskId | None, day: str | None) -> Sequence[tuple[GroupId, str, Usage]]:
        """Return (group, model, use) over one task, one UTC day, or all."""
        return await self._read(lambda connection: read_usage(connection, task_id, day))

    async def calls(self, task_id: TaskId, attempt_id: AttemptId | None) -> Sequence[ProxyCall]:
        """Return the calls outside model routes that may have changed the world, in order."""
        return await self._read(lambda connection: read_calls(connection, task_id, attempt_id))

    async def taints(self, task_id: TaskId) -> Sequence[tuple[str, str]]:
        """Return (source, host) of what a task read that may hold anybody's words."""
        return await self._read(lambda connection: read_taints(connection, task_id))

    async def keys(self, task_id: TaskId) -> Sequence[tuple[AttemptId, str, str, str]]:
        """Return (attempt, when, key, the agent's own key's mark) of what a task called with an idempotency key."""
        return await self._read(lambda connection: read_keys(connection, task_id))

    async def rows(
        self, chosen: AuditFilter, *, after_seq: int | None = None, limit: int = MAX_LOG_ROWS
    ) -> Sequence[AuditRow]:
        """Return rows as they stand, in order: the first after `after_seq`, or the newest."""
        return await self.read(lambda connection: read_log(connection, chosen, after_seq=after_seq, limit=limit))

    async def totals(self, query: TotalsQuery) -> Totals:
        """Return the sums of days, as far as they are made: `upkeep.sum_up` makes the rest."""
        return await self.read(
            lambda connection: Totals(
                traffic=tuple(read_traffic(connection, query)), models=tuple(read_models(connection, query))
            )
        )

    async def mark(self, name: str) -> str | None:
        """Return a stored mark (`frozen`), None if it was never set."""
        return await self._submit(lambda file: file.mark(name))

    async def marks(self, prefix: str) -> dict[str, str]:
        """Return the stored marks whose names begin so: `quota:`."""
        return await self._submit(lambda file: file.marks(prefix))

    async def set_mark(self, name: str, value: str, entry: AuditEntry | None = None) -> None:
        """Store a mark, together with its row in the chain if it has one: then it is on the disk when this returns,
        else it outlives a killed process only."""

        def write(file: AuditFile) -> None:
            file.set_mark(name, value)
            if entry is not None:
                file.append(entry)

        await self._submit(write, needs_sync=entry is not None, has_row=entry is not None)

    async def forget_marks(self, names: Sequence[str]) -> None:
        """Remove marks."""
        await self._submit(lambda file: file.forget_marks(names))

    async def write(self, run: Callable[[AuditFile], T], *, needs_sync: bool = False) -> T:
        """Change the file in a transaction of the loop's: for `upkeep.py`. Raises AuditFailed."""
        return await self._submit(run, needs_sync=needs_sync)

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Ask what may take long, apart from the thread that others wait for before they send. Raises AuditFailed."""
        self._commit()
        try:
            return await asyncio.to_thread(read_apart, self._path, run)
        except sqlite3.Error as error:
            raise AuditFailed(str(error)) from error

    async def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the file in the thread, all that came before included."""
        self._commit()
        if self._loop is None or self._thread is None:
            raise AuditFailed("the audit is not open")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._thread.read(run, lambda value, error: settle(answer, value, error))
        return await answer

    def _opened(self) -> tuple[asyncio.AbstractEventLoop, AuditFile]:
        if self._loop is None or self._file is None:
            raise AuditFailed("the audit is not open")
        return self._loop, self._file

    def _submit(
        self, run: Callable[[AuditFile], T], *, needs_sync: bool = False, has_row: bool = False
    ) -> asyncio.Future[T]:
        """Commit at once where nobody else is at work; else at the end of the loop's round, with what others bring."""
        loop, _file = self._opened()
        answer: asyncio.Future[T] = loop.create_future()
        self._gathered.append(Job(run, answer, needs_sync, has_row))
        if len(self._under_way) <= 1:
            self._commit()
        elif self._committing is None:
            self._committing = loop.call_soon(self._commit)
        return answer

    def _commit_soon(self) -> None:
        if self._gathering is None and self._loop is not None:
            self._gathering = self._loop.call_later(GATHER_S, self._commit_gathered)

    def _commit_gathered(self) -> None:
        self._gathering = None
        self._commit()

    def _commit_again(self) -> None:
        self._retrying = None
        self._commit()

    def _commit(self) -> None:
        """Run what has gathered in one transaction, what could not be written before first; tell who waits."""
        if self._committing is not None:
            self._committing.cancel()
            self._committing = None
        begun, self._begun = self._begun, []
        jobs, self._gathered, self._unwritten = [*self._unwritten, *self._gathered], [], []
        if self._file is None or not (begun or jobs or self._gap):
            return
        try:
            if not begun:
                self._file.begin()
            if self._gap is not None and self._gap.rows:
                self._file.append(self._gap.entry())
            values = [*[None] * len(begun), *[job.run(self._file) for job in jobs]]
            self._file.commit()
        except sqlite3.Error as error:
            self._file.roll_back()
            self._keep([*begun, *jobs], str(error))
            return
        jobs = [*begun, *jobs]
        if self._gap is not None:
            log.warning("the audit can be written again", extra={"action": "audit_mended", "lost_rows": self._gap.rows})
        self._gap = None
        self._commits += 1 + len(jobs) // COMMIT_ROWS
        if any(job.needs_sync for job in jobs):
            self._sync([(job.answer, value) for job, value in zip(jobs, values, strict=True)])
            return
        for job, value in zip(jobs, values, strict=True):
            settle(job.answer, value, "")
        if self._syncing is None and self._loop is not None:
            self._syncing = self._loop.call_later(SYNC_S, self._sync, ())

    def _keep(self, jobs: Sequence[Job], reason: str) -> None:
        """Tell those who wait that nothing was written; keep what has happened already; try again before long."""
        if self._gap is None:
            log.error("the audit cannot be written: %s", reason, extra={"action": "audit_failed"})
            self._gap = Gap(datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"), reason)
        self._unwritten = [job for job in jobs if job.answer is None]
        for job in jobs:
            if job.answer is not None:
                self._gap.rows += job.has_row
                settle(job.answer, None, reason)
        if self._retrying is None and self._loop is not None:
            self._retrying = self._loop.call_later(RETRY_S, self._commit_again)

    def _sync(self, waiting: Sequence[tuple[asyncio.Future[Any] | None, Any]]) -> None:
        """Have all that is committed brought to the disk; tell then those who wait for it."""
        if self._syncing is not None:
            self._syncing.cancel()
            self._syncing = None
        file, thread = self._file, self._thread
        if file is None or thread is None:
            return
        last_seq = file.committed_seq

        def done(error: str) -> None:
            for answer, value in waiting:
                settle(answer, value, error)
            if not error:
                self._mark_synced(last_seq)

        needs_checkpoint = self._commits >= CHECKPOINT_COMMITS
        self._commits = 0 if needs_checkpoint else self._commits
        thread.sync(done, needs_checkpoint=needs_checkpoint)

    def _mark_synced(self, seq: int) -> None:
        """Between the calls, so that none waits for it."""
        if self._file is None or seq <= self._synced_seq:
            return
        self._commit()
        try:
            self._file.mark_synced(seq)
        except sqlite3.Error:  # the next row meets the same, and then it is told
            self._file.roll_back()
        else:
            self._synced_seq = seq

    def _close(self, file: AuditFile) -> None:
        if self._unwritten or self._gap is not None:
            log.error("the audit ends without rows that could not be written", extra={"action": "audit_failed"})
            file.give_up()
            return
        try:
            file.close()
        except sqlite3.Error as error:
            log.error("the audit could not be closed: %s", error, extra={"action": "audit_failed"})
            file.give_up()
