"""What of a harness's sessions is kept in HOME between tasks: which session of the program is which of ours, and what
its last program was started for, so that a spare can be the right one.

All of it is a guess that is checked against the task: the group's own tools can write here.
"""

# ruff: noqa: PTH103, PTH105
# Without pathlib: agents/tools/opened_file.py says why.

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress

from agents.harness.frame import Brief
from agents.providers.provider import ToolCard
from protocol.codec import ShapeError, from_json, to_json
from protocol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Kind = TypeVar("Kind", bound=Record)

FOLDER = ".nightyard"
"""Below HOME: a folder a harness."""
_LAST = "last.json"
_MAX_BYTES = 2 << 20


class KeptSession(Record):
    """One of our sessions, as its program knows it."""

    session: str
    notes: str = ""
    """A digest of the notes that it was told last."""


class Last(Record):
    """The program that was started for a task last."""

    mark: str
    """Another one at each beginning and each end: who read another one before has a program that is out of date."""
    is_at_work: bool
    """Its task has not ended: its session is being written."""
    brief: Brief
    cards: tuple[ToolCard, ...] = ()
    """Our tools that it was given."""


class Kept:
    """The folder of one harness in one HOME."""

    def __init__(self, home: str, harness: str) -> None:
        self._folder = f"{home}/{FOLDER}/{harness}"

    def session(self, ours: str) -> KeptSession | None:
        """Return what is known of a session of ours (or, for a task without one, of the task)."""
        return _read(f"{self._folder}/{_file_name(ours)}", KeptSession)

    def keep_session(self, ours: str, kept: KeptSession) -> None:
        self._write(_file_name(ours), kept)

    def forget_session(self, ours: str) -> None:
        with suppress(OSError):
            os.unlink(f"{self._folder}/{_file_name(ours)}")  # noqa: PTH108

    def last(self) -> Last | None:
        return _read(f"{self._folder}/{_LAST}", Last)

    def keep_last(self, last: Last) -> None:
        self._write(_LAST, last)

    def _write(self, name: str, value: KeptSession | Last) -> None:
        """Replace a file in one step. Where that is not possible (a full disk), the next task begins a new session."""
        with suppress(OSError):
            os.makedirs(self._folder, exist_ok=True)
            fresh = f"{self._folder}/.{os.urandom(4).hex()}"
            with open(fresh, "x", encoding="utf-8") as file:  # noqa: PTH123
                json.dump(to_json(value), file)
            os.replace(fresh, f"{self._folder}/{name}")


def digest_of(notes: str) -> str:
    return hashlib.sha256(notes.encode()).hexdigest()[:16] if notes else ""


def _file_name(ours: str) -> str:
    return f"{hashlib.sha256(ours.encode()).hexdigest()[:32]}.json"


def _read(path: str, kind: type[Kind]) -> Kind | None:
    """Return a file's record, None for what is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            return None
        return from_json(kind, json.loads(os.read(descriptor, _MAX_BYTES)))
    except (OSError, ValueError, RecursionError, ShapeError):
        return None
    finally:
        os.close(descriptor)
