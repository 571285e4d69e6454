"""Audits as tests want them: calls, rows with times of their own, what stands in the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from credproxy.audit.chain import COLUMNS, GENESIS, hash_row
from credproxy.audit.entry import AuditEntry
from credproxy.audit.log import Audit
from credproxy.audit.migrate import migrate

_MARKS = ", ".join("?" * (len(COLUMNS) + 1))
TARGET = "GET https://api.example.org/x"


def begin(number: int, **fields: Any) -> AuditEntry:
    """The row before a call."""
    usual = {"group_id": "main", "task_id": "task_1", "target": TARGET, "rule": "main:1", "secret": "key"}
    return AuditEntry(kind="begin", call_id=f"call_{number}", **{**usual, **fields})


def end(number: int, **fields: Any) -> AuditEntry:
    """The row after it, as the pipeline writes it: without what its begin has said."""
    usual = {"group_id": "main", "task_id": "task_1", "status": 200}
    usual["detail"] = '{"request_bytes":10,"response_bytes":100}'
    return AuditEntry(kind="end", call_id=f"call_{number}", **{**usual, **fields})


async def call(audit: Audit, number: int, **fields: Any) -> None:
    """A whole call."""
    await audit.begin(begin(number, **fields))
    audit.end(end(number, group_id=fields.get("group_id", "main")), None)


def write_audit(path: Path, times: Iterable[str]) -> None:
    """Make an audit whose rows were written at these times, as a run that was killed leaves it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    migrate(connection)
    last, seq = GENESIS, 0
    connection.execute("BEGIN")
    for seq, at in enumerate(times, 1):
        named = {"seq": seq, "at": at, "kind": "denied", "group_id": "main", "target": TARGET, "is_unsafe": 0}
        values = tuple(named.get(column, None if column == "status" else "") for column in COLUMNS)
        last = hash_row(last, values)
        connection.execute(f"INSERT INTO entries ({', '.join(COLUMNS)}, hash) VALUES ({_MARKS})", (*values, last))
    connection.execute("INSERT INTO marks VALUES ('synced', ?)", (str(seq),))
    connection.execute("COMMIT")
    connection.close()


def change(path: Path, script: str) -> None:
    """Change a file behind the audit's back."""
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.commit()
    connection.close()


def ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute(query).fetchall()
    connection.close()
    return found
