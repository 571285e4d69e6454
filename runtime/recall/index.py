"""The search index: passages in an SQLite file of its own, found by FTS5. Blocks: call it in a thread.

It holds nothing that is not in the store or in a memory folder: it may be deleted at any time, and is then made anew
at the next search. So a forgotten person's words go by deleting it.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from protocol.ids import GroupId
from runtime.recall.passages import cut
from runtime.recall.records import EVERYBODY, NOBODY, Looker, Passage, PassageKind, Turn
from runtime.recall.vectors import Vector, differing_signs, nearness

FILE_NAME = "recall.db"
_VERSION = 2
_TABLES = f"""
CREATE TABLE passages (
    passage_id INTEGER PRIMARY KEY,
    group_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    audience TEXT NOT NULL,
    at TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX passages_source ON passages (group_id, kind, source);
CREATE TABLE files (
    group_id TEXT NOT NULL, path TEXT NOT NULL, stamp TEXT NOT NULL, PRIMARY KEY (group_id, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE reached (seq INTEGER NOT NULL) STRICT;
INSERT INTO reached VALUES (0);
CREATE VIRTUAL TABLE words USING fts5 (
    text, content='passages', content_rowid='passage_id', tokenize="unicode61 remove_diacritics 2"
);
CREATE TABLE vectors (
    passage_id INTEGER NOT NULL, model TEXT NOT NULL, signs BLOB NOT NULL, numbers BLOB NOT NULL,
    PRIMARY KEY (passage_id, model)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER passages_added AFTER INSERT ON passages BEGIN
    INSERT INTO words (rowid, text) VALUES (new.passage_id, new.text);
END;
CREATE TRIGGER passages_removed AFTER DELETE ON passages BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.passage_id, old.text);
    DELETE FROM vectors WHERE passage_id = old.passage_id;
END;
PRAGMA user_version = {_VERSION};
"""
_SEARCH = """
SELECT p.group_id, p.kind, p.source, p.audience, p.at, p.text FROM words
JOIN passages AS p ON p.passage_id = words.rowid
WHERE words MATCH ? AND p.group_id = ? AND ({seen}) ORDER BY words.rank, p.at DESC LIMIT ?
"""


_WITHOUT_VECTOR = """
SELECT p.passage_id, p.text FROM passages AS p WHERE p.group_id = ? AND NOT EXISTS (
    SELECT 1 FROM vectors AS v WHERE v.passage_id = p.passage_id AND v.model = ?)
ORDER BY p.at DESC, p.passage_id DESC LIMIT ?
"""
_ADD_VECTOR = """
INSERT OR IGNORE INTO vectors SELECT passage_id, ?, ?, ? FROM passages WHERE passage_id = ? AND text = ?
"""
_SIGNS = """
SELECT p.passage_id, v.signs FROM passages AS p JOIN vectors AS v ON v.passage_id = p.passage_id AND v.model = ?
WHERE p.group_id = ? AND ({seen})
"""
_NUMBERS = """
SELECT p.group_id, p.kind, p.source, p.audience, p.at, p.text, v.numbers FROM passages AS p
JOIN vectors AS v ON v.passage_id = p.passage_id AND v.model = ? WHERE p.passage_id = ?
"""
CANDIDATES = 200
"""Of those whose signs differ least, so many are looked at closely."""


class RecallIndex:
    """One file in the home; any thread may use it, one after the other."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME

    def drop(self) -> None:
        """Delete everything: it comes back, from what is still there, at the next search."""
        for suffix in ("", "-journal"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def reached(self) -> int:
        """Return the journal's entry up to which ended tasks are in."""
        with self._opened() as connection:
            (seq,) = connection.execute("SELECT seq FROM reached").fetchone()
        return int(seq)

    def add_turns(self, turns: Iterable[Turn], reached: int) -> None:
        """Take in what was said in ended tasks, up to an entry of the journal."""
        with self._opened() as connection:
            for turn in turns:
                self._replace(connection, turn.group_id, "talk", turn.task_id, turn.chat or NOBODY, turn.at, turn.text)
            connection.execute("UPDATE reached SET seq = ?", (reached,))

    def stamps(self, group_id: GroupId) -> dict[str, str]:
        """Return the memory files that are in, each with what it was known by."""
        with self._opened() as connection:
            rows = connection.execute("SELECT path, stamp FROM files WHERE group_id = ?", (group_id,))
            return {row["path"]: row["stamp"] for row in rows}

    def set_file(self, group_id: GroupId, path: str, stamp: str, at: str, text: str) -> None:
        """Take a memory file in, in place of what it was."""
        with self._opened() as connection:
            self._replace(connection, group_id, "memory", path, EVERYBODY, at, text)
            connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (group_id, path, stamp))

    def remove_file(self, group_id: GroupId, path: str) -> None:
        """Take a memory file out that is not there any more."""
        with self._opened() as connection:
            self._replace(connection, group_id, "memory", path, EVERYBODY, "", "")
            connection.execute("DELETE FROM files WHERE group_id = ? AND path = ?", (group_id, path))

    def search(self, group_id: GroupId, expression: str, looker: Looker, most: int) -> Sequence[Passage]:
        """Return the best passages of a group that the looker may see; `expression` is FTS5's."""
        seen, audiences = _seen_by(looker)
        given = (expression, group_id, *audiences, most)
        with self._opened() as connection:
            return [Passage(**dict(row)) for row in connection.execute(_SEARCH.format(seen=seen), given)]

    def without_vector(self, group_id: GroupId, model: str, most: int) -> dict[int, str]:
        """Return the newest passages of a group of which no vector by this model is known, by their numbers."""
        with self._opened() as connection:
            rows = connection.execute(_WITHOUT_VECTOR, (group_id, model, most))
            return {row["passage_id"]: row["text"] for row in rows}

    def add_vectors(self, model: str, vectors: Iterable[tuple[int, str, Vector]]) -> None:
        """Take in what passages mean, each with its number and text: one that is another by now is left out."""
        with self._opened() as connection:
            connection.executemany(
                _ADD_VECTOR,
                ((model, each.signs, each.numbers, number, text) for number, text, each in vectors),
            )

    def nearest(self, group_id: GroupId, model: str, asked: Vector, looker: Looker, most: int) -> Sequence[Passage]:
        """Return the passages of a group nearest to a question, of those that the looker may see, nearest first."""
        seen, audiences = _seen_by(looker)
        signs = int.from_bytes(asked.signs, "big")
        with self._opened() as connection:
            rows = connection.execute(_SIGNS.format(seen=seen), (model, group_id, *audiences))
            near = heapq.nsmallest(CANDIDATES, ((differing_signs(signs, row[1]), row[0]) for row in rows))
            found = []
            for _, number in near:
                row = dict(connection.execute(_NUMBERS, (model, number)).fetchone())
                found.append((nearness(asked, row.pop("numbers")), number, Passage(**row)))
        return [passage for _, _, passage in sorted(found, key=lambda each: (-each[0], each[1]))[:most]]

    def _replace(
        self,
        connection: sqlite3.Connection,
        group_id: GroupId,
        kind: PassageKind,
        source: str,
        audience: str,
        at: str,
        text: str,
    ) -> None:
        old = (group_id, kind, source)
        connection.execute("DELETE FROM passages WHERE group_id = ? AND kind = ? AND source = ?", old)
        connection.executemany(
            "INSERT INTO passages (group_id, kind, source, audience, at, text) VALUES (?, ?, ?, ?, ?, ?)",
            ((group_id, kind, source, audience, at, piece) for piece in cut(text)),
        )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in one transaction; a file that is broken, or of another version, is made anew."""
        connection = self._connect()
        with closing(connection), connection:
            yield connection

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=10)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == _VERSION:
                connection.row_factory = sqlite3.Row
                return connection
        except sqlite3.DatabaseError:
            version = -1
        connection.close()
        if version != 0:
            self.drop()
        with closing(sqlite3.connect(self._path)) as fresh:
            fresh.executescript(_TABLES)
        self._path.chmod(0o600)
        return self._connect()


def _seen_by(looker: Looker) -> tuple[str, list[str]]:
    """Return the condition under which a looker may see a passage, and its values."""
    if looker.sees_all:
        return "1", []
    audiences = [EVERYBODY, *([NOBODY] if looker.sees_chatless else []), *sorted(looker.chats)]
    return f"p.audience IN ({', '.join('?' * len(audiences))})", audiences
