"""A byte stream over any transport: bounded both ways, and it says at once when the other side has gone.

Used on both legs in place of asyncio's own streams, which cannot tell whether bytes wait unread (a reused upstream
connection with such bytes is poisoned) nor call back when a client leaves (its upstream call must end then).
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import socket
import ssl
from collections.abc import Callable
from typing import cast

from credproxy.wire.expiry import expiry_of

READ_BYTES = 64 << 10
"""Read at once, into one place for all connections: nothing waits between the reading and the taking out. Handed out
by the system for each read anew, the room costs more than the bytes."""
_arriving = memoryview(bytearray(READ_BYTES))
MAX_UNREAD_BYTES = 256 << 10
"""More than this waiting unread and the transport is told to stop reading: back-pressure."""
TLS_HANDSHAKE = b"\x16"
"""The type of a TLS connection's first record; no line of HTTP begins with it."""
TLS_BUFFER_BYTES = 32 << 10
asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
"""Of each TLS connection, for as long as it is open, and cleared when it is made. asyncio takes 256 KiB: the sixteen
idle connections of one busy container would hold 4 MB.

It is set for the whole process, since asyncio makes its TLS layer itself, in `start_tls` and `create_connection`, and
takes neither a size nor a class for it. Nobody else of this process speaks TLS: all goes through `Stream`. A test sees
that the layer still takes its size from there."""


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
        self._is_upgrading = False
        self._waiting_reader: asyncio.Future[None] | None = None
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
            loop = asyncio.get_running_loop()
            self._waiting_reader = waiting = loop.create_future()
            expiry = expiry_of(loop)
            if timeout_s is not None:
                expiry.watch(waiting, loop.time() + timeout_s)
            try:
                await waiting
            finally:
                self._waiting_reader = None
                expiry.forget(waiting)
        chunk, self._unread = self._unread, b""
        if self._is_paused_reading and self._transport is not None:
            self._is_paused_reading = False
            self._transport.resume_reading()
        return chunk if isinstance(chunk, bytes) else bytes(chunk)

    def write(self, data: bytes) -> None:
        if self._is_lost or self._transport is None:
            raise StreamBroken("the connection is closed")
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the other side has taken enough; raises StreamBroken."""
        while self._is_paused_writing and not self._is_lost:
            self._waiting_writer = asyncio.get_running_loop().create_future()
            try:
                await self._waiting_writer
            finally:
                self._waiting_writer = None
        if self._is_lost:
            raise StreamBroken("the other side is gone")

    async def begins_tls(self, timeout_s: float) -> bool:
        """Whether what comes first is a TLS handshake. It is looked at and not read, so that `start_tls` finds it all.
        Raises StreamBroken, TimeoutError."""
        if self._transport is None or self._unread or self._has_ended:
            raise StreamBroken("the other side left, or spoke before it was told to")
        loop = asyncio.get_running_loop()
        self._transport.pause_reading()
        # Of its own number: asyncio lets nobody else watch a transport's socket.
        with self._transport.get_extra_info("socket").dup() as peeked:
            arrived = asyncio.Event()
            loop.add_reader(peeked, arrived.set)
            try:
                async with asyncio.timeout(timeout_s):
                    await arrived.wait()
            finally:
                loop.remove_reader(peeked)
            first = peeked.recv(1, socket.MSG_PEEK)
        if self._transport is None or not first:
            raise StreamBroken("the other side left without a word")
        self._transport.resume_reading()
        return bool(first == TLS_HANDSHAKE)

    async def start_tls(self, context: ssl.SSLContext, timeout_s: float) -> None:
        """Answer a TLS handshake on this connection; raises OSError (ssl.SSLError too) or StreamBroken."""
        if self._transport is None or self._has_ended or self._is_lost:
            raise StreamBroken("the other side is gone")
        self._is_upgrading = True
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport, self, context, server_side=True, ssl_handshake_timeout=timeout_s
            )
        finally:
            self._is_upgrading = False
        if transport is None:
            raise StreamBroken("the other side left during the handshake")
        self._transport = transport

    def close(self) -> None:
        """Close after what is written has gone."""
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
        data = bytes(_arriving[:nbytes])
        if not self._unread:
            self._unread = data
        else:
            if isinstance(self._unread, bytes):
                self._unread = bytearray(self._unread)
            self._unread += data
        if len(self._unread) > MAX_UNREAD_BYTES and not self._is_paused_reading and self._transport is not None:
            self._is_paused_reading = True
            self._transport.pause_reading()
        self._wake(self._waiting_reader)

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._is_lost = True
        # asyncio's TLS layer keeps our methods for ever: held by us in turn, its buffers would wait for the collector.
        self._transport = None
        self._end()
        self._wake(self._waiting_writer)

    def pause_writing(self) -> None:
        self._is_paused_writing = True

    def resume_writing(self) -> None:
        self._is_paused_writing = False
        self._wake(self._waiting_writer)

    def _end(self) -> None:
        self._has_ended = True
        self._wake(self._waiting_reader)
        gone, self.on_gone = self.on_gone, None
        if gone is not None:
            gone()

    @staticmethod
    def _wake(waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
