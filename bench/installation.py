"""A private installation for a benchmark or a chaos test: own home, own fork, own model twin, the real processes.

Nothing here touches the user's home. Leaving the block stops agents, host, proxy and twin and removes the folders.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.image import image_reference
from cli.up_leftovers import remove_containers
from client.control import ControlClient
from client.errors import ControlError
from client.processes import read_state
from credproxy.admin_client.link import ProxyAdmin
from runtime.home import Home
from services.supervisor import end_leftovers

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
QUICK_ANSWER = {"rules": [{"when": "", "turns": [{"text": "ok"}]}]}
"""The model twin's script when a benchmark needs no more: one short answer."""


@dataclass(slots=True, kw_only=True)
class Installation:
    """The processes of one home, running."""

    home: Path
    fork: Path
    twin_url: str
    model_twin: subprocess.Popen[str]
    supervisor: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    names: Sequence[str]
    """Of the processes, in starting order."""
    log: Path

    @property
    def control(self) -> ControlClient:
        return ControlClient(self.home / "run" / "control.sock")

    def processes(self) -> dict[str, int]:
        """Return the pid of each supervised process by name."""
        state = read_state(self.home)
        return {process.name: process.pid for process in state.processes} if state else {}

    def start_supervisor(self) -> None:
        """Start another supervisor, where one has died."""
        self.supervisor = _spawn_supervisor(self.environment, self.names, self.log)

    def twin(self, method: str, path: str, value: object | None = None) -> Any:
        """Ask the model twin's side for tests."""
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.twin_url + path, body, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@contextlib.asynccontextmanager
async def installation(
    *,
    groups: Sequence[str] = ("main",),
    settings: str = "",
    grants: str = "",
    script: object = QUICK_ANSWER,
    processes: Sequence[str] = ("credproxy", "host"),
    environment: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    disk: Path | None = None,
) -> AsyncIterator[Installation]:
    """Run an installation whose groups ask the model twin; `settings` is YAML added to nightyard.yaml. `disk`: the
    folder in which its home is made, None for the system's temporary one."""
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(_folder(disk)))
        home, fork = base / "home", base / "fork"
        (home / "run").mkdir(mode=0o700, parents=True)
        home.chmod(0o700)
        (home / "run" / "image").write_text(image_reference(ROOT), "ascii")  # as `nightyard up` notes it
        # After the supervisor's end: a host that was killed has left what it had.
        stack.callback(remove_containers, Home(home))
        model_twin, twin_url = stack.enter_context(_model_twin(base, script))
        _write_fork(fork, groups, settings, grants, twin_url)
        merged = {
            **os.environ,
            "NIGHTYARD_HOME": str(home),
            "NIGHTYARD_FORK": str(fork),
            "PYTHONPATH": str(ROOT),
            **(environment or {}),
        }
        log = base / "supervisor.log"
        stack.callback(end_leftovers, home, processes)  # where the supervisor was killed
        running = Installation(
            home=home,
            fork=fork,
            twin_url=twin_url,
            model_twin=model_twin,
            supervisor=_start_supervisor(merged, processes, log),
            environment=merged,
            names=processes,
            log=log,
        )
        stack.callback(_end_supervisor, running)
        try:
            if secrets:
                await _add_secrets(home, secrets)
            yield running
        finally:
            await _shut_down(running)


@contextlib.contextmanager
def _folder(disk: Path | None) -> Iterator[str]:
    path = tempfile.mkdtemp(prefix="ny-", dir=disk)
    Path(path).chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _model_twin(base: Path, script: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    path = base / "script.json"
    path.write_text(json.dumps(script), "utf-8")
    command = [sys.executable, "-m", "twins.models", "--script", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as twin:
        try:
            assert twin.stdout is not None
            yield twin, twin.stdout.readline().split()[-1]
        finally:
            twin.kill()


def _write_fork(fork: Path, groups: Sequence[str], settings: str, grants: str, twin_url: str) -> None:
    fork.mkdir()
    route = f"model: bench/scripted\nroutes:\n  bench:\n    api: anthropic\n    url: {twin_url}\n"
    (fork / "nightyard.yaml").write_text(route + settings, "utf-8")
    for group in groups:
        folder = fork / "groups" / group
        folder.mkdir(parents=True)
        (folder / "group.yaml").write_text("description: made by a benchmark\n", "utf-8")
        (folder / "AGENTS.md").write_text("Be brief.\n", "utf-8")
        if grants:
            (folder / "grants.yaml").write_text(grants, "utf-8")


def _start_supervisor(environment: Mapping[str, str], names: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a supervisor and wait until all its processes are ready; raise RuntimeError with its last words."""
    reading, writing = os.pipe()
    supervisor = _spawn_supervisor({**environment, "NIGHTYARD_READY_FD": str(writing)}, names, log, writing)
    os.close(writing)
    try:
        _await_ready(reading, log)
    except BaseException:
        _end(supervisor)
        raise
    return supervisor


def _spawn_supervisor(
    environment: Mapping[str, str], names: Sequence[str], log: Path, *passed_on: int
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "services.supervisor", *names],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=passed_on,
            start_new_session=True,
        )


def _end_supervisor(running: Installation) -> None:
    _end(running.supervisor)


def _end(supervisor: subprocess.Popen[bytes]) -> None:
    if supervisor.poll() is None:
        supervisor.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            supervisor.wait(STOP_TIMEOUT_S)
    if supervisor.poll() is None:
        supervisor.kill()
        supervisor.wait()


def _await_ready(reading: int, log: Path) -> None:
    with os.fdopen(reading, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() == "ready":
                return
    raise RuntimeError(f"the installation did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")


async def _add_secrets(home: Path, secrets: Mapping[str, str]) -> None:
    proxy = ProxyAdmin(home / "run" / "proxy.sock")
    async with asyncio.TaskGroup() as group:
        connection = group.create_task(proxy.run())
        for name, value in secrets.items():
            await proxy.secret_add(name, value, kind="channel")
        connection.cancel()


async def _shut_down(running: Installation) -> None:
    """End agents first: the supervisor alone would leave them working, as it should for a restart."""
    if running.supervisor.poll() is not None:
        return
    running.supervisor.send_signal(signal.SIGUSR1)
    with contextlib.suppress(ControlError):  # a host that does not answer is stopped by its supervisor
        await running.control.request("stop")
        await running.control.request("shutdown")
        await _gone(running)


async def _gone(running: Installation) -> None:
    """Wait until the host has ended by itself: it removes its containers before."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while True:
                state = read_state(running.home)
                host = state.process("host") if state else None
                if host is None or not host.runs:
                    return
                await asyncio.sleep(0.05)
