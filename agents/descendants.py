"""Every process that tools have started, and their end.

A process group is not enough: a child may leave it with setsid and be orphaned. This process is made the one that
orphans come to (PR_SET_CHILD_SUBREAPER), so all of them stay below it in the tree that /proc shows.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Collection, Mapping
from contextlib import suppress

from protocol.record import Record

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_ZOMBIE = b"Z"
NOBODY: frozenset[int] = frozenset()


class _Process(Record):
    parent: int
    state: bytes
    session: int


def protect_this_process() -> None:
    """Take in orphans, and keep tools of the same user from reading this process's memory or descriptors."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_CHILD_SUBREAPER, 1)):
        if prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) was refused")


def kill_descendants(
    keep: Collection[int] = NOBODY, *, sessions: Collection[int] = NOBODY, timeout_s: float = 0.8
) -> int:
    """Kill every process below this one except those in `keep` and in these `sessions`; return how many were still
    alive at the time-out.

    Each round stops all of them before it kills any, so that none can start another meanwhile.
    """
    deadline = time.monotonic() + timeout_s
    while living := living_descendants(sessions) - frozenset(keep):
        _signal(living, signal.SIGSTOP, signal.SIGKILL)
        if time.monotonic() > deadline:
            return len(living)
        time.sleep(0.005)  # the kernel takes a moment to end them
    return 0


def end_session(session: int, *, grace_s: float = 1.0, timeout_s: float = 0.8) -> None:
    """End every process of a session that is below this one: asked first, killed after `grace_s`."""
    _signal(living_in_session(session), signal.SIGTERM, signal.SIGCONT)
    deadline = time.monotonic() + grace_s
    while (living := living_in_session(session)) and time.monotonic() < deadline + timeout_s:
        if time.monotonic() >= deadline:
            _signal(living, signal.SIGSTOP, signal.SIGKILL)
        time.sleep(0.01)


def living_descendants(sessions: Collection[int] = NOBODY) -> frozenset[int]:
    """Return the pids of all processes below this one that have not ended and are in none of these `sessions`."""
    found = _descendants().items()
    return frozenset(pid for pid, each in found if each.state != _ZOMBIE and each.session not in sessions)


def living_in_session(session: int) -> frozenset[int]:
    """Return the pids of the processes below this one that are in a session and have not ended."""
    return frozenset(pid for pid, each in _descendants().items() if each.state != _ZOMBIE and each.session == session)


def reap_orphans(keep: Collection[int] = NOBODY) -> None:
    """Collect ended orphans, which would count against the container's process limit; `keep`: their owners collect
    these."""
    for pid, each in _processes().items():
        if each.parent == os.getpid() and each.state == _ZOMBIE and pid not in keep:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _signal(pids: Collection[int], *numbers: int) -> None:
    for number in numbers:
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _descendants() -> dict[int, _Process]:
    processes = _processes()
    found: dict[int, _Process] = {}
    parents = {os.getpid()}
    while parents:
        children = {pid for pid, each in processes.items() if each.parent in parents and pid not in found}
        found.update({pid: processes[pid] for pid in children})
        parents = children
    return found


def _processes() -> Mapping[int, _Process]:
    """Return all processes that /proc shows, by their pid."""
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            descriptor = os.open(f"{entry.path}/stat", os.O_RDONLY)
        except OSError:
            continue  # ended since it was listed
        try:
            stat = os.read(descriptor, 4096)
        except OSError:
            continue
        finally:
            os.close(descriptor)
        state, parent, _, session = stat[stat.rindex(b")") + 2 :].split(b" ", 4)[:4]
        found[int(entry.name)] = _Process(parent=int(parent), state=state, session=int(session))
    return found
