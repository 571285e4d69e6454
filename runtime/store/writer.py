"""The one thread that writes, with group commit: all jobs that wait when a commit begins share the next transaction.

Each job runs in a savepoint of its own, so that one that fails undoes only itself. Nobody is told of success before
the commit that holds it is on disk; if the commit fails, all its jobs fail with the reason.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from runtime.store.database import Database, Transaction, connect, translate, translated_errors
from runtime.store.errors import StoreBroken, StoreError, StoreMisused
from runtime.store.job_thread import MAX_WAITING, Job, JobThread

T = TypeVar("T")


class Writer:
    """Owns the connection that writes."""

    def __init__(self, database: Database, *, max_waiting: int = MAX_WAITING) -> None:
        self._path = database.path
        self._broken: StoreBroken | None = None
        with translated_errors(database.path):
            self._connection = connect(database)
        self._transaction = Transaction(self._connection, database)
        self._thread = JobThread("store-writer", self._run_batch, max_waiting=max_waiting)

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Run a job; return its value once it is on disk. Raises StoreError, and what the job raises."""
        return await self._thread.run(work)

    def close(self) -> None:
        """Commit what waits, then close the file."""
        self._thread.close()
        self._connection.close()

    def _run_batch(self, jobs: list[Job]) -> None:
        """Run jobs in one transaction; set each one's value or error."""
        try:
            if self._broken is not None:
                raise self._broken
            self._connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run_job(job)
            self._connection.execute("COMMIT")
        except (sqlite3.Error, StoreError) as error:
            self._fail_all(jobs, error)

    def _run_job(self, job: Job) -> None:
        """Run one job in a savepoint. Raises sqlite3.Error if it is the disk or the file that fails, not the job."""
        execute = self._connection.execute
        execute("SAVEPOINT job")
        try:
            job.value = job.work(self._transaction)
            self._transaction.run_waiting()
        except Exception as error:
            job.error = error
            self._transaction.forget_waiting()
            if isinstance(error, sqlite3.Error):
                job.error = translate(error, self._path)
                if not isinstance(job.error, StoreMisused) or not self._connection.in_transaction:
                    raise
            execute("ROLLBACK TO job")
        execute("RELEASE job")

    def _fail_all(self, jobs: list[Job], error: sqlite3.Error | StoreError) -> None:
        self._transaction.forget_waiting()
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            reason = translate(error, self._path)
            reason.__cause__ = error
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_FSYNC and isinstance(reason, StoreBroken):
                # After a failed sync the kernel may have dropped the pages: what is on disk is not known any more,
                # so nothing is acknowledged until a restart has read the file again.
                self._broken = reason
        else:
            reason = error
        for job in jobs:
            job.value, job.error = None, job.error or reason
