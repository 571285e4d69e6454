"""The host as a process: ready, alone in its home, ended as asked. No engine and no proxy are needed to answer."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from client.control import ControlClient
from runtime.home import Home, SocketPathTooLong, fork_from, home_from
from services.home_lock import CannotRun, hold_home
from services.host_setup import agent_image, home_id

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder with a short path: sockets stand in it."""
    with tempfile.TemporaryDirectory(prefix="ny-") as path:
        fork = Path(path) / "fork"
        (fork / "groups" / "main").mkdir(parents=True)
        (fork / "nightyard.yaml").touch()
        (Path(path) / "home" / "run").mkdir(parents=True)
        (Path(path) / "home" / "run" / "image").write_text("nightyard-agent:none\n", "ascii")
        yield Path(path)


async def start(base: Path) -> tuple[Process, int]:
    """Start a host; return it and the reading end of its readiness."""
    ready, given = os.pipe()
    environment = {
        **os.environ,
        "NIGHTYARD_HOME": str(base / "home"),
        "NIGHTYARD_FORK": str(base / "fork"),
        "NIGHTYARD_READY_FD": str(given),
        "PYTHONPATH": str(ROOT),
        "DOCKER_HOST": f"unix://{base}/no-engine.sock",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.host",
        env=environment,
        pass_fds=(given,),
        cwd="/",
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(given)
    return process, ready


@asynccontextmanager
async def running_host(base: Path) -> AsyncIterator[Process]:
    process, ready = await start(base)
    try:
        async with asyncio.timeout(20):
            assert await asyncio.to_thread(os.read, ready, 100) == b"ready\n"
        yield process
    finally:
        os.close(ready)
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_host_is_ready_answers_and_goes(base: Path) -> None:
    """Ready means that the operator's door answers; SIGTERM ends it at once, its socket is gone."""
    async with running_host(base) as process:
        control = ControlClient(base / "home" / "run" / "control.sock")
        health = await control.request("health")
        assert isinstance(health, dict)
        assert health["pid"] == process.pid
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await process.wait() == 0
    assert not (base / "home" / "run" / "control.sock").exists()
    log = (base / "home" / "logs" / "host.log").read_text("utf-8")
    assert "action=host_ready" in log
    assert "action=host_ended" in log


async def test_a_second_host_refuses_with_a_word(base: Path) -> None:
    """One home, one host: the second says which process holds it, and the first is not disturbed."""
    async with running_host(base) as first:
        second, ready = await start(base)
        _, errors = await second.communicate()
        os.close(ready)
        assert second.returncode == 3
        assert f"another host (process {first.pid})" in errors.decode()
        assert await ControlClient(base / "home" / "run" / "control.sock").request("health")


async def test_the_shutdown_verb_ends_the_host(base: Path) -> None:
    """What `nightyard down` asks for: answered at once, then the process ends by itself."""
    async with running_host(base) as process:
        await ControlClient(base / "home" / "run" / "control.sock").request("shutdown")
        async with asyncio.timeout(5):
            assert await process.wait() == 0


async def test_wrong_settings_do_not_keep_the_host_from_running(base: Path) -> None:
    """The group is suspended, visibly; the doors work."""
    (base / "fork" / "nightyard.yaml").write_text("limits:\n  model_cals: 3\n", "utf-8")
    async with running_host(base):
        status = await ControlClient(base / "home" / "run" / "control.sock").request("status")
        assert isinstance(status, dict)
        assert "nightyard.yaml:2: limits.model_cals" in str(status["problems"])
        assert [group["state"] for group in status["groups"]] == ["suspended"]


def test_the_lock_is_held_and_freed(base: Path) -> None:
    """While one holds the home no other does; afterwards anybody may."""
    home = Home(base / "home")
    with hold_home(home), pytest.raises(CannotRun, match=f"process {os.getpid()}"), hold_home(home):
        pass
    with hold_home(home):
        assert re.fullmatch(r"\d+\n", home.lock.read_text("ascii"))


def test_a_home_keeps_its_id_and_its_noted_image(base: Path) -> None:
    """The id labels the home's containers: made once, the same for ever."""
    home = Home(base / "home")
    made = home_id(home)
    assert re.fullmatch("[a-z2-7]{8}", made)
    assert home_id(home) == made
    assert agent_image(home) == "nightyard-agent:none"
    (home.run / "image").unlink()
    assert re.fullmatch("nightyard-agent:[0-9a-f]{16}", agent_image(home))


def test_a_path_too_long_for_a_socket_names_the_variable() -> None:
    """The kernel's limit is met before it is hit, with what to do."""
    with pytest.raises(SocketPathTooLong, match="NIGHTYARD_HOME"):
        _ = Home(Path("/tmp") / ("x" * 100)).control_socket


def test_home_and_fork_come_from_the_environment() -> None:
    """Named, or the usual places."""
    assert home_from({"NIGHTYARD_HOME": "/srv/n"}).path == Path("/srv/n")
    assert home_from({}).path == Path.home() / ".nightyard"
    assert fork_from({"NIGHTYARD_FORK": "/srv/f"}, Path("/p")) == Path("/srv/f")
    assert fork_from({}, Path("/p")) == Path("/p")
