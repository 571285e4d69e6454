"""The journal in the store: chained, without texts, append-only."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from runtime.journal import JournalKind
from runtime.store import journal_rows
from runtime.store.database import Transaction
from runtime.store.errors import StoreMisused
from runtime.store.journal_rows import append, append_by
from runtime.store.records import JournalCheck
from runtime.store.store import Store, open_store
from tests.runtime.store.support import CHAT, MAIN, answered, claimed, filed, said


async def test_every_change_of_state_is_in_a_whole_chain(store: Store) -> None:
    """A message's way to its reply writes entries that follow one another without a gap."""
    await answered(store)
    check = await store.verify_journal()
    tail = await store.journal_tail()
    assert (check.entries, check.broken_at) == (len(tail), None)
    assert [entry.seq for entry in tail] == list(range(1, len(tail) + 1))
    assert [entry.kind for entry in await store.journal_tail(2)] == [entry.kind for entry in tail[-2:]]


async def test_the_journal_holds_no_text(store: Store, tmp_path: Path) -> None:
    """What people and agents say, and who they are on a platform, is nowhere in the journal."""
    await filed(store, said("a secret sentence"))
    await answered(store, "another secret sentence")
    await store.save_person(said().person, "Anna", "owner", "cli")
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        rows = str(connection.execute("SELECT * FROM journal").fetchall())
    connection.close()
    assert "secret" not in rows
    assert CHAT not in rows
    assert "telegram" not in rows


async def test_a_failed_job_leaves_no_entry(store: Store) -> None:
    """What was not done is not in the journal, and the chain goes on behind it."""
    claim = await claimed(store)
    before = await store.journal_tail()
    waiting = await filed(store, said())
    with pytest.raises(Exception, match="busy"):
        await store.claim_messages([waiting.message_id])
    assert len(await store.journal_tail()) == len(before) + 1
    assert (await store.verify_journal()).broken_at is None
    assert claim.task.state == "running"


async def test_the_journal_is_append_only(store: Store, tmp_path: Path) -> None:
    """The file itself refuses to change or delete an entry."""
    await store.new_session(MAIN, CHAT)
    connection = sqlite3.connect(tmp_path / "store.db")
    for change in ("UPDATE journal SET kind = 'x'", "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(change)
    connection.close()


@pytest.mark.parametrize(
    ("change", "broken_at"),
    [
        ("UPDATE journal SET refs = '{}' WHERE seq = 3", 3),
        ("DELETE FROM journal WHERE seq = 2", 2),
        ("UPDATE journal SET seq = 99 WHERE seq = 4", 4),
    ],
)
async def test_tampering_is_found(tmp_path: Path, change: str, broken_at: int) -> None:
    """An entry changed, dropped or moved behind the store's back is named by its place."""
    async with open_store(tmp_path) as store:
        await answered(store)
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.executescript(f"DROP TRIGGER journal_no_update; DROP TRIGGER journal_no_delete; {change};")
    connection.close()
    async with open_store(tmp_path) as store:
        check = await store.verify_journal()
    assert check.broken_at == broken_at
    assert check.reason


async def test_a_long_chain_is_checked_in_pieces(store: Store) -> None:
    """A chain longer than one piece is checked to its end."""
    length = journal_rows.CHECKED_AT_ONCE + 10
    await asyncio.gather(*(store.new_session(MAIN, CHAT) for _ in range(length)))
    assert await store.verify_journal() == JournalCheck(entries=length, broken_at=None)


async def test_entries_of_one_job_are_chained_in_order_and_go_with_it(store: Store) -> None:
    """They are written together at its end; who did something stands beside its entry, and a job that fails leaves none
    of them, nor a gap for those that follow."""

    def note(transaction: Transaction, *, fails: bool) -> None:
        append(transaction, JournalKind.MESSAGE_QUEUED, "one", message="m1")
        append_by(transaction, JournalKind.SKILL_MOUNTED, "cli", group="main", skill="tour")
        append(transaction, JournalKind.MESSAGE_CLAIMED, message="m1", task="t1")
        if fails:
            raise StoreMisused("a job's own mistake")

    before = len(await store.journal_tail())
    with pytest.raises(StoreMisused):
        await store.write(note, fails=True)
    assert len(await store.journal_tail()) == before
    await store.write(note, fails=False)
    assert [(entry.kind, entry.by) for entry in (await store.journal_tail())[before:]] == [
        ("message_queued", ""),
        ("skill_mounted", "cli"),
        ("message_claimed", ""),
    ]
    assert (await store.verify_journal()).broken_at is None
