"""The rows of calls that have begun, on record before the audit's file has them.

A commit costs a call a sixth of its time, and many rows in one cost hardly more than a single one. So a row that a call
waits for is written here, by one system call with what came before it, and joins the next commit (`log.py`). Like a
commit that does not wait for the disk, it outlives a killed process: the next start finds what the file lacks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from credproxy.audit.chain import COLUMNS, hash_text

MAX_KEPT_BYTES = 256 << 10
"""What a busy moment has written beyond this is given back; less is written over."""


class BegunRows:
    """The open file. What is in it is of use until the next commit, and then written over."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = 0

    def add(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        """Write rows down, each its hash and as it is spelt in the chain; raises OSError."""
        wire = b"".join([b"%s %s\n" % (row_hash.hex().encode("ascii"), text) for row_hash, text in rows])
        if os.pwrite(self._file, wire, self._end) != len(wire):
            raise OSError("the disk is full")
        self._end += len(wire)

    def clear(self) -> None:
        """The audit's file has all of them."""
        if self._end > MAX_KEPT_BYTES:
            os.ftruncate(self._file, 0)
        self._end = 0

    def read(self) -> bytes:
        """Return what an earlier process has left; raises OSError."""
        return os.pread(self._file, os.fstat(self._file).st_size, 0)

    def close(self, *, keep: bool = False) -> None:
        """Close it; with nothing in it, unless the audit's file lacks some."""
        if not keep and os.fstat(self._file).st_size:
            os.ftruncate(self._file, 0)
        os.close(self._file)


def rows_behind(written: bytes, last_seq: int, last_hash: bytes) -> Iterator[tuple[Any, ...]]:
    """Yield the rows, with their hash, that follow from the last one that the audit's file has. What stands there
    besides, whole or in part, has been written over or is in the file already."""
    for line in written.split(b"\n"):
        try:
            row_hash = bytes.fromhex(line[:64].decode("ascii"))
            values = json.loads(line[65:])
            seq = int(values[0])
        except (ValueError, LookupError, TypeError):
            return
        if seq <= last_seq:
            continue
        if seq != last_seq + 1 or hash_text(last_hash, line[65:]) != row_hash:
            return
        yield *values, *[""] * (len(COLUMNS) - len(values)), row_hash
        last_seq, last_hash = seq, row_hash


def use_told_in(row: Sequence[Any]) -> tuple[tuple[str, ...], tuple[float, ...]] | None:
    """Return what a row says of a model call's use, as key and numbers of the sums that were lost with the commit; None
    where it says nothing. What that cost is not in the row: it counts as not known."""
    values = dict(zip(COLUMNS, row, strict=False))
    facts = json.loads(values["detail"]) if values["kind"] == "end" else {}
    if "model" not in facts:
        return None
    rule, tokens = str(values["rule"]), (int(facts["input_tokens"]), int(facts["output_tokens"]))
    route = rule.removeprefix("route:") if rule.startswith("route:") else ""
    key = (values["task_id"], values["group_id"], values["at"][:10], facts["model"], route)
    return key, (1, *tokens, 0.0, int(any(tokens)))
