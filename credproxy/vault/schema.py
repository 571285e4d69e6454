"""The vault's tables, and how a vault of the first form becomes one of this. The SQL of changes is `vault.py`'s."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag

from credproxy.vault.errors import KeyMissing, VaultTooNew
from credproxy.vault.rows import Kind, SealedSecret, SealedValue
from credproxy.vault.seal import context_1, unseal

FORM = 2
KEY_ID_1 = "1"
"""What the first form called its only key, whichever it was."""

SCHEMA = """
CREATE TABLE secrets (
    secret_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'channel')),
    type TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('vault', 'env', 'file', 'command')),
    preset TEXT NOT NULL,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL
) STRICT;
CREATE TABLE secret_values (
    value_id INTEGER PRIMARY KEY AUTOINCREMENT,
    secret_id INTEGER NOT NULL REFERENCES secrets (secret_id) ON DELETE CASCADE,
    slot TEXT NOT NULL CHECK (slot IN ('current', 'previous', 'reserve')),
    position INTEGER NOT NULL,
    version INTEGER NOT NULL,
    ends_at REAL,
    key_id TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    sealed BLOB NOT NULL,
    revision INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (secret_id, slot, position)
) STRICT;
CREATE TABLE vault_key (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    key_id TEXT NOT NULL,
    place TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Old:
    """A secret of the first form, opened."""

    name: str
    kind: Kind
    value: str | None
    """None: it does not open."""
    created_at: str
    changed_at: str


def form_of(connection: sqlite3.Connection, database: Path) -> int:
    """Return which form a vault has, 0 for an empty file; raises VaultTooNew."""
    form = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if form > FORM:
        raise VaultTooNew(database)
    if form == 0 and connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'secrets'").fetchone():
        return 1
    return form


def make_tables(connection: sqlite3.Connection) -> None:
    """Within the caller's transaction."""
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {FORM}")


def read_form_1(connection: sqlite3.Connection, key: bytes, where: str, database: Path) -> list[Old]:
    """Return what a vault of the first form holds. Raises KeyMissing if nothing of it opens: then the key is another
    one, and nothing may be thrown away."""
    rows = connection.execute(
        "SELECT secret_id, name, kind, wrapped_key, sealed_value, created_at, changed_at"
        " FROM secrets ORDER BY secret_id"
    )
    found = [
        Old(name=row[1], kind=row[2], value=_open_1(row, key), created_at=row[5], changed_at=row[6])
        for row in rows.fetchall()
    ]
    if found and all(each.value is None for each in found):
        raise KeyMissing(where, database)
    return found


def _open_1(row: Sequence[Any], key: bytes) -> str | None:
    secret_id, name, kind, wrapped, sealed = row[:5]
    try:
        data_key = unseal(key, wrapped, context_1(secret_id, name, kind, "wrapped_key"))
        return unseal(data_key, sealed, context_1(secret_id, name, kind, "sealed_value")).decode("ascii")
    except (InvalidTag, ValueError):
        return None


def load_rows(connection: sqlite3.Connection) -> dict[str, SealedSecret]:
    """Return all secrets by name, each with its values in the order in which they are tried."""
    values: dict[int, list[SealedValue]] = {}
    for row in connection.execute(
        "SELECT secret_id, value_id, slot, position, version, ends_at, key_id, wrapped_key, sealed, revision,"
        " created_at FROM secret_values ORDER BY slot = 'reserve', slot = 'previous', position"
    ):
        value = SealedValue(
            value_id=row[1],
            slot=row[2],
            position=row[3],
            version=row[4],
            ends_at=row[5],
            key_id=row[6],
            wrapped_key=row[7],
            sealed=row[8],
            revision=row[9],
            created_at=row[10],
        )
        values.setdefault(row[0], []).append(value)
    secrets = connection.execute(
        "SELECT secret_id, name, kind, type, source, preset, created_at, changed_at FROM secrets"
    )
    return {
        row[1]: SealedSecret(
            secret_id=row[0],
            name=row[1],
            kind=row[2],
            type=row[3],
            source=row[4],
            preset=row[5],
            created_at=row[6],
            changed_at=row[7],
            values=tuple(values.get(row[0], ())),
        )
        for row in secrets
    }
