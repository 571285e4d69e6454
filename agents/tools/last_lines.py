"""Tells people, every so often, what a command has written last: whoever looks on sees that it goes on."""

from __future__ import annotations

from collections.abc import Callable

from protocol.link import Progress

FIRST_AFTER_S = 2.0
"""Most commands have ended by then, and nothing is told of them."""
EVERY_S = 2.0
_LINES = 3
_LINE_CHARS = 120
_TAIL_BYTES = 2_000


class LastLines:
    """Of one command."""

    def __init__(self, say: Callable[[Progress], object], now: float) -> None:
        self._say = say
        self._due = now + FIRST_AFTER_S
        self._tail = b""
        self._is_new = False

    def add(self, piece: bytes) -> None:
        self._tail = (self._tail + piece)[-_TAIL_BYTES:]
        self._is_new = True

    def tell(self, now: float) -> None:
        """Tell them, if there is something new and it is time."""
        if not self._is_new or now < self._due:
            return
        self._due, self._is_new = now + EVERY_S, False
        # A carriage return begins a line anew, as bars of progress do.
        lines = self._tail.decode("utf-8", "replace").replace("\r", "\n").split("\n")
        shown = [line.rstrip()[:_LINE_CHARS] for line in lines if line.strip()][-_LINES:]
        if shown:
            self._say(Progress(kind="output", text="\n".join(shown), tool="shell"))
