"""The client of control.sock for callers without an event loop: the command line, where asyncio's import costs more
than the answer. Same errors and meaning as `control.py`; one thread may read a conversation while another speaks.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from client.errors import NOT_JSON, HostNotRunning, HostSilent, HostUnreadable, Refused
from protocol.codec import Json
from protocol.control import SERVER_FRAMES, Event, Problem, Reply, Request, Say, Shown
from protocol.frames import MAX_HOST_FRAME_BYTES, PROTOCOL_VERSION, FrameDecoder, FrameError, encode_frame

READ_BYTES = 64 << 10
CONNECT_TIMEOUT_S = 5.0


def request(path: Path, verb: str, arguments: Mapping[str, object] | None = None, timeout_s: float = 90.0) -> Json:
    """Return the answer's value. Raises HostSilent after `timeout_s` without a byte; it may still happen."""
    with _ask(path, verb, arguments) as connection:
        connection.settimeout(timeout_s)
        try:
            for frame in _frames(path, connection):
                if isinstance(frame, Reply):
                    return frame.value
                if isinstance(frame, Problem):
                    raise Refused(frame.code, frame.message, frame.mend)
        except TimeoutError:
            raise HostSilent(verb, timeout_s) from None
    raise HostUnreadable(path, f"the connection ended without an answer to {verb}")


class BlockingConversation:
    """A terminal chat that is open."""

    def __init__(self, path: Path, connection: socket.socket) -> None:
        self._path = path
        self._connection = connection
        self._frames = _frames(path, connection)
        self.chat = _opened(path, self._frames)
        """The chat's key: `terminal:main`."""

    def say(self, say: Say) -> None:
        """Send one thing; it is stored when its `accepted` is shown."""
        _send(self._path, self._connection, say)

    def shown(self) -> Iterator[Shown]:
        """Yield what is to be shown, until the host closes the chat or `close` is called. One reader."""
        for frame in self._frames:
            if isinstance(frame, Problem):
                raise Refused(frame.code, frame.message, frame.mend)
            if isinstance(frame, Shown):
                yield frame

    def close(self) -> None:
        """End it, from any thread: a reader that waits is woken."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def chat(path: Path, group: str = "", name: str = "") -> Iterator[BlockingConversation]:
    """Open a terminal chat with a group (empty: the terminal channel's own)."""
    with _ask(path, "chat", {"group": group, "name": name}) as connection:
        try:
            conversation = BlockingConversation(path, connection)
        except TimeoutError:
            raise HostSilent("chat", CONNECT_TIMEOUT_S) from None
        connection.settimeout(None)
        yield conversation


def _opened(path: Path, frames: Iterator[object]) -> str:
    """Return the chat's key, the host's first word."""
    for frame in frames:
        if isinstance(frame, Problem):
            raise Refused(frame.code, frame.message, frame.mend)
        if isinstance(frame, Event) and isinstance(frame.value, dict):
            return str(frame.value.get("chat", ""))
    raise HostUnreadable(path, "the connection ended before the chat was open")


@contextlib.contextmanager
def _ask(path: Path, verb: str, arguments: Mapping[str, object] | None) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_TIMEOUT_S)
        try:
            connection.connect(str(path))
        except FileNotFoundError:
            raise HostNotRunning(path, "does not exist") from None
        except OSError as error:
            raise HostNotRunning(path, f"does not answer ({error.strerror or 'no connection in time'})") from error
        _send(path, connection, Request(protocol=PROTOCOL_VERSION, verb=verb, arguments=dict(arguments or {})))
        yield connection


def _send(path: Path, connection: socket.socket, frame: object) -> None:
    try:
        connection.sendall(encode_frame(frame))
    except FrameError as error:
        raise Refused("too_large", f"this is too long to send ({error.detail})", "send it as a file") from error
    except ValueError as error:
        raise Refused("not_json", NOT_JSON, "send it as a file") from error
    except OSError as error:
        # A host that refuses at once answers and closes: its answer says more than our failed write.
        for answer in _frames(path, connection):
            if isinstance(answer, Problem):
                raise Refused(answer.code, answer.message, answer.mend) from error
        raise HostNotRunning(path, f"closed the connection ({error.strerror})") from error


def _frames(path: Path, connection: socket.socket) -> Iterator[object]:
    decoder = FrameDecoder(MAX_HOST_FRAME_BYTES)
    try:
        while chunk := connection.recv(READ_BYTES):
            for body in decoder.feed(chunk):
                yield SERVER_FRAMES.decode(body)
        decoder.end()
    except FrameError as error:
        raise HostUnreadable(path, str(error)) from error
    except TimeoutError:
        raise
    except OSError as error:
        raise HostNotRunning(path, f"closed the connection ({error.strerror})") from error
