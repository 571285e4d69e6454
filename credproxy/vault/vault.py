"""Secrets at rest: SQLite rows of AES-256-GCM, a data key per secret, wrapped by a key file that only we may read.

A row's number, name, kind and the field's own name are its associated data: a ciphertext copied to another row, field
or name does not open. Rows are held in memory still encrypted; a value is opened for one request. Methods block for a
disk write at most; `add` and `remove` belong on a thread.
"""

from __future__ import annotations

import datetime
import os
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from credproxy.vault.secret import Secret, check_value, is_secret_name

Kind = Literal["key", "channel"]

KEY_BYTES = 32
NONCE_BYTES = 12
"""96 bits, random: a data key seals one value, and the wrapping key stays far below 2**32 uses."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (
    secret_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'channel')),
    key_id TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    sealed_value BLOB NOT NULL,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL
) STRICT;
"""


class VaultError(Exception):
    """What keeps the vault from being used."""


class LooseKeyFile(VaultError):
    """The vault's key file can be read by others."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(path, mode)
        self.path = path
        self.mode = mode

    def __str__(self) -> str:
        return f"the vault's key {self.path} has mode {self.mode:04o}, others could read it; run: chmod 600 {self.path}"


class KeyFileMissing(VaultError):
    """The vault holds secrets, but the key file that opens them is gone or not a key."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"the vault's key {self.path} is missing or broken, so no secret can be opened; put it back from a backup, "
            f"or move {self.path.with_name('vault.db')} away and add the secrets again"
        )


class SealBroken(VaultError):
    """A secret's row was changed from outside, or belongs to another key."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return (
            f"the secret {self.name} cannot be opened: its row was changed or sealed with another key; "
            f"run: nightyard secret add {self.name} --replace"
        )


class SecretExists(VaultError):
    """A secret of that name is there already."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"a secret named {self.name} is already in the vault"


class SecretUnknown(VaultError):
    """No secret of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"no secret named {self.name} is in the vault"


class BadSecretName(VaultError):
    """A name that settings could not name."""

    def __str__(self) -> str:
        return "a secret's name is 1-32 of a-z, 0-9 and inner hyphens"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """One row: everything about a secret, its value still encrypted."""

    secret_id: int
    name: str
    kind: Kind
    key_id: str
    wrapped_key: bytes
    sealed_value: bytes
    created_at: str
    changed_at: str


class Vault:
    """The secrets of one home."""

    def __init__(self, database: Path, key_file: Path) -> None:
        """Open or make both files; raises VaultError where that would be unsafe."""
        is_new = not database.exists()
        self._connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        try:
            database.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA secure_delete=ON")
            self._connection.executescript(_SCHEMA)
            self._rows = self._load()
            self._key = load_key(key_file, may_make=is_new or not self._rows)
        except BaseException:
            self._connection.close()
            raise
        self._key_id = "1"

    def secrets(self) -> tuple[SealedSecret, ...]:
        return tuple(sorted(self._rows.values(), key=lambda row: row.name))

    def find(self, name: str) -> SealedSecret | None:
        return self._rows.get(name)

    def open(self, name: str) -> Secret | None:
        """Return a secret's value, None if it is not there; raises SealBroken."""
        row = self._rows.get(name)
        if row is None:
            return None
        try:
            data_key = _unseal(self._key, row.wrapped_key, _context(row.secret_id, row.name, row.kind, "wrapped_key"))
            value = _unseal(data_key, row.sealed_value, _context(row.secret_id, row.name, row.kind, "sealed_value"))
            return Secret(name, value.decode("ascii"))
        except (InvalidTag, ValueError) as error:
            raise SealBroken(name) from error

    def add(self, name: str, value: str, kind: Kind, *, replace: bool = False) -> None:
        """Seal and store a value; raises BadSecretName, secret.BadValue, SecretExists."""
        if not is_secret_name(name):
            raise BadSecretName
        check_value(value)
        old = self._rows.get(name)
        if old is not None and not replace:
            raise SecretExists(name)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM secrets WHERE name = ?", (name,))
            cursor = self._connection.execute(
                "INSERT INTO secrets (name, kind, key_id, wrapped_key, sealed_value, created_at, changed_at)"
                " VALUES (?, ?, ?, x'', x'', ?, ?)",
                (name, kind, self._key_id, old.created_at if old else now, now),
            )
            secret_id = cursor.lastrowid or 0
            data_key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
            wrapped = _seal(self._key, data_key, _context(secret_id, name, kind, "wrapped_key"))
            sealed = _seal(data_key, value.encode("ascii"), _context(secret_id, name, kind, "sealed_value"))
            self._connection.execute(
                "UPDATE secrets SET wrapped_key = ?, sealed_value = ? WHERE secret_id = ?", (wrapped, sealed, secret_id)
            )
        self._rows = self._load()

    def remove(self, name: str) -> None:
        """Forget a secret; raises SecretUnknown."""
        if name not in self._rows:
            raise SecretUnknown(name)
        with self._connection:
            self._connection.execute("DELETE FROM secrets WHERE name = ?", (name,))
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._rows = self._load()

    def close(self) -> None:
        self._connection.close()

    def _load(self) -> dict[str, SealedSecret]:
        rows = self._connection.execute(
            "SELECT secret_id, name, kind, key_id, wrapped_key, sealed_value, created_at, changed_at FROM secrets"
        )
        return {
            row[1]: SealedSecret(
                secret_id=row[0],
                name=row[1],
                kind=row[2],
                key_id=row[3],
                wrapped_key=row[4],
                sealed_value=row[5],
                created_at=row[6],
                changed_at=row[7],
            )
            for row in rows
        }


def load_key(path: Path, *, may_make: bool) -> bytes:
    """Return the wrapping key; make it if allowed. Raises LooseKeyFile, KeyFileMissing."""
    if may_make and not path.exists():
        write_whole(path, os.urandom(KEY_BYTES), mode=0o600)
    if not path.exists():
        raise KeyFileMissing(path)
    refuse_loose(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise KeyFileMissing(path)
    return key


def refuse_loose(path: Path) -> None:
    """Raise LooseKeyFile if anyone but its owner may read or write a file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise LooseKeyFile(path, mode)


def write_whole(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that is never half there, and never readable by more than its mode says."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, content)
        os.fchmod(handle, mode)
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(path)


def _context(secret_id: int, name: str, kind: str, field: str) -> bytes:
    return f"nightyard vault 1|{secret_id}|{name}|{kind}|{field}".encode()


def _seal(key: bytes, plain: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def _unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
