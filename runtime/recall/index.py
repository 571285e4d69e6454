"""The search index: passages in an SQLite file of its own, found by FTS5. Blocks: call it in a thread.

It holds nothing that is not in the store or in a memory folder: it may be deleted at any time, and is then made anew
at the next search. So a forgotten person's words go by deleting it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from protocol.ids import GroupId
from runtime.recall.passages import cut
from runtime.recall.records import EVERYBODY, NOBODY, Looker, Passage, PassageKind, Turn

FILE_NAME = "recall.db"
_VERSION = 1
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
CREATE TRIGGER passages_added AFTER INSERT ON passages BEGIN
    INSERT INTO words (rowid, text) VALUES (new.passage_id, new.text);
END;
CREATE TRIGGER passages_removed AFTER DELETE ON passages BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.passage_id, old.text);
END;
PRAGMA user_version = {_VERSION};
"""
_SEARCH = """
SELECT p.group_id, p.kind, p.source, p.audience, p.at, p.text FROM words
JOIN passages AS p ON p.passage_id = words.rowid
WHERE words MATCH ? AND p.group_id = ? AND ({seen}) ORDER BY words.rank, p.at DESC LIMIT ?
"""


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
        audiences = [EVERYBODY, *([NOBODY] if looker.sees_chatless else []), *sorted(looker.chats)]
        seen = "1" if looker.sees_all else f"p.audience IN ({', '.join('?' * len(audiences))})"
        given = (expression, group_id, *([] if looker.sees_all else audiences), most)
        with self._opened() as connection:
            return [Passage(**dict(row)) for row in connection.execute(_SEARCH.format(seen=seen), given)]

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
