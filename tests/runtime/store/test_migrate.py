"""Schema changes by number."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.store.errors import StoreTooNew
from runtime.store.migrate import migrate, migrations


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        yield opened


def version(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def tables(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM sqlite_schema ORDER BY name")]


def write(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(script)


def test_migrations_are_numbered_without_gaps() -> None:
    """The shipped migrations count from 1, so that none can be forgotten."""
    assert [number for number, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_only_what_is_missing_is_run(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """A file that has the first migrations gets only the later ones, in order."""
    write(tmp_path, "001_one.sql", "CREATE TABLE one (a);")
    assert migrate(connection, "x", tmp_path) == 1
    write(tmp_path, "002_two.sql", "CREATE TABLE two (a);")
    write(tmp_path, "003_three.sql", "ALTER TABLE two ADD COLUMN b;")
    assert migrate(connection, "x", tmp_path) == 3
    assert tables(connection) == ["one", "two"]
    assert migrate(connection, "x", tmp_path) == 3


def test_a_migration_that_fails_changes_nothing(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Half a migration is undone; those before it stay."""
    write(tmp_path, "001_one.sql", "CREATE TABLE one (a);")
    write(tmp_path, "002_two.sql", "CREATE TABLE two (a); CREATE TABLE one (a);")
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, "x", tmp_path)
    assert (version(connection), tables(connection)) == (1, ["one"])


def test_a_newer_schema_is_refused(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """A file of a newer version of the product is not touched."""
    write(tmp_path, "001_one.sql", "CREATE TABLE one (a);")
    connection.execute("PRAGMA user_version = 7")
    with pytest.raises(StoreTooNew, match="schema 7"):
        migrate(connection, "x", tmp_path)
    assert tables(connection) == []


FILLED = """
INSERT INTO raw_updates (raw_id, channel_id, event_id, raw, received_at)
VALUES (1, 'c', 'e', x'', 't'), (2, 'c', 'f', x'', 't');
INSERT INTO payloads (payload_id, subject, body)
VALUES (1, 'c:ada', '{}'), (2, 'main', '{"text": "Hello", "reason": ""}'), (3, 'main', '{}'),
    (4, 'main', '{"text": "x"}');
INSERT INTO chats (chat, channel_id, chat_kind, seen_at) VALUES ('c:1', 'c', 'direct', 't');
INSERT INTO sessions (session_id, group_id, chat, started_at) VALUES ('s1', 'main', 'c:1', 't');
INSERT INTO tasks (task_id, group_id, session_id, submitter, chat, reply_to, state, code, spec_id, result_id,
    created_at, ended_at)
VALUES ('t1', 'main', 's1', 'person:c:ada', 'c:1', 'p1', 'reply', '', 3, 2, 't1', 't2'),
    ('t2', 'main', 's1', 'person:c:ada', 'c:1', 'p2', 'running', '', NULL, NULL, 't3', NULL);
INSERT INTO messages (seq, message_id, raw_id, state, channel_id, chat, person, kind, platform_message_id, group_id,
    session_id, task_id, payload_id, received_at)
VALUES (1, 'm1', 1, 'answered', 'c', 'c:1', 'c:ada', 'message', 'p1', 'main', 's1', 't1', 1, 't'),
    (2, 'm2', 2, 'claimed', 'c', 'c:1', 'c:ada', 'message', 'p2', 'main', 's1', 't2', 1, 't');
INSERT INTO attempts (attempt_id, task_id, number, state, started_at)
VALUES ('a1', 't1', 1, 'ended', 't'), ('a2', 't2', 1, 'running', 't');
INSERT INTO steps (task_id, step_index, attempt_id, kind, label, payload_id, stored_at)
VALUES ('t1', 0, 'a1', 'model_turn', '', 3, 't');
INSERT INTO transcript (session_id, position, task_id, role, payload_id) VALUES ('s1', 0, 't1', 'user', 3);
INSERT INTO outbox (outbox_id, idempotency_key, task_id, channel_id, chat, payload_id, next_try_at, created_at)
VALUES (1, 't1/reply', 't1', 'c', 'c:1', 4, 't', 't');
"""


def shipped(folder: Path, upto: int) -> Path:
    """Return a folder with the shipped migrations up to a number."""
    folder.mkdir(exist_ok=True)
    for number, path in migrations():
        if number <= upto:
            (folder / path.name).write_text(path.read_text("utf-8"))
    return folder


def rows(connection: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def test_a_filled_spine_keeps_every_row_and_rule(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Tasks are made anew with their rows, views, indexes and foreign keys; what runs may be suspended now."""
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection, "x", shipped(tmp_path / "one", 1))
    connection.executescript(FILLED)
    columns = "task_id, group_id, session_id, submitter, chat, reply_to, state, code, spec_id, result_id, created_at"
    before = rows(connection, f"SELECT {columns} FROM tasks ORDER BY task_id")
    named = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    indexes = {name for (name,) in rows(connection, named)}
    migrate(connection, "x", shipped(tmp_path / "two", 2))

    assert rows(connection, f"SELECT {columns} FROM tasks ORDER BY task_id") == before
    assert indexes <= {name for (name,) in rows(connection, named)}
    assert rows(connection, "SELECT task_id, reply, messages, attempts, steps FROM v_tasks") == [
        ("t1", "Hello", 1, 1, 1),
        ("t2", None, 1, 1, 0),
    ]
    assert rows(connection, "PRAGMA foreign_key_check") == []
    assert rows(connection, "PRAGMA foreign_keys") == [(1,)]
    for broken in (
        "DELETE FROM tasks WHERE task_id = 't1'",
        "UPDATE messages SET task_id = 'none' WHERE message_id = 'm1'",
        "UPDATE tasks SET state = 'running' WHERE task_id = 't1'",
        "UPDATE tasks SET state = 'odd' WHERE task_id = 't1'",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(broken)
    connection.execute("UPDATE tasks SET state = 'suspended' WHERE task_id = 't2'")
    connection.execute("UPDATE tasks SET state = 'running' WHERE task_id = 't1'")


def test_a_migration_that_breaks_a_foreign_key_changes_nothing(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """A table made anew without a row that another names is noticed before it counts."""
    write(tmp_path, "001_one.sql", "CREATE TABLE a (id PRIMARY KEY); CREATE TABLE b (a_id REFERENCES a (id));")
    migrate(connection, "x", tmp_path)
    connection.execute("INSERT INTO a VALUES (1)")
    connection.execute("INSERT INTO b VALUES (1)")
    write(tmp_path, "002_two.sql", "DROP TABLE a; CREATE TABLE a (id PRIMARY KEY);")
    with pytest.raises(sqlite3.IntegrityError, match="row of b"):
        migrate(connection, "x", tmp_path)
    assert (version(connection), rows(connection, "SELECT * FROM a")) == (1, [(1,)])
