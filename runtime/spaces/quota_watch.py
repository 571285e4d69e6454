"""Looks at how much spaces hold while agents that may write there work: who fills one is ended before others suffer.

Who wrote what in a folder that several may write to cannot be told from outside; where a space is found too full, all
that may write there and are at work are ended with `space_full`. For the next that begin there it may hold what is
there already, and no more, so that somebody can be asked to clear it away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runtime.container_command import SpaceMount
from runtime.history.tree import TreeRefused, opened_folder, walk

REST = 50
"""A walk is followed by a pause of so many times its length: a fiftieth of a processor at most."""


class Writer(Protocol):
    """A container, as `container_session.ContainerSession` is one."""

    def report_space_full(self, detail: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Held:
    """What is in a space."""

    size_bytes: int
    files: int


@dataclass(slots=True)
class _Watched:
    session: Writer
    mount: SpaceMount
    allowed: Held | None
    """The quota, or what the space held already when this container began; None: not looked at yet."""


@dataclass(slots=True)
class _Space:
    path: Path
    watched: list[_Watched] = field(default_factory=list)
    next_at: float = 0.0


class QuotaWatch:
    """One for all spaces."""

    def __init__(self) -> None:
        self._spaces: dict[str, _Space] = {}
        self._full: set[str] = set()
        """Those that were found too full."""

    def watch(self, session: Writer, mounts: Iterable[SpaceMount]) -> None:
        """Watch the spaces that a working container may write to."""
        for mount in mounts:
            if mount.may_write:
                space = self._spaces.setdefault(mount.name, _Space(Path(mount.path)))
                allowed = None if mount.name in self._full else Held(mount.quota_bytes, mount.max_files)
                space.watched.append(_Watched(session, mount, allowed))
                space.next_at = 0.0

    def forget(self, session: Writer) -> None:
        for name, space in list(self._spaces.items()):
            space.watched = [watched for watched in space.watched if watched.session is not session]
            if not space.watched:
                del self._spaces[name]

    async def look(self, now: float) -> None:
        """Look at those whose turn it is."""
        for name, space in list(self._spaces.items()):
            if now < space.next_at or name not in self._spaces:
                continue
            began = time.monotonic()
            held = await asyncio.to_thread(measure_space, space.path)
            space.next_at = now + REST * (time.monotonic() - began)
            for watched in list(space.watched):
                if _fits(watched.mount, held):
                    self._full.discard(name)
                else:
                    self._full.add(name)
                if detail := _judge(watched, held):
                    space.watched.remove(watched)
                    watched.session.report_space_full(detail)


def _judge(watched: _Watched, held: Held | None) -> str:
    """Return what is wrong with what a space holds, empty if nothing is."""
    mount = watched.mount
    named = f"the shared folder /spaces/{mount.name}"
    if held is None:
        return f"{named} holds too many files, or they are nested too deep" if watched.allowed is not None else ""
    if _fits(mount, held):
        watched.allowed = Held(mount.quota_bytes, mount.max_files)
    allowed = watched.allowed = watched.allowed or held
    if held.size_bytes > allowed.size_bytes:
        return f"{named} holds {held.size_bytes >> 20} MiB, the limit is {allowed.size_bytes >> 20} MiB"
    if held.files > allowed.files:
        return f"{named} holds {held.files:,} files, the limit is {allowed.files:,}"
    return ""


def _fits(mount: SpaceMount, held: Held | None) -> bool:
    return held is not None and held.size_bytes <= mount.quota_bytes and held.files <= mount.max_files


def measure_space(path: Path) -> Held | None:
    """Return what a space holds; None if it is too deep or too full to tell. Blocks."""
    size_bytes = files = 0
    try:
        with opened_folder(path) as root:
            for found in walk(root, "", is_busy=True):
                files += 1
                # A file with several names is counted once for each: on the safe side.
                size_bytes += found.state.st_blocks * 512
    except TreeRefused:
        return None
    except OSError:  # there is no such folder any more
        return Held(0, 0)
    return Held(size_bytes, files)
