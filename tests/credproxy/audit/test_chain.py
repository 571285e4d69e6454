"""The chain: every word of a row is in it, the front may be cut only as it says, the end may not be missing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.audit.chain import (
    COLUMNS,
    FIRST_COLUMNS,
    GENESIS,
    ChainBroken,
    hash_row,
    text_of,
    text_of_row,
    verify_chain,
)
from credproxy.audit.jobs import AuditFailed
from credproxy.audit.log import Audit
from tests.credproxy.audit.rows import ask, begin, call, change

OLD_SCHEMA = (Path(__file__).parents[3] / "credproxy" / "audit" / "migrations" / "001_spine.sql").read_text("utf-8")


async def fill(path: Path, calls: int = 5) -> None:
    async with Audit(path) as audit:
        for number in range(calls):
            await call(audit, number, note="reserve 1", request_sha256="ab", rule="main:1")


@pytest.mark.parametrize("column", [name for name in COLUMNS if name not in ("seq", "status", "is_unsafe")])
async def test_every_column_is_in_the_chain(tmp_path: Path, column: str) -> None:
    """A row that says something else than it did is found, whichever word was changed."""
    path = tmp_path / "audit.db"
    await fill(path)
    assert verify_chain(path).rows == 12
    change(path, f"UPDATE entries SET {column} = 'other' WHERE seq = 5")
    with pytest.raises(ChainBroken) as broken:
        verify_chain(path)
    assert (broken.value.seq, broken.value.rows) == (5, 4)


@given(st.tuples(*[st.sampled_from(("", "a"))] * 3), st.tuples(*[st.sampled_from(("", "a"))] * 3))
def test_empty_words_at_the_end_change_no_meaning(some: tuple[str, ...], others: tuple[str, ...]) -> None:
    """Rows that differ in a late column differ in their hash, though empty ones are left out of it."""
    first = tuple(range(FIRST_COLUMNS))
    is_same = hash_row(GENESIS, (*first, *some)) == hash_row(GENESIS, (*first, *others))
    assert is_same == (some == others)


@given(
    st.integers(1),
    st.tuples(*[st.text()] * 10),
    st.integers(0, 1),
    st.none() | st.integers(100, 599),
    st.tuples(*[st.text(max_size=2)] * 4),
)
def test_whole_row_is_spelt_as_any(
    seq: int, first: tuple[str, ...], unsafe: int, status: int | None, last: tuple[str, ...]
) -> None:
    """The quick way to spell a row says the same, byte for byte, whatever stands in it."""
    at, kind, door, group, task, attempt, call_id, target, rule, secret = first
    detail, note, request_sha, response_sha = last
    values = (
        *(seq, at, kind, door, group, task, attempt, call_id, target, rule, secret),
        *(unsafe, status, detail, note, request_sha, response_sha),
    )
    assert text_of_row(values) == text_of(values)


async def test_rows_missing_at_the_end_are_found(tmp_path: Path) -> None:
    """What was brought to the disk cannot be gone from there."""
    path = tmp_path / "audit.db"
    await fill(path)
    change(path, "DELETE FROM entries WHERE seq > 7")
    with pytest.raises(ChainBroken, match="from 8 to 12 are missing at its end"):
        verify_chain(path)


async def test_rows_taken_from_the_front_are_found(tmp_path: Path) -> None:
    """Nobody else may cut: neither by deleting alone, nor with the mark that a cut leaves."""
    path = tmp_path / "audit.db"
    await fill(path)
    (digest,) = ask(path, "SELECT lower(hex(hash)) FROM entries WHERE seq = 3")[0]
    change(path, "DELETE FROM entries WHERE seq <= 3")
    with pytest.raises(ChainBroken):
        verify_chain(path)
    change(path, f"INSERT INTO marks VALUES ('cut', '3:{digest}')")
    with pytest.raises(ChainBroken, match="rows up to 3 of the audit are gone, and no row of it says why"):
        verify_chain(path)
    change(path, "UPDATE marks SET value = 'nonsense' WHERE name = 'cut'")
    with pytest.raises(ChainBroken):
        verify_chain(path)


async def test_a_noted_head_shows_a_chain_that_was_written_anew(tmp_path: Path) -> None:
    """Whoever can write the file can forge all of it; a hash that was noted elsewhere then no longer fits."""
    path, forged = tmp_path / "audit.db", tmp_path / "forged.db"
    await fill(path)
    check = verify_chain(path)
    head = (check.last_seq, check.last_hash)
    await fill(path)
    assert verify_chain(path, head).rows == 24
    await fill(forged)
    await fill(forged)
    assert verify_chain(forged).rows == 24
    with pytest.raises(ChainBroken, match="it was written anew"):
        verify_chain(forged, head)
    with pytest.raises(ChainBroken, match="before the row 99"):
        verify_chain(path, (99, check.last_hash))


async def test_a_file_of_the_first_form_is_taken_up(tmp_path: Path) -> None:
    """It verifies as it stands, is brought to the new form when the proxy starts, and its old rows verify then too."""
    path = tmp_path / "audit.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(OLD_SCHEMA)
    last = GENESIS
    for seq in range(1, 4):
        values = (seq, "2026-01-01", "denied", "", "g", "t", "", "", "GET x", "", "", 0, None, "code")
        last = hash_row(last, values)
        connection.execute(f"INSERT INTO entries VALUES ({', '.join('?' * 15)})", (*values, last))
    connection.close()
    assert verify_chain(path).rows == 3
    await fill(path, 1)
    assert verify_chain(path).rows == 7
    change(path, "UPDATE entries SET note = 'approval by owner' WHERE seq = 2")
    with pytest.raises(ChainBroken):
        verify_chain(path)


async def test_a_file_of_a_newer_form_is_refused(tmp_path: Path) -> None:
    """It is not written to by a program that does not know what it should say."""
    path = tmp_path / "audit.db"
    await fill(path, 1)
    change(path, "PRAGMA user_version = 99")
    with pytest.raises(AuditFailed, match="form 99"):
        async with Audit(path) as audit:
            await audit.begin(begin(1))


async def test_an_end_says_what_its_begin_said(tmp_path: Path) -> None:
    """Each row can be read by itself: target, rule, key and note of the begin stand in the end too."""
    path = tmp_path / "audit.db"
    await fill(path, 1)
    rows = ask(path, "SELECT target, rule, secret, note, request_sha256 FROM entries WHERE kind IN ('begin', 'end')")
    assert len(rows) == 2
    assert rows[0] == rows[1]
    assert rows[0][1:] == ("main:1", "key", "reserve 1", "ab")
