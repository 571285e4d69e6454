"""The other end of a stdio MCP server for tests: starts the command and speaks lines with it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from protocol.link import McpServer

WAIT_S = 20.0


class McpLine:
    """One client."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._numbers = iter(range(1, 1_000))
        self._read: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._read_on, daemon=True).start()

    def send(self, *messages: object) -> None:
        assert self.process.stdin is not None
        lines = (each if isinstance(each, bytes) else json.dumps(each).encode() for each in messages)
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def receive(self) -> Any:
        """Return the next message; None at the end."""
        return self._read.get(timeout=WAIT_S)

    def ask(self, method: str, params: object = None) -> Any:
        """Return the whole answer to a request, passing over what comes before it."""
        number = self.post(method, params)
        while (message := self.receive()).get("id") != number:
            pass
        return message

    def post(self, method: str, params: object = None) -> int:
        """Send a request and return its id."""
        number = next(self._numbers)
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}})
        return number

    def begin(self) -> Any:
        """Shake hands and return what the server says of itself."""
        info = {"name": "test", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
        answer = self.ask("initialize", params)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer["result"]

    def tools(self) -> list[str]:
        return [tool["name"] for tool in self.ask("tools/list")["result"]["tools"]]

    def call(self, tool: str, arguments: object, **meta: object) -> Any:
        return self.ask("tools/call", {"name": tool, "arguments": arguments, "_meta": meta})["result"]

    def _read_on(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._read.put(json.loads(line))
        self._read.put(None)


@contextmanager
def line_to(server: McpServer) -> Iterator[McpLine]:
    """Start a server's command as a harness does."""
    process = subprocess.Popen(
        [server.command, *server.args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **server.env},
    )
    try:
        yield McpLine(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.stdout.close()
