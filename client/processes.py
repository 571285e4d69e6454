"""Which processes of a home run: what the supervisor noted, checked against the kernel. Standard library only.

A pid together with its start time names one process for good; a pid alone may be somebody else's by now. The file is
written by `services/supervisor.py` and read by it, by `nightyard up` and by `nightyard down`.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedProcess:
    """One process as the supervisor noted it; `pid` 0: none at the time."""

    name: str
    pid: int
    started: int
    """The kernel's start time, in its own unit."""
    state: str
    """waiting (to be started), starting, ready, ended."""
    restarts: int

    @property
    def runs(self) -> bool:
        """Whether that very process still runs."""
        return is_running(self.pid, self.started)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedHome:
    """What run/supervisor.json says; `processes` in starting order."""

    supervisor: NotedProcess
    processes: tuple[NotedProcess, ...]

    def process(self, name: str) -> NotedProcess | None:
        return next((each for each in self.processes if each.name == name), None)


def start_ticks(pid: int) -> int:
    """Return when the process began, in an arbitrary unit that never changes for it; 0 if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0 if Path("/proc/self").exists() else _start_by_ps(pid)
    # The name in parentheses may hold anything; the fields after it are plain. Field 22 of proc(5); state is field 3.
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def is_running(pid: int, started: int) -> bool:
    """Say whether the very process that was noted (not another with its pid) still runs."""
    return pid > 0 and started > 0 and start_ticks(pid) == started


def started_for(home: Path, name: str) -> list[int]:
    """Return the pids of all processes `services.NAME` that a supervisor of this home ever started and that live, noted
    or not; none where there is no /proc. Whoever holds the supervisor's lock misses none: a child that is not what it
    will be yet holds that lock as well."""
    return [int(each.name) for each in Path("/proc").glob("[0-9]*") if _is_started_for(each, home, name)]


def _is_started_for(process: Path, home: Path, name: str) -> bool:
    try:
        if f"services.{name}".encode() not in (process / "cmdline").read_bytes().split(b"\0"):
            return False
        entries = (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it has gone, or is somebody else's
        return False
    given = dict(each.split(b"=", 1) for each in entries if b"=" in each)
    theirs = os.path.realpath(os.fsdecode(given.get(b"NIGHTYARD_HOME", b"")))
    return b"NIGHTYARD_READY_FD" in given and theirs == os.path.realpath(home)


def state_file(home: Path) -> Path:
    return home / "run" / "supervisor.json"


def write_state(home: Path, processes: Sequence[NotedProcess]) -> None:
    """Note what runs under this process, the supervisor."""
    noted = [
        {"name": each.name, "pid": each.pid, "started": each.started, "state": each.state, "restarts": each.restarts}
        for each in processes
    ]
    new = state_file(home).with_suffix(".new")
    new.write_text(json.dumps({"pid": os.getpid(), "started": start_ticks(os.getpid()), "processes": noted}))
    new.replace(state_file(home))


def read_state(home: Path) -> NotedHome | None:
    """Return what was noted last; None when there is nothing, or nothing that can be understood."""
    try:
        noted = json.loads(state_file(home).read_text())
        supervisor = NotedProcess(
            name="supervisor", pid=int(noted["pid"]), started=int(noted["started"]), state="ready", restarts=0
        )
        processes = tuple(
            NotedProcess(
                name=str(each["name"]),
                pid=int(each["pid"]),
                started=int(each["started"]),
                state=str(each["state"]),
                restarts=int(each["restarts"]),
            )
            for each in noted["processes"]
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return NotedHome(supervisor=supervisor, processes=processes)


def take_supervisor_lock(home: Path) -> int | None:
    """Return a descriptor that holds the home's supervisor lock, None if another process has it."""
    descriptor = os.open(home / "run" / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _start_by_ps(pid: int) -> int:
    """Where there is no /proc (macOS): the start time in words, as a number of this machine's own."""
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int.from_bytes(os.fsencode(shown.stdout.strip())[-8:], "big") if shown.stdout.strip() else 0
