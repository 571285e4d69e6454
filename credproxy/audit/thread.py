"""The audit's one thread: it waits for the disk, so that the loop need not, and answers what may take long to read.

It has a connection of its own to the file that `audit_file.py` writes on the loop, and never writes a row.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
_sync_file: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
"""Linux need not write the log's times as well; others have only the one."""


@dataclass(frozen=True, slots=True)
class _Sync:
    done: Callable[[str], None]
    needs_checkpoint: bool


@dataclass(frozen=True, slots=True)
class _Read:
    run: Callable[[sqlite3.Connection], Any]
    done: Callable[[Any, str], None]


class AuditThread:
    """Started when made. What it is given to call when done is called on the loop, with an error's text or nothing."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        """The file must be open on the loop, so that its write-ahead log is there. Raises OSError."""
        self._path = path
        self._loop = loop
        self._log_file = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        self._jobs: queue.SimpleQueue[_Sync | _Read | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def sync(self, done: Callable[[str], None], *, needs_checkpoint: bool) -> None:
        """Bring all that is committed to the disk; then, if asked, copy the log into the file."""
        self._jobs.put(_Sync(done, needs_checkpoint))

    def read(self, run: Callable[[sqlite3.Connection], T], done: Callable[[T, str], None]) -> None:
        self._jobs.put(_Read(run, done))

    def end(self, timeout_s: float) -> None:
        """Blocking: do what is left, and end."""
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            jobs: list[_Sync | _Read] = []
            job = self._jobs.get()
            while job is not None:
                jobs.append(job)
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            is_over = job is None
            self._sync_for([job for job in jobs if isinstance(job, _Sync)])
            for job in jobs:
                if isinstance(job, _Read):
                    self._read_for(job)
        if self._connection is not None:
            self._connection.close()
        os.close(self._log_file)

    def _sync_for(self, jobs: list[_Sync]) -> None:
        """Wait for the disk once for all who ask; a checkpoint comes after they have been told."""
        if not jobs:
            return
        error = ""
        try:
            _sync_file(self._log_file)
        except OSError as failure:
            error = str(failure)
            log.error("the audit cannot be synced: %s", failure, extra={"action": "audit_failed"})
        for job in jobs:
            self._tell(job.done, error)
        if any(job.needs_checkpoint for job in jobs) and not error:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Copy what no reader needs any more into the file: never waits for the loop, nor the loop for it."""
        try:
            self._open().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            log.warning("the audit's log was not copied into its file: %s", error, extra={"action": "audit_checkpoint"})

    def _read_for(self, job: _Read) -> None:
        try:
            value = job.run(self._open())
        except sqlite3.Error as error:
            self._tell(job.done, None, str(error))
        else:
            self._tell(job.done, value, "")

    def _open(self) -> sqlite3.Connection:
        """Opened when first needed."""
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, isolation_level=None)
        return self._connection

    def _tell(self, done: Callable[..., None], *outcome: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(done, *outcome)
