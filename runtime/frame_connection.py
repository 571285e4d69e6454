"""One client of a socket of the host's: frames in one by one, frames out with a bound on what it leaves unread; and how
such a socket comes to listen.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from protocol.frames import HEADER_BYTES, MAX_HOST_FRAME_BYTES, FrameError, FrameSet, body_length, encode_frame

SEND_TIMEOUT_S = 5.0
"""A client that does not read for so long (a suspended terminal, say) counts as gone."""


class ClientGone(Exception):
    """The client closed its connection, or never spoke."""


class FrameConnection:
    """One client. `close` it when done."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: FrameSet) -> None:
        """`frames`: what the client may send."""
        self._reader = reader
        self._writer = writer
        self._frames = frames
        # Sent means handed to the kernel, which delivers it even if we die: `drain` waits until nothing is left here.
        writer.transport.set_write_buffer_limits(0)
        self._sending = asyncio.Lock()
        self._is_gone = False

    async def receive(self) -> object:
        """Return the next frame; raise FrameError, or ClientGone at the end of the stream."""
        try:
            header = await self._reader.readexactly(HEADER_BYTES)
            body = await self._reader.readexactly(body_length(header))
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise FrameError("truncated", "the stream ended inside a frame") from None
            raise ClientGone from None
        except OSError:
            raise ClientGone from None
        return self._frames.decode(body)

    async def send(self, frame: object) -> bool:
        """Send it; False if the client is gone, or left it unread for SEND_TIMEOUT_S: it counts as gone from then."""
        if self._is_gone or self._writer.is_closing():
            return False
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S), self._sending:
                self._writer.write(encode_frame(frame, MAX_HOST_FRAME_BYTES))
                await self._writer.drain()
        except (OSError, TimeoutError):
            self._is_gone = True
            self._writer.transport.abort()
            return False
        return True

    def send_soon(self, frame: object, most_unread_bytes: int) -> None:
        """Send it if the client keeps up; for what is worth nothing later."""
        if not self._writer.is_closing() and self._writer.transport.get_write_buffer_size() < most_unread_bytes:
            self._writer.write(encode_frame(frame, MAX_HOST_FRAME_BYTES))

    def close(self) -> None:
        self._writer.close()


def listen_at(path: Path) -> socket.socket:
    """Return a listening socket at `path` that was never open to others, in place of one that a killed host left."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.bind(str(fresh))
        fresh.chmod(0o600)
        listener.listen(64)
        fresh.rename(path)
    except OSError:
        listener.close()
        raise
    return listener
