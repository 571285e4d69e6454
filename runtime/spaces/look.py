"""One look at a space: what is there now, what is not what it was; and what may not be in there is taken away.

Everything in a space was written by somebody who may be hostile to who reads it: no link is followed, no pipe opened.
Only files, folders and links that cannot lead out (`links.py`) may stay. Blocking: for a thread.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.history import tree
from runtime.spaces.links import leads_out

MAX_READ_BYTES = 256 << 20
"""Of a larger file no digest is taken: what the kernel says of it stands for its bytes."""
SETTLED_NS = 100_000_000
"""A file that changed so recently may change again without another time stamp: it is read again next time."""
MAX_READ_AT_ONCE_BYTES = 2 << 30
"""Of all files that one look finds new: beyond that the same. A tool waits for the look."""
_PIECE_BYTES = 1 << 20

ChangeKind = Literal["created", "changed", "deleted", "refused"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A file or link that is not known as it is."""

    path: str
    mark: str
    """What the kernel says of it; empty: it is to be read again next time."""
    content: str
    """The SHA-256 of its bytes in hex, or what stands for them."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Look:
    """What is not as it was known."""

    seen: tuple[Seen, ...]
    gone: tuple[str, ...]
    refused: tuple[str, ...]
    """Taken away: a pipe, a socket, a device, or a link that could lead out."""

    @property
    def is_empty(self) -> bool:
        return not (self.seen or self.gone or self.refused)


def look(folder: Path, marks: Mapping[str, str]) -> Look:
    """Look at a space. `marks`: what is known of it, by path. Raises TreeRefused, OSError."""
    missing = dict(marks)
    seen, refused, left = [], [], MAX_READ_AT_ONCE_BYTES
    with tree.opened_folder(folder) as root:
        for found in tree.walk(root, "", is_busy=True):
            if stat.S_ISDIR(found.state.st_mode):
                continue
            path = found.path.lstrip("/")
            if _is_refused(found, path):
                refused.append(path)
                continue
            mark = _mark(found.state)
            shown = _shown(path)
            if missing.pop(shown, "") == mark:
                continue
            with suppress(OSError):  # gone, or another by now: the next look sees it
                size = found.state.st_size
                content = _content(found, mark, min(left, MAX_READ_BYTES))
                seen.append(Seen(shown, _settled(mark, found.state), content, size))
                left -= size
        taken = [path for path in refused if _take_away(root, path)]
    return Look(tuple(seen), tuple(sorted(missing)), tuple(map(_shown, taken)))


def _is_refused(found: tree.Found, path: str) -> bool:
    mode = found.state.st_mode
    if not stat.S_ISLNK(mode):
        return not stat.S_ISREG(mode)
    try:
        return leads_out(path, found.target())
    except OSError:  # it is gone
        return False


def _take_away(root: int, path: str) -> bool:
    try:
        tree.remove(root, path)
    except OSError:
        return False
    return True


def _content(found: tree.Found, mark: str, most_bytes: int) -> str:
    if stat.S_ISLNK(found.state.st_mode):
        return f"link:{hashlib.sha256(os.fsencode(found.target())).hexdigest()}"
    if found.state.st_size > most_bytes:
        return f"large:{mark}"
    digest = hashlib.sha256()
    descriptor = found.open()
    try:
        while piece := os.read(descriptor, _PIECE_BYTES):
            digest.update(piece)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _mark(state: os.stat_result) -> str:
    return f"{state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def _settled(mark: str, state: os.stat_result) -> str:
    return mark if state.st_ctime_ns < time.time_ns() - SETTLED_NS else ""


def _shown(path: str) -> str:
    """Return a name as text, whatever bytes it is of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
