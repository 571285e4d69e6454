"""The chain of the audit's rows: each one's hash covers the hash before and all that it says. Here it is checked.

Old rows are removed from the front (`upkeep.py`). What is removed is said first, in a row of the chain that holds the
last removed hash: a row taken from the front by anybody else is missed.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from pathlib import Path

GENESIS = b"\0" * 32
CUT_MARK = "cut"
"""`SEQ:HASH` of the last row that was removed, as far as removing has come."""
SYNCED_MARK = "synced"
COLUMNS = (
    "seq",
    "at",
    "kind",
    "door_id",
    "group_id",
    "task_id",
    "attempt_id",
    "call_id",
    "target",
    "rule",
    "secret",
    "is_unsafe",
    "status",
    "detail",
    "note",
    "request_sha256",
    "response_sha256",
)
RowValues = tuple[int, str, str, str, str, str, str, str, str, str, str, int, int | None, str, str, str, str]
FIRST_COLUMNS = 14
"""What every row has ever had. Later columns at the end of the list that are empty are left out of the hash, so that
rows from before they were there verify as they were written."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


class ChainBroken(Exception):
    """A row of the audit does not follow from the one before it, or one is missing."""

    def __init__(self, seq: int, reason: str = "", *, rows: int | None = None) -> None:
        super().__init__(seq, reason)
        self.seq = seq
        self.reason = reason
        self.rows = seq - 1 if rows is None else rows
        """How many before it are whole."""

    def __str__(self) -> str:
        return self.reason or f"the audit's row {self.seq} was changed, or a row before it removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCheck:
    """A chain that is whole."""

    rows: int
    first_seq: int
    """Above 1 where old rows have been removed in the usual way."""
    last_seq: int
    last_hash: str
    """Whoever has noted it elsewhere can later ask whether it is still in the chain."""


def verify_chain(path: Path, head: tuple[int, str] | None = None) -> ChainCheck:
    """Return what the chain holds, all in its place; raises ChainBroken, sqlite3.Error. Reads the whole file.

    `head`: a row's number and hash as noted before: it must still be there, unless it is old enough to be removed.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("BEGIN")  # one moment of a file that is being written
        return _verify(connection, head)
    finally:
        connection.close()


def hash_row(before: bytes, values: Sequence[object]) -> bytes:
    """Return a row's place in the chain; `values` in the order of COLUMNS."""
    return hash_text(before, text_of(values))


def hash_text(before: bytes, text: bytes) -> bytes:
    """Return the place in the chain of a row that is spelt so."""
    return hashlib.sha256(before + text).digest()


def text_of_row(values: RowValues) -> bytes:
    """Return a whole row as it is hashed, as `text_of` does: two for every call, so in a third of its time."""
    seq, at, kind, door, group, task, attempt, call, target, rule, secret, is_unsafe, status, detail, *more = values
    spell = encode_basestring_ascii
    text = (
        f"[{seq},{spell(at)},{spell(kind)},{spell(door)},{spell(group)},{spell(task)},{spell(attempt)},{spell(call)},"
        f"{spell(target)},{spell(rule)},{spell(secret)},{is_unsafe},{'null' if status is None else status},"
        f"{spell(detail)}"
    )
    while more and not more[-1]:
        more.pop()
    return f"{text}{''.join([f',{spell(told)}' for told in more])}]".encode("ascii")


def text_of(values: Sequence[object]) -> bytes:
    """Return a row as it is hashed; `values` in the order of COLUMNS."""
    end = len(values)
    while end > FIRST_COLUMNS and values[end - 1] == "":
        end -= 1
    return spell_row(values[:end]).encode("ascii")


def spell_row(values: Sequence[object]) -> str:
    """Return texts, numbers and None as JSON without spaces: what the encoder itself writes, in half the time."""
    spelt = [
        encode_basestring_ascii(value) if isinstance(value, str) else "null" if value is None else str(value)
        for value in values
    ]
    return f"[{','.join(spelt)}]"


def cut_detail(up_to: int, last_hash: bytes) -> str:
    """Return the detail of the row that says what is removed."""
    return _encode({"removed_up_to": up_to, "hash": last_hash.hex()})


def _verify(connection: sqlite3.Connection, head: tuple[int, str] | None) -> ChainCheck:
    cut_seq, last_hash = _checked_cut(connection)
    known = {row[1] for row in connection.execute("PRAGMA table_info(entries)")}
    columns = [column for column in COLUMNS if column in known]
    seq = cut_seq
    noted = last_hash.hex() if head is not None and head[0] == seq else ""
    for row in connection.execute(f"SELECT {', '.join(columns)}, hash FROM entries ORDER BY seq"):
        seq += 1
        if row[0] != seq or hash_row(last_hash, row[:-1]) != row[-1]:
            raise ChainBroken(row[0], rows=seq - 1 - cut_seq)
        last_hash = row[-1]
        if head is not None and head[0] == seq:
            noted = last_hash.hex()
    _check_end(connection, seq)
    if head is not None and head[0] > seq:
        raise ChainBroken(seq + 1, f"the audit ends at row {seq}, before the row {head[0]} that was noted")
    if head is not None and head[0] >= cut_seq and noted != head[1]:
        raise ChainBroken(head[0], f"the audit's row {head[0]} is not the one that was noted: it was written anew")
    return ChainCheck(rows=seq - cut_seq, first_seq=cut_seq + 1, last_seq=seq, last_hash=last_hash.hex())


def read_cut(connection: sqlite3.Connection) -> tuple[int, bytes]:
    """Return number and hash of the last row that was removed."""
    row = connection.execute("SELECT value FROM marks WHERE name = ?", (CUT_MARK,)).fetchone()
    if row is None:
        return 0, GENESIS
    seq, _, digest = str(row[0]).partition(":")
    return int(seq), bytes.fromhex(digest)


def _checked_cut(connection: sqlite3.Connection) -> tuple[int, bytes]:
    """What was removed must have been said, by a row that is still there. That the rest follows from its hash is seen
    by its first row."""
    try:
        cut_seq, last_hash = read_cut(connection)
        told = connection.execute("SELECT detail FROM entries WHERE kind = 'retention'").fetchall()
        told_seq = max((int(json.loads(detail)["removed_up_to"]) for (detail,) in told), default=0)
    except (ValueError, KeyError, TypeError):
        raise ChainBroken(1, "what the audit says of its old rows' removal was changed", rows=0) from None
    if cut_seq > told_seq:
        reason = f"rows up to {cut_seq} of the audit are gone, and no row of it says why"
        raise ChainBroken(cut_seq + 1, reason, rows=0)
    return cut_seq, last_hash


def _check_end(connection: sqlite3.Connection, last_seq: int) -> None:
    """Rows that were brought to the disk cannot be missing at the end."""
    row = connection.execute("SELECT value FROM marks WHERE name = ?", (SYNCED_MARK,)).fetchone()
    synced = int(row[0]) if row is not None else 0
    if last_seq < synced:
        raise ChainBroken(last_seq + 1, f"the audit's rows from {last_seq + 1} to {synced} are missing at its end")
