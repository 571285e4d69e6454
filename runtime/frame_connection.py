"""One client of a socket of the host's: frames in one by one, frames out with a bound on what it leaves unread; and how
such a socket comes to listen.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from protocol.frames import HEADER_BYTES, MAX_HOST_FRAME_BYTES, FrameError, FrameSet, body_length, encode_frame

SEND_TIMEOUT_S = 5.0
"""A client that does not read for so long (a suspended terminal, say) counts as gone."""


ACCEPT_ROUNDS = 5
"""Of the loop, from an accepted connection to a closed transport."""

Connection = TypeVar("Connection", bound="FrameConnection")


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


async def serve_socket(
    path: Path,
    listening: asyncio.Event,
    connect: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Connection],
    serve: Callable[[Connection], Coroutine[Any, Any, None]],
) -> None:
    """Listen at `path` (mode 0600) until cancelled, each client served on its own; removes the socket at the end.
    `listening` is set meanwhile. Raises OSError if the path cannot be bound."""
    async with asyncio.TaskGroup() as connections:

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not listening.is_set():
                writer.close()
                return
            connection = connect(reader, writer)
            serving = connections.create_task(serve(connection))
            # Not by `serve`: one that came as the server goes is cancelled before it begins.
            serving.add_done_callback(lambda _: connection.close())

        server = await asyncio.start_unix_server(begin, sock=_listen_at(path))
        try:
            listening.set()
            # Not serve_forever: cancelled, it waits from Python 3.12 on for clients that are cancelled after it.
            await asyncio.get_running_loop().create_future()
        finally:
            listening.clear()
            path.unlink(missing_ok=True)
            # Nobody new finds the way. Whom asyncio is accepting just now must have a transport (which `begin`
            # closes) before the server goes: afterwards asyncio fails half-way and leaves the socket open.
            for _ in range(ACCEPT_ROUNDS):
                await asyncio.sleep(0)
            server.close()


def _listen_at(path: Path) -> socket.socket:
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
