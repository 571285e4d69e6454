"""Opening the file: made, found again, refused."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from pathlib import Path

import pytest

from runtime.store.database import open_database, utc_now
from runtime.store.errors import StoreBroken, StoreLocked, StoreTooNew
from runtime.store.store import open_store


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_fresh_home_gets_private_files(tmp_path: Path) -> None:
    """The store, its log and its key are made readable for their owner alone."""
    async with open_store(tmp_path) as store:
        await store.set_frozen(True, "cli")
        names = {path.name: mode_of(path) for path in tmp_path.iterdir()}
    assert set(names) == {"store.db", "store.db-wal", "store.db-shm", "journal.key"}
    assert set(names.values()) == {0o600}


async def test_a_store_without_its_key_is_refused(tmp_path: Path) -> None:
    """The journal cannot go on under another key, so a lost one is said, and a shortened one too."""
    async with open_store(tmp_path) as store:
        await store.set_frozen(True, "cli")
    key = tmp_path / "journal.key"
    key.write_bytes(b"short")
    with pytest.raises(StoreBroken, match=r"journal\.key is not 32 bytes"):
        open_database(tmp_path, utc_now)
    key.unlink()
    with pytest.raises(StoreBroken, match=r"journal\.key is gone"):
        open_database(tmp_path, utc_now)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    """Something else under the store's name is named, not written over."""
    open_database(tmp_path, utc_now)
    (tmp_path / "store.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreBroken, match="not a database"):
        open_database(tmp_path, utc_now)
    assert (tmp_path / "store.db").read_bytes().startswith(b"this is no database")


def test_a_home_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing folder gives the store's error with its path."""
    with pytest.raises(StoreBroken, match="nowhere"):
        open_database(tmp_path / "nowhere", utc_now)


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    """A file of a newer schema is left alone and the way out is said."""
    database = open_database(tmp_path, utc_now)
    with contextlib.closing(sqlite3.connect(database.path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreTooNew, match="schema 999"):
        open_database(tmp_path, utc_now)


async def test_a_file_locked_by_another_program_is_said(tmp_path: Path) -> None:
    """Somebody's open transaction on the file gives an error that says so, and the store goes on when it has ended."""
    async with open_store(tmp_path, busy_timeout_s=0.05) as store:
        with contextlib.closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreLocked, match="locked"):
                await store.set_frozen(True, "cli")
            other.execute("ROLLBACK")
        await store.set_frozen(True, "cli")
        assert await store.is_frozen()
