"""A container engine of the tests' own, to be killed: dockerd and containerd with private folders and sockets, in a
network namespace without a bridge. The machine's engine is only asked for the agent image.

Needs root. Blocking throughout; from a loop, call it in a thread.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker

from cli.engine import ask, engine_address

START_TIMEOUT_S = 60.0
LOAD_TIMEOUT_S = 300
LOOK_EVERY_S = 0.05
DEBIAN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class PrivateEngine:
    """`keeps_containers`: whether containers outlive a killed engine (Docker's live-restore). `mirror`: the registry
    that it asks first, in its own network."""

    def __init__(self, base: Path, *, keeps_containers: bool, mirror: str = "") -> None:
        self._base = base
        self.keeps_containers = keeps_containers
        self._mirrors = [mirror] if mirror else []
        self._containerd: subprocess.Popen[bytes] | None = None
        self._dockerd: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix://{self._base / 'docker.sock'}"

    @property
    def is_running(self) -> bool:
        return self._dockerd is not None and self._dockerd.poll() is None

    @property
    def pid(self) -> int:
        """Of dockerd: whose network is the engine's."""
        return int((self._base / "docker.pid").read_text())

    def start(self) -> None:
        """Start what does not run, and wait for the engine's answer; raise RuntimeError with its last words."""
        if self._containerd is None:
            config = self._base / "containerd.toml"
            config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
            self._containerd = self._spawn(
                "containerd",
                *("--config", config),
                *("--root", self._base / "containerd"),
                *("--state", self._base / "run-containerd"),
                *("--address", self._base / "containerd.sock"),
            )
            self._await(lambda: (self._base / "containerd.sock").exists(), "containerd")
        (self._base / "docker.pid").unlink(missing_ok=True)
        options = self._base / "daemon.json"
        options.write_text(json.dumps({"live-restore": self.keeps_containers, "registry-mirrors": self._mirrors}))
        self._dockerd = self._spawn(
            "unshare",
            *("--net", "dockerd"),
            *("--config-file", options),
            *("--containerd", self._base / "containerd.sock"),
            *("--data-root", self._base / "data"),
            *("--exec-root", self._base / "run-docker"),
            *("--host", self.address),
            *("--pidfile", self._base / "docker.pid"),
            *("--bridge", "none", "--iptables=false", "--ip-masq=false"),
        )
        self._await(self._answers, "dockerd")

    def kill(self) -> None:
        """Kill the engine as hard as can be; where containers do not outlive it, its containerd too."""
        assert self._dockerd is not None
        _end(self._dockerd, signal.SIGKILL)
        if not self.keeps_containers and self._containerd is not None:
            _end(self._containerd, signal.SIGKILL)
            self._containerd = None
            (self._base / "containerd.sock").unlink(missing_ok=True)

    def restart(self, *, keeps_containers: bool) -> None:
        """Stop it orderly, and start it the other way."""
        self._stop()
        self.keeps_containers = keeps_containers
        self.start()

    def load_image(self, reference: str) -> None:
        """Copy an image from the machine's engine."""
        theirs = docker.APIClient(base_url=engine_address(), version="auto", timeout=LOAD_TIMEOUT_S)
        ours = docker.APIClient(base_url=self.address, version="auto", timeout=LOAD_TIMEOUT_S)
        with contextlib.closing(theirs), contextlib.closing(ours), tempfile.TemporaryFile(dir=self._base) as archive:
            for part in theirs.get_image(reference):
                archive.write(part)
            archive.seek(0)
            said = list(ours.load_image(archive, quiet=True))  # type: ignore[no-untyped-call] # has no types
            assert not any("error" in each for each in said), said

    def close(self) -> None:
        """Remove all containers, end all processes, unmount what they left."""
        if not self.is_running:
            self.start()
        ours = docker.APIClient(base_url=self.address, version="auto", timeout=60)
        with contextlib.closing(ours):
            for container in ours.containers(all=True):
                ours.remove_container(container["Id"], force=True)
        self._stop()
        self._end_orphans()
        for mount in reversed(_mounts_below(self._base)):
            subprocess.run(["umount", "--lazy", mount], check=False)

    def _end_orphans(self) -> None:
        """End the shims that a killed engine has forgotten, and what still runs under them."""
        address = str(self._base / "containerd.sock").encode()
        for shim in _processes(lambda words: address in words and b"-namespace" in words):
            children = Path(f"/proc/{shim}/task/{shim}/children").read_text("ascii").split()
            for pid in (*map(int, children), shim):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _stop(self) -> None:
        for process in (self._dockerd, self._containerd):
            if process is not None:
                _end(process, signal.SIGTERM)
        self._dockerd = self._containerd = None
        (self._base / "containerd.sock").unlink(missing_ok=True)

    def _spawn(self, *command: str | Path) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{DEBIAN_PATH}"}
        environment.pop("DOCKER_HOST", None)
        program = shutil.which(str(command[0]), path=environment["PATH"]) or str(command[0])
        with (self._base / "engine.log").open("ab") as log:
            return subprocess.Popen(
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        return ask(self.address).answers

    def _await(self, holds: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not holds():
            if time.monotonic() > deadline:
                log = (self._base / "engine.log").read_text("utf-8", "replace")[-3000:]
                raise RuntimeError(f"the private {name} did not answer within {START_TIMEOUT_S:.0f} s:\n{log}")
            time.sleep(LOOK_EVERY_S)


@contextlib.contextmanager
def private_engine(image: str, *, keeps_containers: bool, mirror: str = "") -> Iterator[PrivateEngine]:
    """Run a private engine that has the image, until the block is left."""
    base = Path(tempfile.mkdtemp(prefix="ny-engine-"))
    base.chmod(0o711)
    engine = PrivateEngine(base, keeps_containers=keeps_containers, mirror=mirror)
    try:
        engine.start()
        engine.load_image(image)
        yield engine
    finally:
        engine.close()
        shutil.rmtree(base, ignore_errors=True)


def ask_engine(address: str, method: str, path: str) -> Any:
    """Ask an engine that may be away; raise OSError or HTTPException. The SDK leaks a socket for each that is."""
    connection = http.client.HTTPConnection("engine", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(10)
        connection.sock.connect(address.removeprefix("unix://"))
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status >= 400:
            raise http.client.HTTPException(f"{method} {path}: {answer.status}")
        return json.loads(body or b"null")
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process.send_signal(number)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _processes(fits: Callable[[list[bytes]], bool]) -> list[int]:
    """Return the processes whose command line fits."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if fits((entry / "cmdline").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
    return found


def _mounts_below(base: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    return [path for line in lines if (path := line.split()[4]).startswith(f"{base}/")]
