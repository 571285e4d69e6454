"""How one thread ends what the loop is waiting for: a model's stream, a pause before a retry, a tool.

The link's thread trips it (a Stop frame came, or the host is gone); the loop's thread sees Interrupted.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Interrupted(Exception):
    """The agent was told to stop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Interrupt:
    """Tripped at most once; what was asked for first stays the reason."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tripped = threading.Event()
        self._reason = ""
        self._guarded: socket.socket | None = None

    def trip(self, reason: str) -> None:
        """Stop everything that checks, waits or reads under `guard`. Safe from any thread."""
        with self._lock:
            if not self._tripped.is_set():
                self._reason = reason
                self._tripped.set()
            if self._guarded is not None:
                _shut(self._guarded)

    def is_tripped(self) -> bool:
        return self._tripped.is_set()

    def check(self) -> None:
        """Raise Interrupted if tripped."""
        if self._tripped.is_set():
            raise Interrupted(self._reason)

    def wait(self, seconds: float) -> None:
        """Pause; raise Interrupted as soon as tripped."""
        self._tripped.wait(seconds)
        self.check()

    @contextmanager
    def guard(self, connection: socket.socket) -> Iterator[None]:
        """While inside, tripping shuts the connection down, which wakes whoever reads from it. One inside another is
        shut down first."""
        with self._lock:
            self.check()
            outer, self._guarded = self._guarded, connection
        try:
            yield
        finally:
            with self._lock:
                self._guarded = outer
                if outer is not None and self._tripped.is_set():
                    _shut(outer)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # not connected yet, or closed by the other side already
        connection.shutdown(socket.SHUT_RDWR)
