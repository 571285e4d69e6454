"""Brings a store's file to the newest schema: `migrations/NNN_name.sql` in order, each in a transaction of its own.

`PRAGMA user_version` is the number of the last one done. A migration that has been released is never edited. Foreign
keys are not enforced while one runs, so that it may make a table anew, and are checked before it counts.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from runtime.store.errors import StoreTooNew

MIGRATIONS = Path(__file__).parent / "migrations"


def migrations(folder: Path = MIGRATIONS) -> tuple[tuple[int, Path], ...]:
    """Return the migrations by number."""
    return tuple((int(path.name[:3]), path) for path in sorted(folder.glob("[0-9][0-9][0-9]_*.sql")))


def migrate(connection: sqlite3.Connection, path: str, folder: Path = MIGRATIONS) -> int:
    """Run what is missing; return the schema's number. Raises StoreTooNew; a migration that fails changes nothing."""
    known = migrations(folder)
    newest = known[-1][0]
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > newest:
        raise StoreTooNew(path, found, newest)
    (enforced,) = connection.execute("PRAGMA foreign_keys").fetchone()
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        for number, script in known:
            if number > found:
                _run(connection, number, script.read_text("utf-8"))
    finally:
        connection.execute(f"PRAGMA foreign_keys = {enforced}")
    return newest


def _run(connection: sqlite3.Connection, number: int, script: str) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};")
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise sqlite3.IntegrityError(f"a row of {broken[0]} names no row of {broken[2]}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
