"""The audit's file: append-only, hash-chained rows in SQLite, and the sums that limits are counted by.

`log.py` is what the rest of the proxy talks to: it writes here on the loop, whose commits do not wait for the disk;
`thread.py` does. What is asked of the file is in `records.py`, its chain in `chain.py`. Rows hold targets as they were
before injection, so no secret can be in them.
"""

from __future__ import annotations

import datetime
import operator
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from credproxy.audit.begun import BegunRows, rows_behind, use_told_in
from credproxy.audit.chain import CUT_MARK, SYNCED_MARK, cut_detail, hash_text, read_cut, text_of_row
from credproxy.audit.entry import MODEL_CALL, AuditEntry, CallUse, DaySum
from credproxy.audit.migrate import migrate
from credproxy.audit.statements import ADD_DAY, ADD_PURSE_USE, ADD_USE, FOLD_USE, INSERT, INSERT_TWO, LOST_CALLS
from credproxy.audit.task_use import TaskUse
from protocol.ids import TaskId

MAX_HOSTS_A_DAY = 2000
"""Of one group, in the daily sums; what comes beyond is summed as OTHER_HOSTS: an agent may invent names for ever."""
OTHER_HOSTS = "(others)"
BUSY_TIMEOUT_S = 0.5
"""Nobody else writes this file; the loop stands still for no longer than this if somebody does."""
SUMMED_MARK = "summed"
"""The last row that is in the daily sums."""


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
        migrate(self._connection)
        last = self._connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        self.last_seq: int
        self._last_hash: bytes
        self.last_seq, self._last_hash = last or read_cut(self._connection)
        self._spelt: list[tuple[bytes, bytes]] = []
        """Hash and text of this transaction's rows that are not written down beside the file."""
        self.committed_seq = self.last_seq
        """Of the last row that is in the file, and not only beside it."""
        self._before = (self.last_seq, self._last_hash)
        self._appended: list[tuple[object, ...]] = []
        """Rows of this transaction that sqlite has not been given yet."""
        self._added: dict[tuple[str, tuple[str, ...]], tuple[float, ...]] = {}
        """By statement and key: what this transaction adds to sums, likewise."""
        self._second = 0
        self._second_text = ""
        self._begun = BegunRows(path.with_suffix(".begun"))
        try:
            self._take_over_begun()
            self._say_begin()
        except BaseException:
            self._begun.close(keep=True)
            raise
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._connection.execute("PRAGMA cache_size = -512")  # KiB: rows are added at the end, and the sums are few

    def begin(self) -> None:
        """Begin a transaction; sqlite hears of it when it must."""
        self._before = (self.last_seq, self._last_hash)

    def commit(self) -> None:
        """End it: kept whatever becomes of this process; on the disk after the next sync."""
        if len(self._appended) <= 2 and not self._added and not self._connection.in_transaction:
            self._commit_few()
        else:
            self._execute("COMMIT")
        self.committed_seq = self.last_seq
        self._spelt.clear()
        self._begun.clear()

    def _commit_few(self) -> None:
        """A single statement is a transaction by itself: half of what four take."""
        rows, self._appended = self._appended, []
        if len(rows) == 2:
            self._connection.execute(INSERT_TWO, (*rows[0], *rows[1]))
        elif rows:
            self._connection.execute(INSERT, rows[0])

    def _written(self) -> sqlite3.Connection:
        """Return the connection, in a transaction that holds all that was appended."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        if self._appended:
            rows, self._appended = self._appended, []
            self._connection.executemany(INSERT, rows)
        if self._added:
            added, self._added = self._added, {}
            for (statement, key), numbers in added.items():
                self._connection.execute(statement, (*key, *numbers))
        return self._connection

    def _execute(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        return self._written().execute(statement, values)

    def roll_back(self) -> None:
        """Forget the transaction, its places in the chain too."""
        self._appended, self._added = [], {}
        self._spelt.clear()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self.last_seq, self._last_hash = self._before

    def mark_synced(self, seq: int) -> None:
        """In a transaction of its own: after a power cut the rows up to there are known to be all."""
        self.begin()
        self.set_mark(SYNCED_MARK, str(seq))
        self.commit()

    def append(self, entry: AuditEntry, begun: AuditEntry | None = None) -> None:
        """Give an entry its place in the chain. `begun`: the entry of the same call's begin, for what both have: a row
        can be read by itself, and its begin may be removed before it."""
        told = begun or entry
        seq = self.last_seq + 1
        values = (
            seq,
            self._now(),
            entry.kind,
            entry.door_id,
            entry.group_id,
            entry.task_id,
            entry.attempt_id,
            entry.call_id,
            entry.target or told.target,
            entry.rule or told.rule,
            entry.secret or told.secret,
            int(entry.is_unsafe),
            entry.status,
            entry.detail,
            entry.note or told.note,
            entry.request_sha256 or told.request_sha256,
            entry.response_sha256,
        )
        text = text_of_row(values)
        row_hash = hash_text(self._last_hash, text)
        self._appended.append((*values, row_hash))
        self._spelt.append((row_hash, text))
        self.last_seq, self._last_hash = seq, row_hash

    def write_down(self) -> None:
        """Have what was appended outlive this process, before it is committed. Raises OSError."""
        self._begun.add(self._spelt)
        self._spelt.clear()

    def hand_over(self, rows: int) -> None:
        """Give sqlite what was appended if it is as many rows as that, so that the commit has less to do. Raises
        sqlite3.Error."""
        if len(self._appended) >= rows:
            self._written()

    def add_use(self, task_id: str, group_id: str, use: CallUse) -> None:
        """Add an ended model call to the sums."""
        day = self._now()[:10]
        numbers = (use.input_tokens, use.output_tokens, use.cost_usd or 0.0)
        self._add(ADD_USE, (task_id, group_id, day, use.model, use.route), (1, *numbers, int(use.cost_usd is None)))
        for purse in use.purses:
            self._add(ADD_PURSE_USE, (day, purse), (1, *numbers))

    def _add(self, statement: str, key: tuple[str, ...], numbers: tuple[float, ...]) -> None:
        """Add to a sum with what else this transaction adds to it."""
        before = self._added.get((statement, key))
        self._added[statement, key] = numbers if before is None else tuple(map(operator.add, before, numbers))

    def set_mark(self, name: str, value: str) -> None:
        self._execute("INSERT INTO marks VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value))

    def marks(self, prefix: str) -> dict[str, str]:
        rows = self._execute("SELECT name, value FROM marks WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
        return {str(name): str(value) for name, value in rows}

    def forget_marks(self, names: Iterable[str]) -> None:
        self._written().executemany("DELETE FROM marks WHERE name = ?", [(name,) for name in names])

    def mark(self, name: str) -> str | None:
        row = self._execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def task_use(self, task_id: TaskId) -> TaskUse:
        """Return the sums of a task's ended calls."""
        row = self._execute(
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

    def purse_use(self, name: str, day: str) -> TaskUse:
        """Return what was paid from a purse in a day."""
        row = self._execute(
            "SELECT model_calls, input_tokens, output_tokens, cost_usd FROM purse_use WHERE day = ? AND purse = ?",
            (day, name),
        ).fetchone()
        calls, input_tokens, output_tokens, cost_usd = row or (0, 0, 0, 0.0)
        return TaskUse(model_calls=calls, input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd)

    def add_day_sums(self, sums: Iterable[DaySum], up_to: int) -> None:
        """Add to the daily sums what the rows up to `up_to` say."""
        hosts: dict[tuple[str, str], set[str]] = {}
        for each in sums:
            place = (each.day, each.group_id)
            if place not in hosts:
                hosts[place] = self._hosts_of(each.day, each.group_id)
            host = each.host
            if host not in hosts[place] and len(hosts[place]) >= MAX_HOSTS_A_DAY:
                host = OTHER_HOSTS
            hosts[place].add(host)
            numbers = (each.requests, each.denied, each.failed, each.request_bytes, each.response_bytes)
            self._execute(ADD_DAY, (each.day, each.group_id, host, each.secret, *numbers))
        self.set_mark(SUMMED_MARK, str(up_to))

    def _hosts_of(self, day: str, group_id: str) -> set[str]:
        rows = self._execute("SELECT host FROM daily WHERE day = ? AND group_id = ?", (day, group_id))
        return {str(host) for (host,) in rows}

    def say_cut(self, up_to: int) -> None:
        """Say in the chain that the rows up to there will be removed."""
        (last_hash,) = self._execute("SELECT hash FROM entries WHERE seq = ?", (up_to,)).fetchone()
        self.append(AuditEntry(kind="retention", detail=cut_detail(up_to, last_hash)))

    def cut(self, up_to: int, most: int) -> bool:
        """Remove at most so many rows up to there, as a row of the chain says; return whether that was all."""
        cut_seq, _hash = read_cut(self._written())
        end = min(up_to, cut_seq + most)
        if end <= cut_seq:
            return True
        (last_hash,) = self._execute("SELECT hash FROM entries WHERE seq = ?", (end,)).fetchone()
        self._execute("DELETE FROM entries WHERE seq <= ?", (end,))
        self.set_mark(CUT_MARK, f"{end}:{last_hash.hex()}")
        return end == up_to

    def fold_use(self, before_day: str) -> None:
        """Sum up the model use of tasks from the oldest day before that, by group and model: nothing asks for one of
        those tasks any more. A day at once: a clock in the wrong year must not empty the tasks of today."""
        oldest = "SELECT min(day) FROM model_use WHERE task_id != '' AND day < ?"
        (day,) = self._execute(oldest, (before_day,)).fetchone()
        self._execute(FOLD_USE, (day,))
        self._execute("DELETE FROM model_use WHERE day = ? AND task_id != ''", (day,))

    def forget_day(self, before_day: str) -> None:
        """Remove the sums of the oldest day before that."""
        for table in ("daily", "model_use", "purse_use"):
            oldest = f"SELECT min(day) FROM {table} WHERE day < ?"
            self._execute(f"DELETE FROM {table} WHERE day = ({oldest})", (before_day,))

    def give_up(self) -> None:
        """Close without a word: what could not be written is missing, and the next start says that it may be."""
        self._connection.close()
        self._begun.close(keep=True)

    def close(self) -> None:
        """Say in the chain that the run ended as it should, and close."""
        self._connection.execute("PRAGMA synchronous = FULL")
        self.begin()
        self.append(AuditEntry(kind="stop"))
        self.set_mark("running", "no")
        self.set_mark(SYNCED_MARK, str(self.last_seq))
        self.commit()
        self._connection.close()
        self._begun.close()

    def _now(self) -> str:
        """Return the time as ISO 8601, UTC, with milliseconds. All but those is spelt once a second."""
        second, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
        if second != self._second:
            self._second = second
            self._second_text = datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{milliseconds:03d}+00:00"

    def _take_over_begun(self) -> None:
        """Append what a killed process had written down and not committed."""
        self.begin()
        for row in rows_behind(self._begun.read(), self.last_seq, self._last_hash):
            self._appended.append(row)
            told = use_told_in(row)
            if told is not None:
                self._add(ADD_USE, *told)
            self.last_seq += 1
            self._last_hash = row[-1]
        self.commit()

    def _say_begin(self) -> None:
        self.begin()
        if self.mark("running") == "yes":
            started = self._execute("SELECT max(seq) FROM entries WHERE kind = 'start'").fetchone()[0] or 0
            lost = self._execute(LOST_CALLS, {"started": started}).fetchall()
            for task_id, group_id, day, detail, rule, calls in lost:
                if detail == MODEL_CALL:
                    self._execute(
                        ADD_USE, (task_id, group_id, day, "", rule.removeprefix("route:"), calls, 0, 0, 0.0, 0)
                    )
            without_end = sum(row[-1] for row in lost)
            synced = self.mark(SYNCED_MARK) or 0
            detail = f"synced up to row {synced}; calls without an end: {without_end}"
            self.append(AuditEntry(kind="unclean", detail=detail))
        self.append(AuditEntry(kind="start"))
        self.set_mark("running", "yes")
        self.set_mark(SYNCED_MARK, str(self.last_seq))
        self.commit()
