"""One side of a TLS connection, apart from the connection: what has arrived goes in, what is to be sent comes out.

asyncio has such a layer too. It takes as long for a small message as all else that is done to send it, and holds a
buffer of its own for each connection while that is open. Sockets and waiting are `stream.py`'s.
"""

from __future__ import annotations

import contextlib
import ssl

RECORD_BYTES = 16 << 10
"""The longest that one holds."""


class TlsSide:
    """After anything that it does, it may have something `to_send`. Everything raises ssl.SSLError."""

    __slots__ = ("_arrived", "_tls", "has_ended", "written")

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """`server_name`: who the other side must prove to be; None: it is the client, and we are the server."""
        self._arrived = ssl.MemoryBIO()
        self.written = ssl.MemoryBIO()
        """What is to be sent, with its length as `pending`."""
        self._tls = context.wrap_bio(
            self._arrived, self.written, server_side=server_name is None, server_hostname=server_name
        )
        self.has_ended = False
        """The other side has said that nothing more comes."""

    def receive(self, wire: bytes | bytearray | memoryview) -> None:
        """Take what has arrived."""
        self._arrived.write(wire)

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as that can be; return whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> bytes:
        """Return all that has arrived whole; empty if nothing has."""
        pieces: list[bytes] = []
        # Asking only where something is left saves an exception for each message.
        size = self._arrived.pending or self._tls.pending()
        while size:
            asked = min(size, RECORD_BYTES)
            try:
                piece = self._tls.read(asked)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                piece = b""
            if not piece:
                self.has_ended = True
                break
            pieces.append(piece)
            size = self._arrived.pending
            if not size and len(piece) == asked:  # less than that is all of a record's
                size = self._tls.pending()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write(self, data: bytes) -> bytes:
        """Return what says this to the other side."""
        self._tls.write(data)
        return self.written.read()

    def end(self) -> bytes:
        """Return what says that nothing more comes."""
        with contextlib.suppress(ssl.SSLError):  # it would wait for the other side's word, too; or was never begun
            self._tls.unwrap()
        return self.written.read()

    def to_send(self) -> bytes:
        """Return what must be sent of its own accord: of a handshake, an alert, an answer to new keys; mostly empty."""
        return self.written.read() if self.written.pending else b""
