"""The socket to Chromium: commands and their answers, events as they come.

One thread reads all the time, so that a page that says much fills nobody's memory and a dialog is answered when nobody
waits for it. Events are taken in that thread, under `changed`: whoever takes them must not wait.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from agents.browser.wire import NOTHING, Decoder, Event, Reply, WireFault, encode_command
from agents.interrupt import Interrupt
from protocol.codec import Json

_READ_BYTES = 256 << 10
_LOOK_EVERY_S = 0.2
"""How late a stop is seen by who waits for a page; it ends Chromium anyway."""
_SEND_TIMEOUT_S = 10


class Gone(Exception):
    """Chromium has ended, or says what is no protocol."""


class Silent(Exception):
    """No answer came in time: a page that does not let go."""


class Refused(Exception):
    """Chromium does not do it; the message is Chromium's."""


class Connection:
    """Commands of one thread, events of another."""

    def __init__(self, end: socket.socket, interrupt: Interrupt, on_event: Callable[[Event], None]) -> None:
        # Not settimeout, which would hold for the reading thread too.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_TIMEOUT_S, 0))
        self._end = end
        self._interrupt = interrupt
        self._on_event = on_event
        self.changed = threading.Condition(threading.RLock())
        self._replies: dict[int, Reply | None] = {}
        """What is waited for; None until it has come."""
        self._number = 0
        self._sending = threading.Lock()
        self.is_gone = False

    def start(self) -> None:
        threading.Thread(target=self._read_on, name="browser", daemon=True).start()

    def call(
        self,
        method: str,
        params: Mapping[str, Json] = NOTHING,
        *,
        session: str = "",
        timeout_s: float,
        is_lost: Callable[[], bool] = lambda: False,
    ) -> Mapping[str, Json]:
        """Send a command and return its result; raise Gone, Silent, Refused, Interrupted. `is_lost`: whether no answer
        can come any more."""
        number = self._take_number()
        with self.changed:
            self._replies[number] = None
        try:
            self._send(encode_command(number, method, params, session))
            self.wait_until(lambda: self._replies[number] is not None or is_lost(), timeout_s)
        finally:
            with self.changed:
                reply = self._replies.pop(number)
        if reply is None:
            raise Silent(f"{method} was not answered")
        if reply.problem:
            raise Refused(reply.problem)
        return reply.result

    def tell(self, method: str, params: Mapping[str, Json] = NOTHING, *, session: str = "") -> None:
        """Send a command whose answer nobody waits for."""
        self._send(encode_command(self._take_number(), method, params, session))

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something that events change holds, and return whether it does; raise Gone, Interrupted."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while not condition():
                self._interrupt.check()
                if self.is_gone:
                    raise Gone
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self.changed.wait(min(left_s, _LOOK_EVERY_S))
        return True

    def close(self) -> None:
        """Have the reading thread end; Chromium too, which has nobody to obey then."""
        with self.changed:
            self.is_gone = True
        with suppress(OSError):  # the other side was first
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _take_number(self) -> int:
        with self.changed:
            self._number += 1
            return self._number

    def _send(self, data: bytes) -> None:
        try:
            with self._sending:
                self._end.sendall(data)
        except OSError as error:
            raise Gone from error

    def _read_on(self) -> None:
        decoder = Decoder()
        try:
            while piece := self._end.recv(_READ_BYTES):
                for message in decoder.feed(piece):
                    self._take(message)
        except (OSError, WireFault, Gone):
            pass  # what follows is the same: there is no browser any more
        with self.changed:
            self.is_gone = True
            self.changed.notify_all()

    def _take(self, message: Reply | Event) -> None:
        with self.changed:
            if isinstance(message, Event):
                self._on_event(message)
            elif message.number in self._replies:
                self._replies[message.number] = message
            self.changed.notify_all()
