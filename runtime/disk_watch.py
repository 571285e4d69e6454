"""Looks at what containers write to disk: a bind mount has no quota, so somebody must.

Free space is asked every two seconds (microseconds); folders are walked, in a thread, only when much of it has gone
or a minute has passed. A container whose folders hold too much is told on to its owner. The group's next task may
hold what is there already, and no more: otherwise nobody could ask the agent to clear away what it wrote.

When the machine's disk runs short it is measured who fills it: a container that wrote at least half of what is gone
since that was last known has to go. Where none did, something else fills the disk; nobody is ended for that, and
nothing new starts (`admission.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from protocol.ids import GroupId
from runtime.container_command import SpaceMount
from runtime.door import DoorFolder, measure_folder
from runtime.home import Home
from runtime.spaces.quota_watch import QuotaWatch

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
WALK_EVERY_S = 60.0
WALK_WHEN_GONE_BYTES = 64 << 20
MAX_OUT_BYTES = 96 << 20
"""The last word has at most 64 MiB."""
UNCOUNTABLE = 1 << 62
GROUP_FOLDERS = ("workspace", "memory", "home", "inbox", "outbox")
"""What people sent and what is sent counts too: it fills the same disk."""


class Writer(Protocol):
    """A container that writes, as `container_session.ContainerSession` is one."""

    @property
    def group_id(self) -> GroupId: ...
    @property
    def door(self) -> DoorFolder: ...
    def report_disk_full(self, detail: str, *, is_machine: bool = False) -> None: ...
    def report_space_full(self, detail: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Known:
    """What a group's folders held when so much of the disk was free."""

    held_bytes: int
    free_bytes: int


@dataclass(slots=True)
class _Watched:
    session: Writer
    disk_bytes: int
    allowed: int | None
    """`disk_bytes`, or what the folders held already when this container began; None: not looked at yet."""
    is_reported: bool = False


class DiskWatch:
    """`floor_bytes`: when half of that is left, a container that fills the disk has to go."""

    def __init__(self, home: Home, *, floor_bytes: int, free_bytes: Callable[[Path], int] | None = None) -> None:
        self._home = home
        self._floor_bytes = floor_bytes
        self._ask_free_bytes = free_bytes or _free_bytes
        self._quotas = QuotaWatch()
        self._watched: dict[Writer, _Watched] = {}
        self._known: dict[GroupId, _Known] = {}
        """As last measured before the disk ran short."""
        self._is_told = False
        self._full: set[GroupId] = set()
        """Groups whose folders were found too full."""
        self._has_some = asyncio.Event()
        self._free_bytes = 0
        self._walked_at = 0.0

    def watch(self, session: Writer, disk_bytes: int, spaces: Sequence[SpaceMount] = ()) -> None:
        """Watch a working container, whose own folders may hold so much, and the spaces that it is shown."""
        self._quotas.watch(session, spaces)
        # Never measured: it may have written all that it holds. To measure it now would walk its folders at each start.
        self._known.setdefault(session.group_id, _Known(0, self._ask_free_bytes(self._home.path)))
        allowed = None if session.group_id in self._full else disk_bytes
        self._watched[session] = _Watched(session, disk_bytes, allowed)
        self._has_some.set()

    def forget(self, session: Writer) -> None:
        self._quotas.forget(session)
        self._watched.pop(session, None)
        if not self._watched:
            self._has_some.clear()

    async def run(self) -> None:
        """Watch until cancelled. Nobody at work: nothing is looked at."""
        while True:
            await self._has_some.wait()
            await self.look(time.monotonic())
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, now: float) -> None:
        """Look once; walk the folders if it is worth it."""
        await self._quotas.look(now)
        free_bytes = self._ask_free_bytes(self._home.path)
        is_short = free_bytes < self._floor_bytes // 2
        gone_bytes = self._free_bytes - free_bytes
        is_news = any(watched.allowed is None for watched in self._watched.values())
        is_calm = gone_bytes < WALK_WHEN_GONE_BYTES and now - self._walked_at < WALK_EVERY_S
        if is_calm and not is_short and not is_news:
            return
        self._free_bytes, self._walked_at = free_bytes, now
        sizes: dict[Writer, int] = {}
        for watched in list(self._watched.values()):
            group = self._home.group(watched.session.group_id)
            held = await asyncio.to_thread(_measure, group, watched.session.door.out)
            sizes[watched.session] = held
            detail = self._judge(watched, held)
            if detail:
                self._report(watched, detail)
        if is_short:
            self._find_who_fills(sizes, free_bytes)
        else:
            self._is_told = False
            self._known.update({session.group_id: _Known(held, free_bytes) for session, held in sizes.items()})

    def _find_who_fills(self, sizes: dict[Writer, int], free_bytes: int) -> None:
        """Report the container that wrote most of what is gone; say so where none did."""
        left = f"only {free_bytes >> 20} MiB of disk are left on this machine"
        for session in sorted(sizes, key=self._written(sizes), reverse=True):
            written, gone = self._written(sizes)(session), self._known[session.group_id].free_bytes - free_bytes
            if gone > 0 and written >= gone // 2 and session in self._watched:
                self._report(self._watched[session], f"it wrote {written >> 20} MiB, and {left}", is_machine=True)
                return
        if sizes and not self._is_told:
            self._is_told = True
            log.error("%s, and no agent fills it: free some", left, extra={"action": "machine_disk_short"})

    def _written(self, sizes: dict[Writer, int]) -> Callable[[Writer], int]:
        return lambda session: sizes[session] - self._known[session.group_id].held_bytes

    def _judge(self, watched: _Watched, held: int) -> str:
        """Return what is wrong with what a container's folders hold, empty if nothing is."""
        if held <= watched.disk_bytes:
            self._full.discard(watched.session.group_id)
            watched.allowed = watched.disk_bytes
            return ""
        self._full.add(watched.session.group_id)
        watched.allowed = held if watched.allowed is None else watched.allowed
        if held <= watched.allowed:
            return ""
        if held == UNCOUNTABLE:
            return "its folders hold too many files, or are nested too deep"
        return f"its folders hold {held >> 20} MiB, the limit is {watched.allowed >> 20} MiB"

    @staticmethod
    def _report(watched: _Watched, detail: str, *, is_machine: bool = False) -> None:
        if not watched.is_reported:
            watched.is_reported = True
            watched.session.report_disk_full(detail, is_machine=is_machine)


def _measure(group: Path, out: Path) -> int:
    """Return the bytes, UNCOUNTABLE for folders that are no use to anybody any more."""
    total = 0
    for folder in (group / name for name in GROUP_FOLDERS):
        held = measure_folder(folder)
        if held is None:
            return UNCOUNTABLE
        total += held
    held_out = measure_folder(out)
    return UNCOUNTABLE if held_out is None or held_out > MAX_OUT_BYTES else total + held_out


def _free_bytes(path: Path) -> int:
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize
