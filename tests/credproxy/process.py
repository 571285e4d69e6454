"""The proxy as its own process, started as the supervisor starts it; killed by its pid alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from credproxy.admin_client.link import ProxyAdmin, connect

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


class ProxyProcess:
    """`python -m services.credproxy` with a home and a fork of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.fork = folder / "fork"
        (self.fork / "groups").mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {"NIGHTYARD_HOME": str(self.home), "NIGHTYARD_FORK": str(self.fork), "PYTHONPATH": str(ROOT)}

    @property
    def admin_path(self) -> Path:
        return self.home / "run" / "proxy.sock"

    def start(self, **variables: str) -> None:
        """Start it and wait until it says that it is ready."""
        ready, given = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.credproxy"],
            cwd=ROOT,
            env={**os.environ, **self.environment, **variables, "NIGHTYARD_READY_FD": str(given)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(given,),
        )
        os.close(given)
        with os.fdopen(ready, "rb") as pipe:
            assert pipe.read() == b"ready\n", (self.home / "logs" / "credproxy.log").read_text()

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    @contextmanager
    def started(self, **variables: str) -> Iterator[ProxyProcess]:
        self.start(**variables)
        try:
            yield self
        finally:
            if self.process is not None and self.process.poll() is None:
                self.end(signal.SIGTERM)

    async def ask(self, ask: Callable[[ProxyAdmin], Awaitable[T]]) -> T:
        async with asyncio.timeout(20), connect(self.admin_path) as admin:
            return await ask(admin)

    def spilled(self, needle: bytes) -> list[str]:
        """Return every file of the home in which the needle stands in clear."""
        files = [path for path in self.home.rglob("*") if path.is_file()]
        return [path.name for path in files if needle in path.read_bytes()]
