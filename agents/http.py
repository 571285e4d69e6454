"""A small HTTP/1.1 client over a Unix socket: one request, one answer read as it comes.

Instead of http.client, which brings email and ssl: 5 MB and 25 ms of every waiting agent. It speaks what the
credential proxy speaks (status line, headers, chunked, content-length or until close) and nothing else: no redirects,
no kept connections, no compression. Retries are `model_call.py`'s business.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from agents.interrupt import Interrupt, Interrupted
from protocol.record import Record

MAX_HEAD_BYTES = 64 << 10
_READ_BYTES = 64 << 10
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |$)")
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")


class HttpFault(Exception):
    """A request that got no whole answer.

    `kind`: unreachable (no one at the socket), silent (nothing came in time), broken (the answer ended too early),
    malformed (not HTTP).
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class Patience(Record):
    """How long each phase of a request may take, in seconds."""

    connect_s: float = 5.0
    first_byte_s: float = 300.0
    """A local model may load for minutes before it says anything."""
    idle_s: float = 120.0
    """Between two pieces of an answer; hosted services send a ping every few seconds."""


class Answer:
    """The head of an answer; `body()` reads the rest as it comes."""

    def __init__(self, reader: _Reader, status: int, headers: Mapping[str, str]) -> None:
        self._reader = reader
        self.status = status
        self.headers = headers

    def body(self) -> Iterator[bytes]:
        """Yield pieces of the body; raise HttpFault when it breaks off or goes silent."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return self._reader.chunked()
        length = self.headers.get("content-length")
        if length is None:
            return self._reader.until_close()
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            raise HttpFault("malformed", "a content-length that is not a number")
        return self._reader.exactly(int(length))

    def text(self, max_bytes: int) -> str:
        """Return the first bytes of the body as text, broken off or not: for error messages."""
        taken = bytearray()
        try:
            for piece in self.body():
                taken += piece
                if len(taken) >= max_bytes:
                    break
        except HttpFault as fault:
            if not taken:
                return str(fault)
        return bytes(taken[:max_bytes]).decode("utf-8", "replace")


class Doorstep:
    """Connects to the proxy's socket: for the first request ahead of it, since a person waits for that one."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._ahead: socket.socket | None = None

    def connect_ahead(self) -> None:
        """Have a connection ready for the next request, if the proxy is there."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
        else:
            self._ahead = connection

    def connect(self, timeout_s: float, interrupt: Interrupt) -> socket.socket:
        """Return a connection; raise HttpFault, or Interrupted."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and not _has_ended(ahead):
            return ahead
        if ahead is not None:
            ahead.close()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            with interrupt.guard(connection):
                connection.connect(self._path)
        except OSError as error:
            connection.close()
            interrupt.check()
            raise HttpFault("unreachable", f"nobody answers at {self._path} ({error.strerror or error})") from error
        except Interrupted:
            connection.close()
            raise
        return connection


def _has_ended(connection: socket.socket) -> bool:
    """Return whether the other side of a connection that nothing was said on has closed it meanwhile."""
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def post(
    *,
    doorstep: Doorstep,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    patience: Patience,
    interrupt: Interrupt,
) -> Iterator[Answer]:
    """Send a POST and give the Answer; raise HttpFault, or Interrupted when another thread stops the agent."""
    given = {"host": "nightyard", "connection": "close", "content-length": str(len(body)), **headers}
    with doorstep.connect(patience.connect_s, interrupt) as connection, interrupt.guard(connection):
        yield exchange(connection, build_head("POST", path, given) + body, patience, interrupt)


def exchange(connection: socket.socket, request: bytes, patience: Patience, interrupt: Interrupt) -> Answer:
    """Send a request on a connection and return its Answer once its head is there; raise HttpFault, Interrupted."""
    reader = _Reader(connection, interrupt)
    reader.send(request)
    reader.timeout_s = patience.first_byte_s
    status, headers = reader.head()
    reader.timeout_s = patience.idle_s
    return Answer(reader, status, headers)


def build_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class _Reader:
    """Bytes of one answer, each wait under `timeout_s`."""

    def __init__(self, connection: socket.socket, interrupt: Interrupt) -> None:
        self._connection = connection
        self._interrupt = interrupt
        self._buffer = bytearray()
        self.timeout_s = 30.0

    def send(self, request: bytes) -> None:
        """Send all of it. A peer that answers and closes before it has read everything has still answered."""
        self._connection.settimeout(self.timeout_s)
        try:
            self._connection.sendall(request)
        except TimeoutError as error:
            raise HttpFault("silent", "the request was not taken") from error
        except (BrokenPipeError, ConnectionResetError):
            self._interrupt.check()
        except OSError as error:
            self._interrupt.check()
            raise HttpFault("broken", str(error.strerror or error)) from error

    def head(self) -> tuple[int, dict[str, str]]:
        """Return status and headers of the final answer (1xx ones are passed over)."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            while (end := self._buffer.find(b"\r\n\r\n")) < 0:
                if len(self._buffer) > MAX_HEAD_BYTES:
                    raise HttpFault("malformed", "the answer's head is too large")
                if time.monotonic() > deadline:
                    raise HttpFault("silent", f"no answer within {self.timeout_s:g} s")
                if not self._fill():
                    raise HttpFault("broken", "the connection closed before an answer")
            head = bytes(self._buffer[:end])
            del self._buffer[: end + 4]
            status, headers = _parse_head(head)
            if status >= 200:
                return status, headers

    def exactly(self, length: int) -> Iterator[bytes]:
        left = length
        while left:
            piece = self._some(left)
            left -= len(piece)
            yield piece

    def chunked(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self.exactly(size)
            if self._line():
                raise HttpFault("malformed", "a chunk without its end")
        while self._line():
            pass

    def until_close(self) -> Iterator[bytes]:
        while self._buffer or self._fill():
            piece = bytes(self._buffer)
            self._buffer.clear()
            yield piece

    def _some(self, at_most: int) -> bytes:
        if not self._buffer and not self._fill():
            raise HttpFault("broken", "the answer broke off")
        piece = bytes(self._buffer[:at_most])
        del self._buffer[:at_most]
        return piece

    def _chunk_size(self) -> int:
        match = _CHUNK_SIZE.match(self._line())
        if match is None:
            raise HttpFault("malformed", "a chunk without a size")
        return int(match.group(), 16)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise HttpFault("malformed", "a line of the answer is too long")
            if not self._fill():
                raise HttpFault("broken", "the answer broke off")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _fill(self) -> bool:
        """Wait for more bytes; return False at the end."""
        self._connection.settimeout(self.timeout_s)
        try:
            piece = self._connection.recv(_READ_BYTES)
        except TimeoutError as error:
            raise HttpFault("silent", f"nothing came for {self.timeout_s:g} s") from error
        except OSError as error:
            self._interrupt.check()
            raise HttpFault("broken", str(error.strerror or error)) from error
        self._interrupt.check()
        self._buffer += piece
        return bool(piece)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    status_line, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.match(status_line)
    if match is None:
        raise HttpFault("malformed", "the answer is not HTTP/1.1")
    headers = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(match.group(1)), headers
