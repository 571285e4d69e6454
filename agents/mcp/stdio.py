"""An MCP server that is a command in the container: a child of the agent's process, spoken with in lines.

https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#stdio. It lives until the task ends, or until
it fails; a stop ends it with all that tools have started.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from agents.interrupt import Interrupt
from agents.mcp import rpc
from agents.mcp.rpc import Message
from agents.mcp.transport import MAX_EXCHANGE_BYTES, ServerFailed
from agents.places import Places
from protocol.link import McpServer

MAX_NOISE_LINES = 200
"""Lines on its output that are no messages: some servers greet there."""
MAX_INBOX = 2_000
_COMPLAINT_BYTES = 2_000
"""Of what it wrote to its standard error last."""
_LOOK_EVERY_S = 0.1
_TELL_S = 0.2
_READ_BYTES = 64 << 10


class Stdio:
    """A Transport (`transport.py`)."""

    def __init__(self, server: McpServer, places: Places, interrupt: Interrupt) -> None:
        self._server = server
        self._places = places
        self._interrupt = interrupt
        self._child: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        self._decoder = rpc.LineDecoder()
        self._outgoing = bytearray()
        self._inbox: deque[Message] = deque()
        self._complaint = b""
        self._noise: list[bytes] = []
        self._heard_bytes = 0
        try:
            child = subprocess.Popen(
                [self._server.command, *self._server.args],
                cwd=self._places.workspace,
                env={**os.environ, **self._server.env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:  # ValueError: a zero byte
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ServerFailed(f"could not be started: {self._server.command}: {reason}") from error
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None  # asked for above
        self._child = child
        self._in, self._out, self._err = child.stdin.fileno(), child.stdout.fileno(), child.stderr.fileno()
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)
        self._open = {self._out, self._err}

    def use(self, version: str) -> None:
        """All versions are written alike here."""

    def ask(self, message: Message, deadline: float) -> Iterator[Message]:
        self._heard_bytes = 0
        self._outgoing += rpc.encode(message)
        while True:
            while self._inbox:
                yield self._inbox.popleft()
            self._interrupt.check()
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._move(min(left_s, _LOOK_EVERY_S))

    def tell(self, message: Message) -> None:
        self._outgoing += rpc.encode(message)
        until = time.monotonic() + _TELL_S
        with suppress(ServerFailed):
            while self._child is not None and self._outgoing and (left_s := until - time.monotonic()) > 0:
                self._move(left_s)

    def overheard(self) -> list[Message]:
        self._heard_bytes = 0
        self._move(0)
        found = list(self._inbox)
        self._inbox.clear()
        return found

    def close(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()

    def _move(self, wait_s: float) -> None:
        """Wait for the child, and carry once what can be carried; both ways, or two full pipes would wait for one
        another. Raises ServerFailed where it has ended or says what is no message."""
        if self._out not in self._open:
            raise ServerFailed(self._how_it_ended())
        poll = select.poll()
        for descriptor in self._open:
            poll.register(descriptor, select.POLLIN)
        if self._outgoing:
            poll.register(self._in, select.POLLOUT)
        for descriptor, _ in poll.poll(1000 * wait_s):
            if descriptor == self._in:
                self._write()
            elif not self._read(descriptor) and descriptor == self._out:
                raise ServerFailed(self._how_it_ended())

    def _write(self) -> None:
        with suppress(BlockingIOError, BrokenPipeError):  # its output says how it ended
            del self._outgoing[: os.write(self._in, self._outgoing[:_READ_BYTES])]

    def _read(self, descriptor: int) -> bool:
        """Read once; return False at the end."""
        try:
            piece = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return True
        if not piece:
            self._open.discard(descriptor)
            return False
        if descriptor == self._err:
            self._complaint = (self._complaint + piece)[-_COMPLAINT_BYTES:]
            return True
        self._heard_bytes += len(piece)
        if self._heard_bytes > MAX_EXCHANGE_BYTES:
            raise ServerFailed(f"said more than {MAX_EXCHANGE_BYTES >> 20} MiB to one request")
        try:
            for line in self._decoder.feed(piece):
                self._take(line)
        except rpc.MessageTooLarge as error:
            raise ServerFailed(f"sent a message of more than {rpc.MAX_MESSAGE_BYTES >> 20} MiB") from error
        return True

    def _take(self, line: bytes) -> None:
        try:
            self._inbox.extend(rpc.parse(line))
        except rpc.BadMessage:
            self._noise.append(line[:200])
        if len(self._noise) > MAX_NOISE_LINES:
            shown = self._noise[0].decode("utf-8", "replace")
            raise ServerFailed(f"writes what is no JSON-RPC message on its output, first: {shown!r}")
        if len(self._inbox) > MAX_INBOX:
            raise ServerFailed(f"sent more than {MAX_INBOX} messages at once")

    def _how_it_ended(self) -> str:
        assert self._child is not None
        with suppress(ServerFailed):
            while self._err in self._open and select.select([self._err], [], [], _TELL_S)[0]:
                self._read(self._err)
        try:
            code: object = self._child.wait(_TELL_S)
        except subprocess.TimeoutExpired:
            code = "unknown, it has only closed its output"
        words = self._complaint.decode("utf-8", "replace").strip()
        noise = b"\n".join(self._noise[:3]).decode("utf-8", "replace")
        return f"ended (exit code {code})" + (f"; it said: {words or noise}" if words or noise else "")
