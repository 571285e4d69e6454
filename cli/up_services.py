"""Start the home's processes under the supervisor and wait until they are ready; stop them again in two steps."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cli.up_progress import Progress, SetupFailed
from client.blocking import request
from client.errors import ControlError
from client.processes import NotedProcess, read_state, state_file, take_supervisor_lock
from runtime.home import Home

READY_TIMEOUT_S = 90.0
SUPERVISOR_STOP_S = 75.0
"""Longer than the supervisor gives its processes together."""
LOOK_EVERY_S = 0.02
PASSED_ON = frozenset(
    (
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "TZ",
        "TMPDIR",
        "XDG_RUNTIME_DIR",
        "MALLOC_ARENA_MAX",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "REQUESTS_CA_BUNDLE",
        # Files of pip and npm, with which the host fetches what images are made of.
        "NODE_EXTRA_CA_CERTS",
        "NPM_CONFIG_USERCONFIG",
        "PIP_CERT",
        "PIP_CONFIG_FILE",
    )
)
PASSED_ON_BEGINNINGS = ("LC_", "SSL_CERT_", "DOCKER_", "NIGHTYARD_")
LAST_LINES = 8


def is_answering(home: Home) -> bool:
    """Whether a host answers on the control socket and is not on its way out."""
    try:
        health = request(home.control_socket, "health", timeout_s=3.0)
    except ControlError:
        return False
    return isinstance(health, dict) and not health.get("is_stopping")


def running_names(home: Home) -> tuple[str, ...]:
    """Return the names of the processes that run under a live supervisor."""
    noted = read_state(home.path)
    if noted is None or not noted.supervisor.runs:
        return ()
    return tuple(process.name for process in noted.processes if process.runs)


def start_services(home: Home, fork: Path, root: Path, names: Sequence[str], engine: str, progress: Progress) -> None:
    """Start the supervisor, detached, and wait until all its processes are ready; raise SetupFailed.

    A start that fails leaves nothing running.
    """
    ready, given = os.pipe()
    environment = {
        **{name: value for name, value in os.environ.items() if is_passed_on(name)},
        "NIGHTYARD_HOME": str(home.path),
        "NIGHTYARD_FORK": str(fork),
        "NIGHTYARD_READY_FD": str(given),
        "DOCKER_HOST": engine,
        "PYTHONPATH": str(root),
        "PYTHONSAFEPATH": "1",
    }
    with (home.logs / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-P", "-m", "services.supervisor", *names],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(given,),
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    os.close(given)
    try:
        for line in _lines(ready, READY_TIMEOUT_S):
            word, _, name = line.partition(" ")
            if line == "ready":
                return
            progress(f"{name} is ready" if word == "ready" else line)
            if word == "failed":
                raise _failure(home, name)
        raise _failure(home, "supervisor")
    except BaseException:
        supervisor.terminate()
        supervisor.wait(SUPERVISOR_STOP_S)
        raise
    finally:
        os.close(ready)
        supervisor.returncode = 0  # it is meant to outlive us: Popen need not warn of it


def is_passed_on(name: str) -> bool:
    """Whether the processes are given this variable: a list of what is known, because a shell's may hold keys."""
    return name in PASSED_ON or name.startswith(PASSED_ON_BEGINNINGS)


def stop_services(home: Home, *, now: bool, progress: Progress) -> bool:
    """Stop in two steps: the host with its agents by its own verb, then what is left, by the supervisor or by hand.

    Returns whether anything ran. Only processes whose pid and start time were noted are ever signalled.
    """
    noted = read_state(home.path)
    if noted is None and not is_answering(home):
        return False
    supervised = noted is not None and noted.supervisor.runs
    if noted is not None and supervised:
        os.kill(noted.supervisor.pid, signal.SIGUSR1)
    host = noted.process("host") if noted else None
    _end_host(home, host, now=now, progress=progress)
    if noted is None:
        return True
    progress("the rest")
    if supervised:
        os.kill(noted.supervisor.pid, signal.SIGTERM)
        _wait_for(lambda: not noted.supervisor.runs, SUPERVISOR_STOP_S)
    for process in reversed(noted.processes):
        _end(process)
    _end(noted.supervisor)
    lock = take_supervisor_lock(home.path)
    if lock is not None:
        state_file(home.path).unlink(missing_ok=True)
        os.close(lock)
    return True


def last_lines(home: Home, name: str) -> str:
    """Return what a process wrote last, for the reason of a failure."""
    for path in (home.logs / f"{name}.output", home.logs / f"{name}.log"):
        if path.exists():
            with path.open("rb") as log:
                log.seek(max(0, path.stat().st_size - 8192))
                lines = log.read().decode("utf-8", "replace").strip().splitlines()
            if lines:
                return "\n".join(line[:300] for line in lines[-LAST_LINES:])
    return "it wrote nothing"


def _failure(home: Home, name: str) -> SetupFailed:
    return SetupFailed(f"{name} did not start", last_lines(home, name), f"./nightyard logs {name}")


def _end_host(home: Home, host: NotedProcess | None, *, now: bool, progress: Progress) -> None:
    """Have the host end its agents and itself; a host that does not answer is left to the second step."""
    try:
        if now:
            request(home.control_socket, "stop", {})
        answer = request(home.control_socket, "shutdown")
    except ControlError:
        return
    said = answer if isinstance(answer, dict) else {}
    working, grace_s = said.get("working", 0), float(said.get("grace_s", 30.0))
    progress(f"agents at work: {working}; they have {grace_s:.0f} s" if working else "the host")
    gone = (lambda: not host.runs) if host is not None else (lambda: not is_answering(home))
    _wait_for(gone, grace_s + 20.0)


def _end(process: NotedProcess) -> None:
    if process.runs:
        os.kill(process.pid, signal.SIGTERM)
        if not _wait_for(lambda: not process.runs, 10.0):
            os.kill(process.pid, signal.SIGKILL)
            _wait_for(lambda: not process.runs, 5.0)


def _wait_for(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _lines(descriptor: int, timeout_s: float) -> Iterator[str]:
    """Yield whole lines until the other end closes or the time is over."""
    deadline, rest = time.monotonic() + timeout_s, b""
    while True:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(descriptor, 4096) if readable else b""
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode()
