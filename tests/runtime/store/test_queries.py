"""The named statements: their form, and that none of them reads a table that grows from end to end."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.store import queries
from runtime.store.migrate import migrate
from runtime.store.queries import join_queries, parse_queries

STORE = Path(queries.__file__).parent
QUERIES = join_queries(file.read_text("utf-8") for file in sorted((STORE / "sql").glob("*.sql")))
GROWING = {"raw_updates", "payloads", "messages", "tasks", "attempts", "steps", "transcript", "outbox", "receipts"}
NEWEST_BY_ROW = {"recent_messages"}
"""Read from the end of the table by its row number, up to a limit."""
ONCE_IN_A_LIFE = {
    "direct_chats_of",
    "files_of_person",
    "open_work_of",
    "tasks_with_person",
    "tasks_asked_by",
    "told_in_chat",
}
"""To forget somebody every table is read from end to end: an index would be paid for by every message."""


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        migrate(opened, ":memory:")
        yield opened


def test_statements_are_read_by_name() -> None:
    """Each statement stands under its name, without its comments."""
    text = "-- A file.\n\n-- name: one\n-- First.\nSELECT 1;\n\n-- name: two\n-- Second.\nSELECT\n    2;\n"
    assert parse_queries(text) == {"one": "SELECT 1;", "two": "SELECT\n    2;"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SELECT 1;\n-- name: one\n-- First.\nSELECT 1;", "before the first name"),
        ("-- name: one\nSELECT 1;", "no comment"),
        ("-- name: one\n-- First.\nSELECT 1", "one statement"),
        ("-- name: one\n-- First.\nSELECT 1; SELECT 2;", "one statement"),
        ("-- name: one\n-- First.\nSELECT 1;\n-- name: one\n-- Second.\nSELECT 2;", "named one"),
    ],
)
def test_a_statement_out_of_form_is_refused(text: str, fault: str) -> None:
    """A statement without a name, comment or end, or with the name of another, is an error."""
    with pytest.raises(ValueError, match=fault):
        parse_queries(text)


def test_two_files_may_not_share_a_name() -> None:
    """A name that stands in two files is an error, not a silent replacement."""
    with pytest.raises(ValueError, match="named one"):
        join_queries(["-- name: one\n-- First.\nSELECT 1;\n", "-- name: one\n-- Second.\nSELECT 2;\n"])


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_statement_fits_the_schema_and_stays_fast(name: str, connection: sqlite3.Connection) -> None:
    """Every statement compiles on the newest schema and reads growing tables only through an index."""
    values = dict.fromkeys(re.findall(r":([a-z_0-9]+)", QUERIES[name]))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {QUERIES[name]}", values)]
    aliases = dict(re.findall(r"(?:FROM|JOIN) (\w+) AS (\w)\b", QUERIES[name]))
    growing = GROWING | {alias for table, alias in aliases.items() if table in GROWING}
    scans = [line for line in plan if (found := re.fullmatch(r"SCAN (\w+)", line)) and found[1] in growing]
    assert scans == [] or name in NEWEST_BY_ROW | ONCE_IN_A_LIFE


def test_every_statement_is_used() -> None:
    """No statement stands in the files that no row function asks for."""
    code = "".join(path.read_text("utf-8") for path in STORE.glob("*.py"))
    assert [name for name in QUERIES if f'"{name}"' not in code] == []
