"""Start the processes of a home in order, start again what dies, stop them in order.

`python -m services.supervisor NAME...` with NAME of rehearsal, credproxy, host, in starting order; each is started when
the one before it is ready. The home comes from NIGHTYARD_HOME, the fork from NIGHTYARD_FORK. Lines on
NIGHTYARD_READY_FD: `ready NAME` and `failed NAME` as they happen, then `ready`.
SIGUSR1: start nothing again (`nightyard down` is under way). SIGTERM: stop all, the last started first.
`run/supervisor.json` says what runs, so that `down` can end the pieces when this process is dead; who holds the lock on
`run/supervisor.lock` is the supervisor. Where systemd runs the services, nobody starts this.

One thread and plain `select`, no asyncio: this waits for months, so it must be small (about 10 MB, no timer of its own
but the one that caps outputs).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from client.processes import (
    NotedProcess,
    is_running,
    read_state,
    start_ticks,
    started_for,
    state_file,
    take_supervisor_lock,
    write_state,
)

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = float(os.environ.get("NIGHTYARD_LONGEST_RESTART_WAIT_S", "30"))
"""Whoever kills processes all day (a chaos test) sets it lower."""
SETTLED_S = 60.0
"""A process that ran so long has recovered: its next fall is a first one."""
READY_TIMEOUT_S = 60.0
"""A host that re-adopts many containers on a slow disk is ready in seconds; one that takes this long hangs."""
STOP_TIMEOUT_S = {"host": 45.0, "credproxy": 10.0, "rehearsal": 5.0}
OUTPUT_CAP_BYTES = 4 << 20
OUTPUT_CHECK_S = 600.0
STATE_RETRY_S = 1.0
"""What runs is noted again so often where that failed: a full disk must not end who starts things again."""


@dataclass(slots=True, kw_only=True)
class Process:
    """One supervised process; `pid` is 0 while none runs."""

    name: str
    command: Sequence[str]
    pid: int = 0
    ticks: int = 0
    """The kernel's start time of the pid: with it, a reused pid is told from ours."""
    state: str = "waiting"
    """waiting (to be started), starting, ready, ended."""
    restarts: int = 0
    falls: int = 0
    """Since it last ran for SETTLED_S."""
    began: float = 0.0
    due: float = 0.0
    ready_fd: int = -1


@dataclass(slots=True)
class Supervisor:
    home: Path
    processes: list[Process]
    announce_fd: int = -1
    stopping: bool = False
    holding: bool = False
    """SIGUSR1 was seen: nothing is started again."""
    output_check_due: float = 0.0
    state_due: float = float("inf")
    """When to note again what runs, because it could not be."""
    wake: tuple[int, int] = field(default_factory=os.pipe)

    def run(self) -> None:
        """Supervise until SIGTERM (or SIGINT), then stop all."""
        for end in self.wake:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self.wake[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGUSR1, self._on_signal)
        signal.signal(signal.SIGCHLD, self._on_signal)
        end_leftovers(self.home)
        while not self.stopping:
            due = self._start_due()
            self._cap_outputs()
            if time.monotonic() >= self.state_due:
                self._write_state()
            self._wait(min(due, self.output_check_due, self.state_due))
            self._reap()
        self._stop_all()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number in (signal.SIGTERM, signal.SIGINT):
            self.stopping = True
        elif number == signal.SIGUSR1:
            self.holding = True

    def _start_due(self) -> float:
        """Start each process whose time has come and whose predecessor has been ready once; return the next time."""
        now, next_due = time.monotonic(), float("inf")
        for process in self.processes:
            if process.state == "starting" and now >= process.due:
                log(f"{process.name} was not ready after {READY_TIMEOUT_S:.0f} s: killed")
                os.kill(process.pid, signal.SIGKILL)
                process.due = now + READY_TIMEOUT_S
            if process.state == "waiting" and not self.holding and now >= process.due:
                self._start(process)
            if process.state == "starting" or (process.state == "waiting" and not self.holding):
                next_due = min(next_due, process.due)
            if process.state != "ready" and process.restarts == 0:
                break
        return next_due

    def _start(self, process: Process) -> None:
        ready, given = os.pipe()
        os.set_blocking(ready, False)
        environment = os.environ | {"NIGHTYARD_READY_FD": str(given)}
        try:
            with output_file(self.home, process.name).open("ab") as output:
                child = subprocess.Popen(
                    process.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(given,),
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:  # no disk, memory or descriptor left just now
            os.close(ready)
            log(f"{process.name} could not be started: {error}; again in {LONGEST_WAIT_S:g} s")
            process.due = time.monotonic() + LONGEST_WAIT_S
            return
        finally:
            os.close(given)
        child.returncode = 0  # reaped by _reap: Popen must not wait for it too, nor warn that nobody did
        process.pid, process.ticks, process.ready_fd = child.pid, start_ticks(child.pid), ready
        process.state, process.began = "starting", time.monotonic()
        process.due = process.began + READY_TIMEOUT_S
        self._write_state()

    def _wait(self, until: float) -> None:
        """Wait for a signal, a word from a starting process, or the time."""
        watched = [self.wake[0], *(process.ready_fd for process in self.processes if process.ready_fd >= 0)]
        readable, _, _ = select.select(watched, [], [], max(0.0, until - time.monotonic()))
        if self.wake[0] in readable:
            os.read(self.wake[0], 4096)
        for process in self.processes:
            if process.ready_fd in readable:
                self._read_ready(process)

    def _read_ready(self, process: Process) -> None:
        line = os.read(process.ready_fd, 256)
        os.close(process.ready_fd)
        process.ready_fd = -1
        if not line.startswith(b"ready"):
            return  # closed without the word: it is dying, and _reap says so
        process.state, process.due = "ready", 0.0
        log(f"{process.name} is ready after {time.monotonic() - process.began:.2f} s (pid {process.pid})")
        self._write_state()
        self._announce(f"ready {process.name}")
        if all(each.state == "ready" for each in self.processes):
            self._announce("ready")

    def _reap(self) -> None:
        for process in self.processes:
            if process.pid and _has_ended(process.pid):
                self._note_end(process)

    def _note_end(self, process: Process) -> None:
        now = time.monotonic()
        process.falls = 1 if now - process.began > SETTLED_S else process.falls + 1
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (process.falls - 1))
        was_starting = process.state == "starting"
        if process.ready_fd >= 0:
            os.close(process.ready_fd)
            process.ready_fd = -1
        log(f"{process.name} (pid {process.pid}) has ended; {'held' if self.holding else f'again in {wait_s:g} s'}")
        process.pid, process.ticks, process.state = 0, 0, "waiting"
        process.restarts += 1
        process.due = now + wait_s
        self._write_state()
        if was_starting:
            self._announce(f"failed {process.name}")

    def _stop_all(self) -> None:
        for process in reversed(self.processes):
            if process.pid:
                _end_child(process.pid, STOP_TIMEOUT_S.get(process.name, 10.0))
                process.pid, process.ticks, process.state = 0, 0, "ended"
                self._write_state()
        state_file(self.home).unlink(missing_ok=True)

    def _announce(self, line: str) -> None:
        if self.announce_fd < 0:
            return
        try:
            os.write(self.announce_fd, f"{line}\n".encode())
        except BrokenPipeError:  # `up` was interrupted; the processes go on
            line = "ready"
        if line == "ready":
            os.close(self.announce_fd)
            self.announce_fd = -1

    def _write_state(self) -> None:
        """Note what runs; where that fails it is tried again before long."""
        noted = [
            NotedProcess(
                name=process.name,
                pid=process.pid,
                started=process.ticks,
                state=process.state,
                restarts=process.restarts,
            )
            for process in self.processes
        ]
        try:
            write_state(self.home, noted)
        except OSError as error:
            log(f"what runs could not be noted: {error}; again in {STATE_RETRY_S:g} s")
            self.state_due = time.monotonic() + STATE_RETRY_S
        else:
            self.state_due = float("inf")

    def _cap_outputs(self) -> None:
        """Cut an output that has outgrown its cap; its writer appends, so it never notices."""
        if time.monotonic() < self.output_check_due:
            return
        self.output_check_due = time.monotonic() + OUTPUT_CHECK_S
        for process in self.processes:
            with suppress(OSError):  # the disk is full: it is cut the next time
                cap_output(output_file(self.home, process.name))


