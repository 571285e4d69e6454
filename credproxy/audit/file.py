"""The audit's file: append-only, hash-chained rows in SQLite, and the sums that limits are counted by.

`audit.py` is what the rest of the proxy talks to: it writes here on the loop, whose commits do not wait for the disk;
`audit_thread.py` does. Rows hold targets as they were before injection, so no secret can be in them.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from credproxy.audit.task_use import TaskUse
from protocol.ids import AttemptId, CallId, DoorId, GroupId, TaskId
from protocol.proxy_admin import ProxyCall, ProxyDenial
from protocol.task import Lease, Usage

MAX_DENIALS_TOLD = 100
GENESIS = b"\0" * 32
BUSY_TIMEOUT_S = 0.5
"""Nobody else writes this file; the loop stands still for no longer than this if somebody does."""
MODEL_CALL = "model"
"""The detail of a model call's `begin`."""

Kind = Literal["start", "unclean", "stop", "begin", "end", "denied", "secret", "freeze"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,                -- ISO 8601, UTC
    kind TEXT NOT NULL,
    door_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    call_id TEXT NOT NULL,           -- joins a call's begin and end
    target TEXT NOT NULL,            -- METHOD scheme://host[:port]/path, before injection, without the query
    rule TEXT NOT NULL,              -- the grant or route that allowed it
    secret TEXT NOT NULL,            -- the name of what was injected, never its value
    is_unsafe INTEGER NOT NULL,      -- may change the world, and is no model call
    status INTEGER,                  -- of the upstream's answer, in `end`; NULL: no answer was seen
    detail TEXT NOT NULL,            -- JSON, by kind
    hash BLOB NOT NULL               -- SHA-256 of the hash before and of all columns above
) STRICT;
CREATE INDEX IF NOT EXISTS unsafe_by_task ON entries (task_id) WHERE is_unsafe = 1;
CREATE INDEX IF NOT EXISTS unsafe_by_call ON entries (call_id) WHERE is_unsafe = 1;
CREATE INDEX IF NOT EXISTS denied_by_task ON entries (task_id) WHERE kind = 'denied';
CREATE TABLE IF NOT EXISTS model_use (
    task_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    day TEXT NOT NULL,               -- UTC
    model TEXT NOT NULL,             -- empty: a call that has not ended
    model_calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    calls_without_price INTEGER NOT NULL,
    PRIMARY KEY (task_id, group_id, day, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS model_use_by_day ON model_use (day);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

_encode = json.JSONEncoder(separators=(",", ":")).encode
_COLUMNS = (
    "seq, at, kind, door_id, group_id, task_id, attempt_id, call_id, target, rule, secret, is_unsafe, status, detail"
)
_INSERT = f"INSERT INTO entries ({_COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_USE = """
INSERT INTO model_use VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    model_calls = model_calls + excluded.model_calls,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cost_usd = cost_usd + excluded.cost_usd,
    calls_without_price = calls_without_price + excluded.calls_without_price
"""
# A call that began and never ended, because the process was killed, still counts as a call.
_COUNT_LOST_CALLS = """
SELECT began.task_id, began.group_id, substr(began.at, 1, 10), count(*) FROM entries AS began
    LEFT JOIN entries AS ended ON ended.call_id = began.call_id AND ended.kind = 'end' AND ended.seq > :started
    WHERE began.seq > :started AND began.kind = 'begin' AND began.detail = :detail AND ended.seq IS NULL
    GROUP BY 1, 2, 3
"""


class ChainBroken(Exception):
    """A row of the audit does not follow from the one before it."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq

    def __str__(self) -> str:
        return f"the audit's row {self.seq} was changed, or a row before it removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One row, before it has its place in the chain."""

    kind: Kind
    door_id: str = ""
    group_id: str = ""
    task_id: str = ""
    attempt_id: str = ""
    call_id: str = ""
    target: str = ""
    rule: str = ""
    secret: str = ""
    is_unsafe: bool = False
    status: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUse:
    """A model call's use, to be added to the sums."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None


def entry_of(kind: Kind, door_id: DoorId, lease: Lease | None, **fields: Any) -> AuditEntry:
    """Return an entry with the lease's ids."""
    if lease is None:
        return AuditEntry(kind=kind, door_id=door_id, **fields)
    return AuditEntry(
        kind=kind,
        door_id=door_id,
        group_id=lease.group_id,
        task_id=lease.task_id,
        attempt_id=lease.attempt_id,
        **fields,
    )


class AuditFile:
    """The open file. Every call belongs in a transaction of `begin` and `commit`, or `roll_back`."""

    def __init__(self, path: Path) -> None:
        """Open or make it; the chain then says that a run begins, and if the last did not end. Raises sqlite3.Error."""
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        try:
            self._take_up(path)
        except BaseException:
            self._connection.close()
            raise

    def _take_up(self, path: Path) -> None:
        path.chmod(0o600)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)
        last = self._connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        self.last_seq: int = last[0] if last else 0
        self._last_hash: bytes = last[1] if last else GENESIS
        self._before = (self.last_seq, self._last_hash)
        self.synced_seq = self._marked_synced_seq = 0
        self._say_begin()
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")

    def begin(self) -> None:
        """Begin a transaction."""
        self._before = (self.last_seq, self._last_hash)
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End it: kept whatever becomes of this process; on the disk after the next sync. `synced_seq`, which whoever
        syncs sets, is marked along the way: after a power cut the rows up to there are known to be all."""
        if self.synced_seq > self._marked_synced_seq:
            self.set_mark("synced", str(self.synced_seq))
            self._marked_synced_seq = self.synced_seq
        self._connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Forget the transaction, its places in the chain too."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self.last_seq, self._last_hash = self._before
        self._marked_synced_seq = 0

    def append(self, entry: AuditEntry) -> None:
        """Give an entry its place in the chain."""
        values = (
            self.last_seq + 1,
            _now(),
            entry.kind,
            entry.door_id,
            entry.group_id,
            entry.task_id,
            entry.attempt_id,
            entry.call_id,
            entry.target,
            entry.rule,
            entry.secret,
            int(entry.is_unsafe),
            entry.status,
            entry.detail,
        )
        row_hash = hash_row(self._last_hash, values)
        self._connection.execute(_INSERT, (*values, row_hash))
        self.last_seq, self._last_hash = self.last_seq + 1, row_hash

    def add_use(self, task_id: str, group_id: str, use: CallUse) -> None:
        """Add an ended model call to the sums."""
        values = (
            task_id,
            group_id,
            _now()[:10],
            use.model,
            1,
            use.input_tokens,
            use.output_tokens,
            use.cost_usd or 0.0,
            int(use.cost_usd is None),
        )
        self._connection.execute(_ADD_USE, values)

    def set_mark(self, name: str, value: str) -> None:
        self._connection.execute(
            "INSERT INTO marks VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value)
        )

    def mark(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def task_use(self, task_id: TaskId) -> TaskUse:
        """Return the sums of a task's ended calls."""
        row = self._connection.execute(
            "SELECT coalesce(sum(model_calls), 0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),"
            " coalesce(sum(cost_usd), 0.0), coalesce(sum(calls_without_price), 0) FROM model_use WHERE task_id = ?",
            (task_id,),
        ).fetchone()
        return TaskUse(
            model_calls=row[0],
            input_tokens=row[1],
            output_tokens=row[2],
            cost_usd=row[3],
            is_cost_known=row[4] == 0,
        )

    def denials(self, task_id: TaskId) -> list[ProxyDenial]:
        """Return what the task was refused, in order; of a very stubborn one the newest."""
        rows = self._connection.execute(
            "SELECT target, detail, at FROM entries WHERE kind = 'denied' AND task_id = ? ORDER BY seq DESC LIMIT ?",
            (task_id, MAX_DENIALS_TOLD),
        ).fetchall()
        return [ProxyDenial(target=target, code=code, at=at) for target, code, at in reversed(rows)]

    def close(self) -> None:
        """Say in the chain that the run ended as it should, and close."""
        self._connection.execute("PRAGMA synchronous = FULL")
        self.begin()
        self.append(AuditEntry(kind="stop"))
        self.set_mark("running", "no")
        self.synced_seq = self.last_seq
        self.commit()
        self._connection.close()

    def _say_begin(self) -> None:
        self.begin()
        if self.mark("running") == "yes":
            started = self._connection.execute("SELECT max(seq) FROM entries WHERE kind = 'start'").fetchone()[0] or 0
            lost = self._connection.execute(_COUNT_LOST_CALLS, {"started": started, "detail": MODEL_CALL}).fetchall()
            for task_id, group_id, day, calls in lost:
                self._connection.execute(_ADD_USE, (task_id, group_id, day, "", calls, 0, 0, 0.0, 0))
            self.append(AuditEntry(kind="unclean", detail=f"synced up to row {self.mark('synced') or 0}"))
        self.append(AuditEntry(kind="start"))
        self.set_mark("running", "yes")
        self.set_mark("synced", str(self.last_seq))
        self.commit()


def read_usage(
    connection: sqlite3.Connection, task_id: TaskId | None, day: str | None
) -> list[tuple[GroupId, str, Usage]]:
    """Return (group, model, use) over one task, one UTC day, or all."""
    rows = connection.execute(
        "SELECT group_id, model, sum(model_calls), sum(input_tokens), sum(output_tokens), sum(cost_usd),"
        " sum(calls_without_price) FROM model_use"
        " WHERE (:task_id IS NULL OR task_id = :task_id) AND (:day IS NULL OR day = :day)"
        " GROUP BY group_id, model ORDER BY group_id, model",
        {"task_id": task_id, "day": day},
    )
    return [(GroupId(row[0]), row[1], _usage_of(row[2:])) for row in rows]


def read_calls(connection: sqlite3.Connection, task_id: TaskId, attempt_id: AttemptId | None) -> list[ProxyCall]:
    """Return the calls outside model routes that may have changed the world, in order."""
    rows = connection.execute(
        "SELECT began.call_id, began.target, began.at, ended.status FROM entries AS began"
        " LEFT JOIN entries AS ended"
        " ON ended.call_id = began.call_id AND ended.kind = 'end' AND ended.is_unsafe = 1"
        " WHERE began.task_id = :task_id AND began.is_unsafe = 1 AND began.kind = 'begin'"
        " AND (:attempt_id IS NULL OR began.attempt_id = :attempt_id) ORDER BY began.seq",
        {"task_id": task_id, "attempt_id": attempt_id},
    )
    return [ProxyCall(call_id=CallId(row[0]), target=row[1], began_at=row[2], status=row[3]) for row in rows]


def verify_chain(path: Path) -> int:
    """Return how many rows the audit has, all in their places; raises ChainBroken. Reads the whole file."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        last_hash, count = GENESIS, 0
        for row in connection.execute(f"SELECT {_COLUMNS}, hash FROM entries ORDER BY seq"):
            count += 1
            if row[0] != count or hash_row(last_hash, row[:-1]) != row[-1]:
                raise ChainBroken(row[0])
            last_hash = row[-1]
        return count
    finally:
        connection.close()


def hash_row(before: bytes, values: Sequence[object]) -> bytes:
    """Return a row's place in the chain."""
    return hashlib.sha256(before + _encode(values).encode("ascii")).digest()


def _usage_of(sums: Sequence[Any]) -> Usage:
    calls, input_tokens, output_tokens, cost_usd, calls_without_price = sums
    return Usage(
        model_calls=calls,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost_usd if calls_without_price == 0 else None,
    )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
