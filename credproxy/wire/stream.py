"""A byte stream over any transport: bounded both ways, and it says at once when the other side has gone.

Used on both legs in place of asyncio's own streams, which cannot tell whether bytes wait unread (a reused upstream
connection with such bytes is poisoned) nor call back when a client leaves (its upstream call must end then). TLS is
done in it, by `tls.py`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from credproxy.wire.expiry import expiry_of
from credproxy.wire.tls import TlsSide
from credproxy.wire.waiting import Waiter

READ_BYTES = 64 << 10
"""Read at once, into one place for all connections: nothing waits between the reading and the taking out. Handed out
by the system for each read anew, the room costs more than the bytes."""
_arriving = memoryview(bytearray(READ_BYTES))
MAX_UNREAD_BYTES = 256 << 10
"""More than this waiting unread and the transport is told to stop reading: back-pressure."""
TLS_HANDSHAKE = b"\x16"
"""The type of a TLS connection's first record; no line of HTTP begins with it."""
LINGER_S = 5.0
"""For the other side's word at a connection's end."""


class StreamBroken(Exception):
    """The connection ended while something was to be read or written."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stream(asyncio.BufferedProtocol):
    """One connection. One reader and one writer at a time."""

    def __init__(self, on_connected: Callable[[Stream], None] | None = None) -> None:
        self._on_connected = on_connected
        self._transport: asyncio.Transport | None = None
        self._unread: bytes | bytearray = b""
        """Bytes as they came, not copied, while it is one piece; more pieces are gathered."""
        self._has_ended = False
        self._is_lost = False
        self._is_paused_reading = False
        self._is_paused_writing = False
        self._tls: TlsSide | None = None
        self._shaking_hands: asyncio.Future[None] | None = None
        """Waited for until the handshake is done."""
        self._lingering: asyncio.TimerHandle | None = None
        """Set when this side has ended its TLS: what still comes is nobody's."""
        self._loop = asyncio.get_running_loop()
        self._expiry = expiry_of(self._loop)
        self._reader = Waiter(self._loop)
        self._waiting_writer: asyncio.Future[None] | None = None
        self.on_gone: Callable[[], None] | None = None
        """Called once when the other side ends or breaks the connection."""

    @property
    def is_usable(self) -> bool:
        """Open both ways, with nothing waiting unread."""
        return not (self._has_ended or self._is_lost or self._unread)

    @property
    def must_wait_to_write(self) -> bool:
        """The other side does not keep up: `drain` would wait, or raise."""
        return self._is_paused_writing or self._is_lost

    async def read(self, timeout_s: float | None = None) -> bytes:
        """Return what has arrived, at least a byte; empty when the other side has ended. Raises TimeoutError."""
        while not self._unread:
            if self._has_ended or self._is_lost:
                return b""
            if timeout_s is None:
                await self._reader
                continue
            self._expiry.watch(self._reader, self._loop.time() + timeout_s)
            try:
                await self._reader
            finally:
                self._expiry.forget(self._reader)
        chunk, self._unread = self._unread, b""
        if self._is_paused_reading and self._transport is not None:
            self._is_paused_reading = False
            self._transport.resume_reading()
        return chunk if isinstance(chunk, bytes) else bytes(chunk)

    def write(self, data: bytes) -> None:
        if self._is_lost or self._transport is None:
            raise StreamBroken("the connection is closed")
        if self._tls is not None:
            try:
                data = self._tls.write(data)
            except ssl.SSLError as error:
                raise StreamBroken("nothing can be written any more") from error
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the other side has taken enough; raises StreamBroken."""
        while self._is_paused_writing and not self._is_lost:
            self._waiting_writer = self._loop.create_future()
            try:
                await self._waiting_writer
            finally:
                self._waiting_writer = None
        if self._is_lost:
            raise StreamBroken("the other side is gone")

    async def begins_tls(self, timeout_s: float) -> bool:
        """Whether what comes first is a TLS handshake. It is looked at and kept, so that `start_tls` finds it all.
        Raises StreamBroken, TimeoutError."""
        if self._unread:
            raise StreamBroken("the other side spoke before it was told to")
        self._unread = await self.read(timeout_s)
        if not self._unread:
            raise StreamBroken("the other side left without a word")
        return self._unread[:1] == TLS_HANDSHAKE

    async def start_tls(self, context: ssl.SSLContext, timeout_s: float | None, server_name: str | None = None) -> None:
        """Shake hands on this connection: as the server, or, with a `server_name`, as a client of whoever proves to be
        that. Raises ssl.SSLError, TimeoutError, StreamBroken."""
        if self._transport is None or self._has_ended or self._is_lost:
            raise StreamBroken("the other side is gone")
        loop = self._loop
        self._tls = tls = TlsSide(context, server_name)
        tls.receive(self._unread)
        self._unread = b""
        self._shaking_hands = waiting = loop.create_future()
        if timeout_s is not None:
            self._expiry.watch(waiting, loop.time() + timeout_s)
        try:
            self._shake_hands(tls, waiting)
            await waiting
        finally:
            self._expiry.forget(waiting)

    def close(self) -> None:
        """Close after what is written has gone, and, with TLS, the other side has said goodbye in its turn: many a
        client takes a socket that is closed by then for a failure."""
        transport, tls = self._transport, self._tls
        if transport is None:
            return
        if tls is not None and self._lingering is None:
            transport.write(tls.end())
        if tls is None or self._has_ended or transport.is_closing():
            transport.close()
        elif self._lingering is None:
            if self._is_paused_reading:
                transport.resume_reading()
            self._lingering = self._loop.call_later(LINGER_S, transport.abort)

    def _close_now(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now; what is written but not gone is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # the loop's own type; a protocol's is the wider one
        if self._on_connected is not None:
            self._on_connected(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return _arriving

    def buffer_updated(self, nbytes: int) -> None:
        if self._tls is None:
            self._take(bytes(_arriving[:nbytes]))
        else:
            self._tls.receive(_arriving[:nbytes])
            self._take_records(self._tls)

    def _take_records(self, tls: TlsSide) -> None:
        waiting = self._shaking_hands
        if waiting is not None and not self._shake_hands(tls, waiting):
            return
        try:
            data = tls.read()
        except ssl.SSLError:
            self._write_raw(tls.to_send())
            self.abort()
            return
        if tls.written.pending:
            self._write_raw(tls.to_send())
        if self._lingering is not None:
            self._close_now()  # it said goodbye, or goes on as if nothing had been said
            return
        if data:
            self._take(data)
        if tls.has_ended:
            self._end()
            self.close()

    def _shake_hands(self, tls: TlsSide, waiting: asyncio.Future[None]) -> bool:
        """Go on with the handshake; return whether it is done."""
        is_done = False
        try:
            is_done = tls.shake_hands()
        except ssl.SSLError as error:
            if not waiting.done():
                waiting.set_exception(error)
        self._write_raw(tls.to_send())
        if is_done:
            self._shaking_hands = None
            self._wake(waiting)
        return is_done

    def _write_raw(self, wire: bytes) -> None:
        if wire and self._transport is not None:
            self._transport.write(wire)

    def _take(self, data: bytes) -> None:
        if not self._unread:
            self._unread = data
        else:
            if isinstance(self._unread, bytes):
                self._unread = bytearray(self._unread)
            self._unread += data
        if len(self._unread) > MAX_UNREAD_BYTES and not self._is_paused_reading and self._transport is not None:
            self._is_paused_reading = True
            self._transport.pause_reading()
        self._reader.go_on()

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._is_lost = True
        self._transport = self._tls = None
        if self._lingering is not None:
            self._lingering.cancel()
        self._end()
        self._wake(self._waiting_writer)

    def pause_writing(self) -> None:
        self._is_paused_writing = True

    def resume_writing(self) -> None:
        self._is_paused_writing = False
        self._wake(self._waiting_writer)

    def _end(self) -> None:
        self._has_ended = True
        waiting, self._shaking_hands = self._shaking_hands, None
        if waiting is not None and not waiting.done():
            self.on_gone = None  # whoever shakes hands is told here, and nobody else waits
            waiting.set_exception(StreamBroken("it broke the connection off during the handshake"))
        self._reader.go_on()
        gone, self.on_gone = self.on_gone, None
        if gone is not None:
            gone()

    @staticmethod
    def _wake(waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
