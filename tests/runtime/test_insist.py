"""Facts that must not be dropped wait for a store that cannot take them just now."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runtime.insist import insist
from runtime.store.errors import StoreLocked
from runtime.store.store import open_store


async def test_a_file_that_another_program_keeps_locked_is_waited_for(tmp_path: Path) -> None:
    """A backup or somebody's shell in a transaction must not end the host: what is to be stored waits for its end."""
    async with asyncio.timeout(20), open_store(tmp_path, busy_timeout_s=0.05) as store:
        with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreLocked):
                await store.set_frozen(True, "cli")
            tried = asyncio.Event()

            async def write() -> None:
                tried.set()
                await store.set_frozen(True, "cli")

            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(insist(write, "a fact"))
                await tried.wait()
                tried.clear()
                await tried.wait()  # it has tried again
                assert not waiting.done()
                other.execute("ROLLBACK")
        assert await store.is_frozen()
