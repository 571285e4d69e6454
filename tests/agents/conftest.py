"""A place like the container's, with a scripted host and model at its sockets and the real agent in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from agents.places import Places
from protocol.link import Assignment
from tests.agents.scripted_host import ScriptedHost, listening
from tests.agents.scripted_model import ScriptedModel, serving
from tests.agents.twin_socket import TwinAtSocket, twin_at, twin_process

REPOSITORY = Path(__file__).resolve().parents[2]
Api = Literal["anthropic", "openai", "responses"]


@pytest.fixture
def root() -> Iterator[Path]:
    with root_folder() as path:
        yield path


@contextmanager
def root_folder() -> Iterator[Path]:
    """Make a root folder like the container's, with a short name: socket paths have 108 bytes."""
    path = Path(tempfile.mkdtemp(prefix="ny-"))
    for name in ("run/yard/out", "workspace", "memory", "home/agent", "inbox", "skills", "spaces", "tmp"):
        (path / name).mkdir(parents=True)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def places(root: Path) -> Places:
    return Places(root=str(root), forwarder_port=0)


@pytest.fixture
def host(root: Path) -> Iterator[ScriptedHost]:
    with listening(root / "run/yard/host.sock") as scripted:
        yield scripted


@pytest.fixture
def model(root: Path) -> Iterator[ScriptedModel]:
    with serving(root / "run/yard/proxy.sock") as scripted:
        yield scripted


@pytest.fixture(scope="module")
def twin_port() -> Iterator[int]:
    with twin_process() as port:
        yield port


@pytest.fixture
def twin(root: Path, twin_port: int) -> Iterator[TwinAtSocket]:
    """The model twin in the proxy's place: all three APIs."""
    with twin_at(root / "run/yard/proxy.sock", twin_port) as twin:
        yield twin


@pytest.fixture(params=["anthropic", "openai", "responses"])
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


def start_agent(root: Path) -> subprocess.Popen[bytes]:
    """Start the agent's program in a place like the container's."""
    script = "import sys; sys.path.insert(0, sys.argv[2]); from tests.agents import agent_process as a; a.start()"
    return subprocess.Popen(
        [sys.executable, "-I", "-c", script, str(root), str(REPOSITORY)],
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(root / "home/agent")},
    )


@dataclass
class Agent:
    """The agent's process."""

    root: Path
    host: ScriptedHost
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self, task: Assignment | None = None) -> None:
        """Start it, and hand it a task once it has said Hello."""
        self.process = start_agent(self.root)
        self.host.wait_welcomed()
        if task is not None:
            self.host.send(task)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def exit_code(self) -> int:
        assert self.process is not None
        return self.process.wait(20)

    def stderr(self) -> str:
        assert self.process is not None and self.process.stderr is not None
        return self.process.stderr.read().decode()


@pytest.fixture
def agent(root: Path, host: ScriptedHost) -> Iterator[Agent]:
    agent = Agent(root, host)
    yield agent
    if agent.process is not None:
        agent.process.kill()
        agent.process.wait()
        if agent.process.stderr is not None:
            sys.stderr.write(agent.process.stderr.read().decode())
            agent.process.stderr.close()
