"""The model twin, in a process of its own, at a proxy's socket: what the proxy does for a route, and no more."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def twin_process() -> Iterator[int]:
    """Run the twin; yields its port."""
    command = [sys.executable, "-m", "twins.models"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().rsplit(":", 1)[1])
        process.kill()


class TwinAtSocket:
    """A relay from a socket's path to the twin, a thread a connection."""

    def __init__(self, path: Path, port: int) -> None:
        self._port = port
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self.paths: list[str] = []
        self.bodies: list[Any] = []

    def script(self, *turns: dict[str, Any]) -> None:
        """Have model `scripted` say these turns, one a call, whatever was said."""
        self._tell("script", {"rules": [{"when": "", "turns": turns}]})

    def fail(self, **fault: Any) -> None:
        self._tell("fault", fault)

    def _tell(self, what: str, value: object) -> None:
        address = f"http://127.0.0.1:{self._port}/twin/{what}"
        with urllib.request.urlopen(urllib.request.Request(address, json.dumps(value).encode(), method="POST")):
            return

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(connection,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _relay(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as asked, suppress(OSError):
            method, path, version = asked.readline().decode("ascii").split(" ")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += asked.readline()
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = asked.read(length)
            self.paths.append(path)
            self.bodies.append(json.loads(body))
            with socket.create_connection(("127.0.0.1", self._port)) as twin:
                twin.sendall(f"{method} /{path.split('/', 3)[3]} {version}".encode() + head + body)
                while piece := twin.recv(1 << 16):
                    connection.sendall(piece)


@contextmanager
def twin_at(path: Path, port: int) -> Iterator[TwinAtSocket]:
    at_socket = TwinAtSocket(path, port)
    thread = threading.Thread(target=at_socket.accept)
    thread.start()
    try:
        yield at_socket
    finally:
        at_socket.close()
        thread.join()
