"""What `bench credproxy` measures side by side: no proxy, a bare tunnel, mitmdump, and ours with everything on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.installation import ROOT
from bench.native_programs import Route, cache_folder
from bench.process_memory import cpu_seconds
from credproxy.admin_client.link import ProxyAdmin, connect
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits

T = TypeVar("T")
KEY = "bench-key-5Jt0uVx3mQ8wRz1LkPq7"
DOOR = DoorId("door_bbbbbbbbbbbbbbbb")
GROUP = GroupId("main")
MANY = 1_000_000_000
START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A way from the client to the service."""

    name: str
    route: Route
    pid: int = 0
    """Of the proxy; 0: there is none."""

    def cpu_s(self) -> float:
        return cpu_seconds(self.pid) if self.pid else 0.0

    def rss_mb(self) -> float:
        """Return the resident memory in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


def direct(port: int, ca: Path) -> Target:
    return Target(
        name="direct",
        route=Route(door=f"tcp:127.0.0.1:{port}", name="localhost", ca=ca, header=f"Authorization: Bearer {KEY}"),
    )


@contextlib.contextmanager
def bare_tunnel(port: int, ca: Path) -> Iterator[Target]:
    """asyncio, copying bytes; the client itself sends the key."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.tunnel"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as tunnel:
        try:
            assert tunnel.stdout is not None
            own_port = int(tunnel.stdout.readline())
            header = f"Authorization: Bearer {KEY}"
            yield Target(
                name="tunnel",
                route=Route(
                    door=f"tcp:127.0.0.1:{own_port}", tunnel=f"localhost:{port}", name="localhost", ca=ca, header=header
                ),
                pid=tunnel.pid,
            )
        finally:
            tunnel.kill()


def bare_call_cpu_ms(port: int, ca: Path, clients: int, seconds: float) -> float:
    """Return the CPU that a model call takes of a client without any policy: h11 on asyncio's streams."""
    command = [sys.executable, "-m", "bench.bare_calls", str(port), str(ca), KEY, str(clients), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout)["cpu_ms"])


@contextlib.contextmanager
def mitmdump(folder: Path, port: int, ca: Path, *, streams: bool = False) -> Iterator[Target]:
    """mitmproxy's, quiet, with an addon that sets one header; `streams`: bodies go through as they come."""
    own_port = _free_port()
    home = folder / f"mitmproxy-{'streams' if streams else 'default'}"
    command = [
        *(str(_mitmproxy_folder() / "bin" / "mitmdump"), "--quiet", "--listen-host", "127.0.0.1"),
        *("--listen-port", str(own_port), "--set", f"confdir={home}"),
        *("--set", f"ssl_verify_upstream_trusted_ca={ca}", "--scripts", str(ROOT / "bench" / "mitmproxy_addon.py")),
    ]
    environment = {**os.environ, "BENCH_KEY": KEY, "BENCH_STREAMS": "1" if streams else "0"}
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) as process:
        try:
            _await_port(own_port)
            route = Route(
                door=f"tcp:127.0.0.1:{own_port}",
                tunnel=f"localhost:{port}",
                name="localhost",
                ca=home / "mitmproxy-ca-cert.pem",
            )
            yield Target(name="mitmdump-stream" if streams else "mitmdump", route=route, pid=process.pid)
        finally:
            process.terminate()
            process.wait()


def mitmproxy_version() -> str:
    command = [str(_mitmproxy_folder() / "bin" / "pip"), "show", "mitmproxy"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return next(line.split()[1] for line in shown.splitlines() if line.startswith("Version:"))


def _mitmproxy_folder() -> Path:
    """Return an environment with the newest mitmproxy that there is for this Python; made when first needed."""
    folder = cache_folder() / f"mitmproxy-{sys.version_info.major}.{sys.version_info.minor}"
    if not (folder / "bin" / "mitmdump").exists():
        print("making an environment with mitmproxy …", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", "mitmproxy"], check=True)
    return folder


class OurProxy:
    """The credential proxy in a home of its own, one door open, its key in the vault."""

    def __init__(self, folder: Path, pid: int) -> None:
        self._folder = folder
        self.pid = pid

    @property
    def ca(self) -> Path:
        return self._folder / "home" / "ca" / "ca.pem"

    @property
    def door(self) -> Path:
        return self._folder / "home" / "run" / "c" / "b" / "proxy.sock"

    def target(self, port: int, name: str = "nightyard") -> Target:
        """Return the way through a tunnel."""
        route = Route(door=f"unix:{self.door}", tunnel=f"localhost:{port}", name="localhost", ca=self.ca)
        return Target(name=name, route=route, pid=self.pid)

    def model_route(self) -> Target:
        """Return the way that agents ask models: without TLS up to the proxy."""
        return Target(name="model route", route=Route(door=f"unix:{self.door}", ca=self.ca), pid=self.pid)

    def ask(self, ask: Callable[[ProxyAdmin], Awaitable[T]]) -> T:
        async def answer() -> T:
            async with connect(self._folder / "home" / "run" / "proxy.sock", answer_timeout_s=30.0) as admin:
                return await ask(admin)

        return asyncio.run(answer())

    def write_grants(self, grants: str) -> None:
        (self._folder / "fork" / "groups" / GROUP / "grants.yaml").write_text(grants, "utf-8")

    def set_up(self) -> None:
        """Put the key into the vault and open the door for a task that may do all that is granted."""
        self.door.parent.mkdir(parents=True, exist_ok=True)
        lease = Lease(
            task_id=TaskId("task_bench"),
            attempt_id=AttemptId("attempt_bench"),
            group_id=GROUP,
            effects=Effects.LIVE,
            limits=Limits(model_calls=MANY, input_tokens=MANY, output_tokens=MANY),
            routes=("bench",),
        )

        async def set_up(admin: ProxyAdmin) -> None:
            await admin.secret_add("bench", KEY, "key")
            await admin.open_door(DOOR, self.door, lease=lease)

        self.ask(set_up)


@contextlib.contextmanager
def our_proxy(port: int, ca: Path, grants: str) -> Iterator[OurProxy]:
    """`python -m services.credproxy`, as the supervisor starts it: policy, audit and search for the key are on."""
    with tempfile.TemporaryDirectory(prefix="ny-") as name:
        folder = Path(name)
        (folder / "fork" / "groups" / GROUP).mkdir(parents=True)
        route = f"routes: {{bench: {{api: anthropic, url: 'https://localhost:{port}', secret: bench}}}}\n"
        (folder / "fork" / "nightyard.yaml").write_text(route, "utf-8")
        (folder / "fork" / "groups" / GROUP / "grants.yaml").write_text(grants, "utf-8")
        ready, given = os.pipe()
        environment = {
            **os.environ,
            "NIGHTYARD_HOME": str(folder / "home"),
            "NIGHTYARD_FORK": str(folder / "fork"),
            "NIGHTYARD_UPSTREAM_CA": str(ca),
            "NIGHTYARD_READY_FD": str(given),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "services.credproxy"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(given,)
        )
        os.close(given)
        try:
            with os.fdopen(ready, "rb") as pipe:
                if pipe.read() != b"ready\n":
                    raise RuntimeError((folder / "home" / "logs" / "credproxy.log").read_text("utf-8"))
            yield OurProxy(folder, process.pid)
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
