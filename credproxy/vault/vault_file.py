"""The vault's file: its tables, and each row's way in and out. What is in the rows is `vault.py`'s, sealed.

A vault of the first form (one table, one value a secret) is read here once more, to be sealed anew.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from credproxy.vault.errors import KeyMissing, NotWritten, VaultTooNew
from credproxy.vault.rows import Kind, SealedSecret, SealedValue, Slot, VaultState
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


class VaultFile:
    """One connection to the database; used by one thread at a time, but for `load`, which may be called by another."""

    def __init__(self, database: Path) -> None:
        """Open or make it; raises VaultTooNew, sqlite3.Error."""
        self._database = database
        self._connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        try:
            database.chmod(0o600)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            self.form = self._find_form()
            """0: the file is empty."""
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def changing(self) -> Iterator[None]:
        """On the disk as a whole, or not at all; raises NotWritten."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            # What is gone shall be gone from the log too: secure_delete has overwritten it in the database.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise NotWritten(self._database, str(error)) from error

    def close(self) -> None:
        self._connection.close()

    def is_empty(self) -> bool:
        return self._connection.execute("SELECT 1 FROM secrets").fetchone() is None

    def make_tables(self) -> None:
        """In place of those of the first form, if those are there."""
        if self.form == 1:
            self._connection.execute("DROP TABLE secrets")
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {FORM}")
        self.form = FORM

    def load(self) -> dict[str, SealedSecret]:
        """Return all secrets by name, each with its values in the order in which they are tried."""
        values: dict[int, list[SealedValue]] = {}
        for row in self._connection.execute(
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
        secrets = self._connection.execute(
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

    def insert_secret(self, secret: SealedSecret) -> SealedSecret:
        """Return it with its number."""
        cursor = self._connection.execute(
            "INSERT INTO secrets (name, kind, type, source, preset, created_at, changed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                secret.name,
                secret.kind,
                secret.type,
                secret.source,
                secret.preset,
                secret.created_at,
                secret.changed_at,
            ),
        )
        return dataclasses.replace(secret, secret_id=cursor.lastrowid or 0)

    def insert_value(
        self, secret: SealedSecret, *, slot: Slot, version: int, position: int, key_id: str, created_at: str
    ) -> SealedValue:
        """Return its row, with nothing sealed in it yet: its number is part of what is sealed."""
        cursor = self._connection.execute(
            "INSERT INTO secret_values"
            " (secret_id, slot, position, version, key_id, wrapped_key, sealed, revision, created_at)"
            " VALUES (?, ?, ?, ?, ?, x'', x'', 1, ?)",
            (secret.secret_id, slot, position, version, key_id, created_at),
        )
        return SealedValue(
            value_id=cursor.lastrowid or 0,
            slot=slot,
            position=position,
            version=version,
            ends_at=None,
            key_id=key_id,
            wrapped_key=b"",
            sealed=b"",
            revision=1,
            created_at=created_at,
        )

    def update_value(self, value: SealedValue) -> None:
        self._connection.execute(
            "UPDATE secret_values SET slot = ?, position = ?, ends_at = ?, key_id = ?, wrapped_key = ?, sealed = ?,"
            " revision = ? WHERE value_id = ?",
            (
                value.slot,
                value.position,
                value.ends_at,
                value.key_id,
                value.wrapped_key,
                value.sealed,
                value.revision,
                value.value_id,
            ),
        )

    def touch(self, secret: SealedSecret, changed_at: str) -> None:
        self._connection.execute(
            "UPDATE secrets SET changed_at = ? WHERE secret_id = ?", (changed_at, secret.secret_id)
        )

    def delete_secret(self, name: str) -> None:
        """With its values."""
        self._connection.execute("DELETE FROM secrets WHERE name = ?", (name,))

    def delete_value(self, value: SealedValue) -> None:
        self._connection.execute("DELETE FROM secret_values WHERE value_id = ?", (value.value_id,))

    def delete_ended(self, now: float) -> None:
        self._connection.execute("DELETE FROM secret_values WHERE ends_at <= ?", (now,))

    def write_state(self, state: VaultState) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO vault_key (only, key_id, place, created_at) VALUES (1, ?, ?, ?)",
            (state.key_id, state.place, state.key_made_at),
        )

    def read_state(self) -> VaultState:
        row = self._connection.execute("SELECT key_id, place, created_at FROM vault_key").fetchone()
        return VaultState(key_id=row[0], place=row[1], key_made_at=row[2])

    def read_form_1(self, key: bytes, where: str) -> list[Old]:
        """Return what a vault of the first form holds. Raises KeyMissing if nothing of it opens: then the key is
        another one, and nothing may be thrown away."""
        if self.form != 1:
            return []
        rows = self._connection.execute(
            "SELECT secret_id, name, kind, wrapped_key, sealed_value, created_at, changed_at"
            " FROM secrets ORDER BY secret_id"
        ).fetchall()
        found = [
            Old(name=row[1], kind=row[2], value=_open_1(row, key), created_at=row[5], changed_at=row[6]) for row in rows
        ]
        if found and all(each.value is None for each in found):
            raise KeyMissing(where, self._database)
        return found

    def _find_form(self) -> int:
        form = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if form > FORM:
            raise VaultTooNew(self._database)
        if form == 0 and self._connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'secrets'").fetchone():
            return 1
        return form


def _open_1(row: Sequence[Any], key: bytes) -> str | None:
    secret_id, name, kind, wrapped, sealed = row[:5]
    try:
        data_key = unseal(key, wrapped, context_1(secret_id, name, kind, "wrapped_key"))
        return unseal(data_key, sealed, context_1(secret_id, name, kind, "sealed_value")).decode("ascii")
    except ValueError:
        return None
