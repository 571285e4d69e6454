"""The supervisor, by its public door: real child processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from client.processes import is_running, read_state, start_ticks, started_for, take_supervisor_lock
from services.supervisor import OUTPUT_CAP_BYTES, cap_output, end_leftovers

ROOT = Path(__file__).parents[2]
WAIT_S = 20.0

CHILD = """
import os, signal, sys, time
trace = os.environ["TRACE"]
def note(word):
    with open(trace, "a") as out:
        out.write(f"{word} NAME\\n")
def stop(number, frame):
    note("stopped"); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("started")
if os.path.exists(os.environ["TRACE"] + ".NAME.broken"):
    sys.exit("broken on purpose")
os.write(int(os.environ["NIGHTYARD_READY_FD"]), b"ready\\n")
while True:
    signal.pause()
"""


def until(what: Callable[[], Any], name: str) -> Any:
    """Return the first true answer; polls, because what is waited for are other processes' files."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not seen within {WAIT_S:.0f} s: {name}")


class Running:
    """A supervisor over two scripted services, `credproxy` and `host`, in a home of its own."""

    def __init__(self, tmp_path: Path) -> None:
        self.home = tmp_path / "home"
        self.trace = tmp_path / "trace"
        self.trace.touch()
        package = tmp_path / "stand_ins"
        (package / "services").mkdir(parents=True)
        (package / "client").mkdir()
        for module in (
            "services/__init__.py",
            "services/supervisor.py",
            "client/__init__.py",
            "client/processes.py",
        ):
            (package / module).write_text((ROOT / module).read_text())
        for name in ("credproxy", "host"):
            (package / "services" / f"{name}.py").write_text(CHILD.replace("NAME", name))
        self.package = package
        self.announced = b""

    def start(self) -> None:
        self.ready, given = os.pipe()
        environment = {
            "PYTHONPATH": str(self.package),
            "NIGHTYARD_HOME": str(self.home),
            "TRACE": str(self.trace),
            "NIGHTYARD_READY_FD": str(given),
        }
        command = [sys.executable, "-P", "-m", "services.supervisor", "credproxy", "host"]
        self.process = subprocess.Popen(command, env=environment, pass_fds=(given,), stderr=subprocess.DEVNULL)
        os.close(given)

    def lines(self) -> list[str]:
        """Everything announced up to the word `ready`."""
        with os.fdopen(self.ready) as announced:
            return announced.read().splitlines()

    def pid_of(self, name: str) -> int:
        home = read_state(self.home)
        noted = home.process(name) if home else None
        return noted.pid if noted and noted.state == "ready" else 0

    def signal(self, name: str, number: signal.Signals) -> None:
        pid = self.pid_of(name)
        assert pid, f"{name} does not run"  # 0 would mean our own process group
        os.kill(pid, number)

    def traced(self) -> list[str]:
        return self.trace.read_text().splitlines()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A supervisor, stopped at the end."""
    made = Running(tmp_path)
    made.start()
    yield made
    if made.process.poll() is None:
        made.process.terminate()
        made.process.wait(WAIT_S)
    end_leftovers(made.home)


def test_starts_in_order_and_stops_in_reverse(running: Running) -> None:
    """The host starts when the proxy is ready, and is stopped before it."""
    assert running.lines() == ["ready credproxy", "ready host", "ready"]
    running.process.terminate()
    assert running.process.wait(WAIT_S) == 0
    assert running.traced() == ["started credproxy", "started host", "stopped host", "stopped credproxy"]
    assert not (running.home / "run" / "supervisor.json").exists()


def test_a_killed_process_is_started_again(running: Running) -> None:
    """kill -9 of one process starts that one again and leaves the other alone."""
    running.lines()
    proxy, host = running.pid_of("credproxy"), running.pid_of("host")
    running.signal("host", signal.SIGKILL)
    again = until(lambda: (now := running.pid_of("host")) != host and now, "a new host")
    assert again != host
    assert running.pid_of("credproxy") == proxy


def test_a_full_disk_ends_no_supervisor(running: Running) -> None:
    """What dies while nothing can be written is started again, and what runs is noted once there is room."""
    running.lines()
    proxy = running.pid_of("credproxy")
    blocked = running.home / "run" / "supervisor.new"
    blocked.mkdir()  # as good as a full disk to whoever writes it
    running.signal("host", signal.SIGKILL)
    until(lambda: running.traced().count("started host") == 2, "a new host")
    assert running.process.poll() is None
    blocked.rmdir()
    until(
        lambda: (home := read_state(running.home)) and (host := home.process("host")) and host.restarts == 1, "a note"
    )
    assert running.pid_of("credproxy") == proxy


def test_nothing_is_started_again_while_down_is_under_way(running: Running) -> None:
    """After SIGUSR1 an ended process stays ended."""
    running.lines()
    running.process.send_signal(signal.SIGUSR1)
    running.signal("host", signal.SIGTERM)
    until(lambda: not running.pid_of("host"), "the host's end in the state file")
    running.process.terminate()
    running.process.wait(WAIT_S)
    assert running.traced().count("started host") == 1


def test_a_process_that_cannot_start_is_announced(tmp_path: Path) -> None:
    """`up` reads which process failed, and its log tells why."""
    made = Running(tmp_path)
    Path(f"{made.trace}.host.broken").touch()
    made.start()
    with os.fdopen(made.ready) as announced:
        assert [announced.readline().strip() for _ in range(2)] == ["ready credproxy", "failed host"]
    assert "broken on purpose" in (made.home / "logs" / "host.output").read_text()
    made.process.terminate()
    assert made.process.wait(WAIT_S) == 0


def test_a_second_supervisor_refuses(running: Running) -> None:
    """One home has one supervisor."""
    running.lines()
    assert take_supervisor_lock(running.home) is None


def test_a_new_supervisor_ends_what_a_dead_one_left(running: Running) -> None:
    """After kill -9 of the supervisor its orphans are ended, host first, and new ones started."""
    running.lines()
    orphans = [running.pid_of("credproxy"), running.pid_of("host")]
    ticks = [start_ticks(pid) for pid in orphans]
    running.process.kill()
    running.process.wait(WAIT_S)
    running.start()
    assert running.lines() == ["ready credproxy", "ready host", "ready"]
    assert not any(is_running(pid, tick) for pid, tick in zip(orphans, ticks, strict=True))
    assert running.traced()[2:4] == ["stopped host", "stopped credproxy"]


def test_an_orphan_that_nobody_noted_is_ended_too(running: Running) -> None:
    """A supervisor that died between a start and the note of it leaves no second host."""
    running.lines()
    host = running.pid_of("host")
    ticks = start_ticks(host)
    running.process.kill()
    running.process.wait(WAIT_S)
    (running.home / "run" / "supervisor.json").unlink()
    assert started_for(running.home, "host") == [host]
    running.start()
    assert running.lines()[-1] == "ready"
    assert not is_running(host, ticks)
    assert started_for(running.home, "host") == [running.pid_of("host")]


def test_only_the_noted_process_is_ended(tmp_path: Path) -> None:
    """A pid that now belongs to somebody else is left alone."""
    (tmp_path / "run").mkdir()
    mine = {"pid": os.getpid(), "started": start_ticks(os.getpid()) + 1}
    note = {**mine, "processes": [{"name": "host", **mine, "state": "ready", "restarts": 0}]}
    (tmp_path / "run" / "supervisor.json").write_text(json.dumps(note))
    assert end_leftovers(tmp_path) == []


def test_an_output_over_its_cap_starts_anew(tmp_path: Path) -> None:
    """A process that talks for months does not fill the disk; its last words are kept."""
    output = tmp_path / "host.output"
    output.write_bytes(b"old" + b"x" * OUTPUT_CAP_BYTES + b"new")
    cap_output(output)
    assert output.read_bytes() == b""
    assert (tmp_path / "host.output.1").read_bytes().endswith(b"new")
    assert (tmp_path / "host.output.1").stat().st_size == OUTPUT_CAP_BYTES // 2
