"""The file under the store: opening it, what a job may do in a transaction, and SQLite's errors in our words.

Threads and commits are writer.py's and reader.py's business; what the statements are, the files' under sql/.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runtime.store.errors import StoreBroken, StoreError, StoreFull, StoreLocked, StoreMisused
from runtime.store.migrate import migrate
from runtime.store.queries import join_queries

FILE_NAME = "store.db"
KEY_NAME = "journal.key"
KEY_BYTES = 32
BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for another process that reads or backs up the file."""

_BROKEN = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A migrated file and what is needed to work on it."""

    path: Path
    key: bytes
    queries: Mapping[str, str]
    clock: Callable[[], datetime]
    busy_timeout_s: float


class Transaction:
    """What a job works with: named statements, the journal's key and the time, on one connection."""

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self._connection = connection
        self._queries = database.queries
        self._clock = database.clock
        self.key = database.key
        self.path = database.path
        self.journal_end: tuple[int, str] | None = None
        """The journal's last seq and hash as this connection wrote them; None: the file knows."""
        self._later: dict[str, list[Mapping[str, object]]] = {}

    @property
    def connection(self) -> sqlite3.Connection:
        """For the few jobs whose statements are made from the schema."""
        return self._connection

    def now(self) -> datetime:
        return self._clock()

    def now_text(self) -> str:
        return time_text(self._clock())

    def one(self, query: str, **values: object) -> sqlite3.Row | None:
        """Return the first row, or None."""
        row: sqlite3.Row | None = self._connection.execute(self._queries[query], values).fetchone()
        return row

    def all(self, query: str, **values: object) -> list[sqlite3.Row]:
        """Return all rows."""
        return self._connection.execute(self._queries[query], values).fetchall()

    def run(self, query: str, **values: object) -> int:
        """Run a change; return how many rows it changed."""
        return self._connection.execute(self._queries[query], values).rowcount

    def run_later(self, query: str, **values: object) -> None:
        """Run a change at the job's end, in one go with its like: a quarter of what each takes by itself."""
        self._later.setdefault(query, []).append(values)

    def run_waiting(self) -> None:
        """Run what was put off; for the job's end, and before what was put off is read."""
        while self._later:
            query = next(iter(self._later))
            self._connection.executemany(self._queries[query], self._later.pop(query))

    def forget_waiting(self) -> None:
        """Hear that the job is undone."""
        self._later.clear()
        self.journal_end = None

    def insert(self, query: str, **values: object) -> int:
        """Run an INSERT; return the new row's number."""
        number = self._connection.execute(self._queries[query], values).lastrowid
        if number is None:
            raise StoreMisused(f"{query} is not an INSERT")
        return number


def open_database(home: Path, clock: Callable[[], datetime], busy_timeout_s: float = BUSY_TIMEOUT_S) -> Database:
    """Make or migrate the file in the home, with the journal's key beside it. Raises StoreError."""
    path = home / FILE_NAME
    with translated_errors(path):
        key = _load_or_make_key(home)
        path.touch(mode=0o600)
        database = Database(path=path, key=key, queries=_load_queries(), clock=clock, busy_timeout_s=busy_timeout_s)
        with contextlib.closing(connect(database)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise StoreBroken(str(path), f"its file system allows no write-ahead log, only {mode}")
            migrate(connection, str(path))
    return database


def open_for_reading(home: Path) -> Database:
    """Return the file as it is, nothing made and nothing migrated: for who looks at it beside its host."""
    key = (home / KEY_NAME).read_bytes()
    return Database(
        path=home / FILE_NAME, key=key, queries=_load_queries(), clock=utc_now, busy_timeout_s=BUSY_TIMEOUT_S
    )


def connect(database: Database, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a connection for one thread; transactions are begun and ended by hand."""
    connection = sqlite3.connect(
        database.path,
        timeout=database.busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.row_factory = sqlite3.Row
    try:
        # FULL: in WAL mode each commit is on disk when it returns. The reply to the platform rests on it.
        for pragma in ("synchronous = FULL", "foreign_keys = ON", f"query_only = {'ON' if read_only else 'OFF'}"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Raise StoreFull, StoreBroken or StoreMisused in place of SQLite's and the system's errors."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error | OSError, path: Path) -> StoreError:
    """Return our error for one of SQLite's or the system's."""
    if isinstance(error, OSError):
        return (
            StoreFull(str(path))
            if error.errno == errno.ENOSPC
            else StoreBroken(str(path), error.strerror or str(error))
        )
    detailed = getattr(error, "sqlite_errorcode", 0)
    code = detailed & 0xFF  # the low byte is the kind, the rest its detail
    # SQLite says the latter where there is no room for the log's index, as when a file is opened on a full disk.
    if code == sqlite3.SQLITE_FULL or detailed == sqlite3.SQLITE_IOERR_SHMSIZE:
        return StoreFull(str(path))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLocked(str(path))
    if code in _BROKEN:
        return StoreBroken(str(path), f"{getattr(error, 'sqlite_errorname', 'SQLITE')}: {error}")
    return StoreMisused(str(error))


def utc_now() -> datetime:
    return datetime.now(UTC)


def time_text(moment: datetime) -> str:
    """Return an aware time as the text the store keeps. `strftime` takes four times as long."""
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def time_of(text: str) -> datetime:
    """Return the aware time that a stored text says."""
    return datetime.fromisoformat(text)


@functools.cache
def _load_queries() -> Mapping[str, str]:
    return join_queries(file.read_text("utf-8") for file in sorted((Path(__file__).parent / "sql").glob("*.sql")))


def _load_or_make_key(home: Path) -> bytes:
    path = home / KEY_NAME
    if path.exists():
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise StoreBroken(str(home / FILE_NAME), f"{path} is not {KEY_BYTES} bytes long")
        return key
    if (home / FILE_NAME).exists() and (home / FILE_NAME).stat().st_size > 0:
        raise StoreBroken(str(home / FILE_NAME), f"its journal's key {path} is gone")
    key = os.urandom(KEY_BYTES)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(home)
    return key


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
