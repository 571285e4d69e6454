"""A bare CONNECT tunnel on asyncio, `python -m bench.tunnel`: what any proxy in Python costs that only copies bytes."""

from __future__ import annotations

import asyncio
from typing import cast


class Leg(asyncio.Protocol):
    """One side of a tunnel: what arrives goes to the other side, as fast as that takes it."""

    def __init__(self, other: Leg | None = None) -> None:
        self.transport: asyncio.Transport | None = None
        self._other = other
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # the loop's own type

    def data_received(self, data: bytes) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.write(data)
            return
        self._head += data
        if b"\r\n\r\n" in self._head and self._other is None:
            host, _, port = self._head.split(b" ", 2)[1].decode("ascii").rpartition(":")
            self._opening = asyncio.get_running_loop().create_task(self._open(host, int(port)))

    async def _open(self, host: str, port: int) -> None:
        self._other = other = Leg(self)
        await asyncio.get_running_loop().create_connection(lambda: other, host, port)
        if self.transport is not None:
            self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")

    def connection_lost(self, error: Exception | None) -> None:
        del error
        if self._other is not None and self._other.transport is not None:
            self._other.transport.close()

    def pause_writing(self) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.resume_reading()


async def main() -> None:
    """Print the port and serve until killed."""
    server = await asyncio.get_running_loop().create_server(Leg, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
