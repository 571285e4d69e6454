"""The agent as it really runs: its bundle in a hardened container without a network, with a scripted host and model."""

from __future__ import annotations

import os
import py_compile
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container
from docker.types import Mount

from protocol.link import Heartbeat
from tests.agents.conftest import REPOSITORY
from tests.agents.recorded_run import APIS, RECORDINGS, load_run, replay
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, calls, says

pytestmark = pytest.mark.engine
UID = 10001


@pytest.fixture
def bundle(root: Path) -> Path:
    """The folder that /opt/agent shows."""
    folder = root / "bundle"
    for package in ("agents", "protocol"):
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "image"))
    (folder / "__main__.py").write_text("from agents.main import main\n\nmain()\n")
    for source in folder.rglob("*.py"):
        py_compile.compile(str(source), doraise=True)
    return folder


@pytest.fixture
def container(
    root: Path, bundle: Path, host: ScriptedHost, model: ScriptedModel, agent_image: str
) -> Iterator[Container]:
    """A container that has been made and not started; both sockets are there already."""
    with container_at(root, bundle, agent_image) as made:
        yield made


@contextmanager
def container_at(root: Path, bundle: Path, agent_image: str) -> Iterator[Container]:
    """Make a container over a root folder whose sockets are there already; it has not been started."""
    for path in (root, *root.rglob("*")):
        path.chmod(0o777)
    binds = {
        "/workspace": root / "workspace",
        "/run/yard": root / "run/yard",
        "/run/yard/out": root / "run/yard/out",
        "/opt/agent": bundle,
    }
    client = docker.from_env()
    made = client.containers.create(
        agent_image,
        ["/usr/bin/python3", "-I", "/opt/agent"],
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        user=f"{UID}:{UID}",
        init=True,
        tmpfs={"/tmp": "size=16m"},
        mounts=[
            Mount(place, str(path), type="bind", read_only=place in ("/run/yard", "/opt/agent"))
            for place, path in binds.items()
        ],
        environment={"NO_PROXY": "127.0.0.1"},
    )
    try:
        yield made
    finally:
        made.remove(force=True)
        client.close()


def agent_memory_kb(container: Container) -> int:
    """Return the agent's own memory: what it does not share with a second container (PSS of many tends to it)."""
    for line in container.top()["Processes"]:
        if line[7].startswith("/usr/bin/python3"):
            rollup = Path(f"/proc/{line[1]}/smaps_rollup").read_text()
            return int(rollup.split("Pss_Anon:")[1].split()[0])
    raise AssertionError("the agent does not run")


def test_whole_task_in_a_real_container(
    container: Container, root: Path, host: ScriptedHost, model: ScriptedModel
) -> None:
    """Hello, task, a tool's round, a file, the reply and a clean end; memory within what it may take."""
    command = (
        "id -u; cat /proc/$PPID/status | grep -c NoSuch; ls -ld /proc/$PPID/mem | cut -c1-10; "
        "(exec 3<>/dev/tcp/127.0.0.1/3128 && echo forwarder) 2>&1; cat /proc/$PPID/mem 2>&1 | head -c 100"
    )
    model.will(calls("shell", {"command": command}, "a"), says("done"), says("unused"))
    container.start()
    host.wait_welcomed()
    host.next_beat()
    if os.geteuid() == 0:
        assert agent_memory_kb(container) < 10_500
    host.send(assignment())
    assert host.result().text == "done"
    (output,) = host.outputs()
    lines = output.splitlines()
    assert lines[0] == str(UID)
    assert "forwarder" in lines
    assert "Permission denied" in output
    assert container.wait(timeout=20)["StatusCode"] == 0


def test_memory_after_the_first_reply(container: Container, host: ScriptedHost, model: ScriptedModel) -> None:
    """After a reply, still held by the host, the agent takes little more than before."""
    if os.geteuid() != 0:
        pytest.skip("only root may read the container's memory figures")
    host.acks = False
    model.will(says("hello"))
    container.start()
    host.wait_welcomed()
    host.send(assignment())
    assert host.result().text == "hello"
    assert agent_memory_kb(container) < 14_000


@pytest.mark.parametrize("api", APIS)
async def test_a_run_repeats_in_a_container(root: Path, bundle: Path, agent_image: str, api: str) -> None:
    """What was recorded of the agent outside repeats inside, bit for bit, with the image's own Python and tools."""

    @contextmanager
    def inside(root: Path) -> Iterator[None]:
        with container_at(root, bundle, agent_image) as made:
            made.start()
            yield

    run = load_run((RECORDINGS / f"{api}.json").read_text("utf-8"))
    assert await replay(run, root, inside) == []


def test_hello_comes_before_the_imports(container: Container, host: ScriptedHost) -> None:
    """The first frame does not wait for the rest of the program."""
    container.start()
    host.wait_welcomed()
    began = time.monotonic()
    beat = host.next_beat()
    assert isinstance(beat, Heartbeat)
    assert time.monotonic() - began < 30
