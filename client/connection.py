"""One connection to a socket of the host's: whole frames out, whole frames in."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from client.errors import NOT_JSON, HostNotRunning, HostUnreadable, Refused
from protocol.frames import MAX_HOST_FRAME_BYTES, FrameDecoder, FrameError, FrameSet, encode_frame

READ_BYTES = 64 << 10


class Connection:
    """Sends, and reads what the host may send. The mends: what helps where something is too long for a frame, or holds
    what JSON cannot."""

    def __init__(
        self,
        path: Path,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        frames: FrameSet,
        too_large_mend: str,
        not_json_mend: str,
    ) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._frames = frames
        self._too_large_mend = too_large_mend
        self._not_json_mend = not_json_mend
        self._decoder = FrameDecoder(MAX_HOST_FRAME_BYTES)
        self._ready: deque[bytes] = deque()

    async def send(self, frame: object) -> None:
        try:
            self._writer.write(encode_frame(frame))
            await self._writer.drain()
        except FrameError as error:
            raise Refused("too_large", f"this is too long to send ({error.detail})", self._too_large_mend) from error
        except ValueError as error:
            raise Refused("not_json", NOT_JSON, self._not_json_mend) from error
        except OSError as error:
            raise HostNotRunning(self._path, f"closed the connection ({error})") from error

    async def frames(self) -> AsyncIterator[object]:
        """Yield frames until the host closes the connection; what one reader leaves, the next gets."""
        try:
            while True:
                while self._ready:
                    yield self._frames.decode(self._ready.popleft())
                chunk = await self._reader.read(READ_BYTES)
                if not chunk:
                    break
                self._ready.extend(self._decoder.feed(chunk))
            self._decoder.end()
        except FrameError as error:
            raise HostUnreadable(self._path, str(error)) from error
        except OSError as error:
            raise HostNotRunning(self._path, f"closed the connection ({error})") from error


@contextlib.asynccontextmanager
async def connected(
    path: Path, timeout_s: float, frames: FrameSet, *, too_large_mend: str, not_json_mend: str = ""
) -> AsyncIterator[Connection]:
    """Open a connection and close it at the end; raise HostNotRunning."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(path)
    except FileNotFoundError:
        raise HostNotRunning(path, "does not exist") from None
    except (OSError, TimeoutError) as error:
        raise HostNotRunning(path, f"does not answer ({error or 'no connection in time'})") from error
    try:
        yield Connection(path, reader, writer, frames, too_large_mend, not_json_mend)
    finally:
        writer.close()
