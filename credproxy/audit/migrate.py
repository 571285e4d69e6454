"""Brings the audit's file to the newest form: `migrations/NNN_name.sql` in order, each in a transaction of its own.

`PRAGMA user_version` is the number of the last one done. A migration that has been released is never edited.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"


class AuditTooNew(Exception):
    """The audit's file was written by a newer Nightyard."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(found, known)
        self.found = found
        self.known = known

    def __str__(self) -> str:
        return f"the audit has form {self.found}, this Nightyard knows up to {self.known}; use the newer one again"


def migrate(connection: sqlite3.Connection) -> None:
    """Run what is missing. Raises AuditTooNew, sqlite3.Error; a migration that fails changes nothing."""
    scripts = {int(path.name[:3]): path for path in sorted(MIGRATIONS.glob("[0-9][0-9][0-9]_*.sql"))}
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > max(scripts):
        raise AuditTooNew(found, max(scripts))
    for number, script in scripts.items():
        if number > found:
            _run(connection, number, script.read_text("utf-8"))


def _run(connection: sqlite3.Connection, number: int, script: str) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