def log(text: str) -> None:
    """Write one line to our own log, which `up` made our standard error."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with suppress(OSError):  # the disk is full, and this is the least of it
        print(f"{stamp} supervisor: {text}", file=sys.stderr, flush=True)


def output_file(home: Path, name: str) -> Path:
    """What a process wrote to its standard output and error: its log again (it keeps `<name>.log` itself), and, what
    only is here, how it died."""
    return home / "logs" / f"{name}.output"


def cap_output(path: Path) -> None:
    """Start a file over its cap anew, with its last part beside it."""
    if not path.exists() or path.stat().st_size <= OUTPUT_CAP_BYTES:
        return
    with path.open("r+b") as full:
        full.seek(-OUTPUT_CAP_BYTES // 2, os.SEEK_END)
        path.with_suffix(".output.1").write_bytes(full.read())
        full.truncate(0)


def end_leftovers(home: Path, names: Sequence[str] = ("rehearsal", "credproxy", "host")) -> list[str]:
    """End, in order, the processes that a dead supervisor left, those too that it had no time to note; return their
    names. `names`: in starting order."""
    noted = read_state(home)
    ended = []
    for name in reversed(names):
        process = noted.process(name) if noted else None
        left = {process.pid: process.started} if process and process.runs else {}
        for pid, ticks in (left | {pid: start_ticks(pid) for pid in started_for(home, name)}).items():
            log(f"ending {name} (pid {pid}), left by a supervisor that died")
            _end_left(pid, ticks, STOP_TIMEOUT_S.get(name, 10.0))
            ended.append(name)
    state_file(home).unlink(missing_ok=True)
    return ended


def _end_left(pid: int, ticks: int, timeout_s: float) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if is_running(pid, ticks):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + timeout_s
        while is_running(pid, ticks) and time.monotonic() < deadline:
            time.sleep(0.02)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _end_child(pid: int, timeout_s: float) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while not _has_ended(pid):
        if time.monotonic() > deadline:
            log(f"pid {pid} did not end within {timeout_s:.0f} s: killed")
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(0.01)


def main() -> None:
    names = sys.argv[1:]
    home = Path(os.environ["NIGHTYARD_HOME"])
    for folder in (home / "run", home / "logs"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = take_supervisor_lock(home)
    if lock is None:
        sys.exit(f"another supervisor runs for {home}: nothing to do")
    announce_fd = int(os.environ.pop("NIGHTYARD_READY_FD", "-1"))
    if announce_fd >= 0:
        os.set_inheritable(announce_fd, False)
    commands = [Process(name=name, command=(sys.executable, "-P", "-m", f"services.{name}")) for name in names]
    Supervisor(home, commands, announce_fd).run()


if __name__ == "__main__":
    main()
