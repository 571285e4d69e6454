"""A small HTTP/1.1 server that every twin stands on: h11 over asyncio streams, streaming answers, honest resets.

Not a web framework: one handler is given each Request and an Exchange to answer through. What a twin must be able to
do and a framework hides is here: send half an answer and reset, say nothing for ever, answer after a delay.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h11

MAX_BODY_BYTES = 64 << 20
READ_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Lower-case names; of a repeated header the last."""
    body: bytes
    arrived: float
    """When its first bytes were read (monotonic seconds)."""

    def json(self) -> Any:
        """Return the body's JSON value; raise ValueError."""
        return json.loads(self.body)


class ClientGone(Exception):
    """The client closed the connection before its answer was complete."""


class Exchange:
    """One request's answer, sent whole or piece by piece."""

    def __init__(self, connection: h11.Connection, writer: asyncio.StreamWriter) -> None:
        self._connection = connection
        self._writer = writer

    async def answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, content_type: str = "text/plain"
    ) -> None:
        """Send a whole answer."""
        extra = {"content-type": content_type, "content-length": str(len(body)), **(headers or {})}
        await self.start(status, extra)
        await self.send(body)
        await self.end()

    async def answer_json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        await self.answer(status, json.dumps(value).encode(), headers, "application/json")

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        await self._write(h11.Response(status_code=status, headers=list(headers.items()), reason=_reason(status)))

    async def send(self, piece: bytes) -> None:
        await self._write(h11.Data(data=piece))

    async def end(self) -> None:
        await self._write(h11.EndOfMessage())

    def reset(self) -> None:
        """Break the connection with a TCP reset: what a client sees when a server dies."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _write(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        data = self._connection.send(event)
        if not data:
            return
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            raise ClientGone from error


Handler = Callable[[Request, Exchange], Awaitable[None]]


@asynccontextmanager
async def serve_http(
    handler: Handler, *, host: str = "127.0.0.1", port: int = 0, path: Path | None = None
) -> AsyncIterator[int]:
    """Serve until the block is left; yields the port, 0 for a Unix socket at `path`. Connections that are open then are
    broken off."""
    open_connections: set[asyncio.Task[Any]] = set()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        current = asyncio.current_task()
        assert current is not None
        open_connections.add(current)
        try:
            await _serve_connection(handler, reader, writer)
        except (ClientGone, ConnectionError, h11.RemoteProtocolError):
            return  # the client's doing; the next connection is served
        except asyncio.CancelledError:
            return  # the server is closing; asyncio would log a cancelled connection as an error
        finally:
            open_connections.discard(current)
            writer.transport.abort() if writer.is_closing() else writer.close()

    if path is None:
        server = await asyncio.start_server(on_connection, host, port)
        bound = int(server.sockets[0].getsockname()[1])
    else:
        server, bound = await asyncio.start_unix_server(on_connection, path), 0
    try:
        yield bound
    finally:
        server.close()
        for task in open_connections:
            task.cancel()
        if open_connections:
            await asyncio.wait(open_connections, timeout=2)


async def _serve_connection(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = h11.Connection(h11.SERVER)
    while (request := await _read_request(connection, reader, writer)) is not None:
        await handler(request, Exchange(connection, writer))
        if connection.our_state is not h11.DONE:
            return
        if connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _read_request(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    arrived = 0.0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])))
            chunk = await reader.read(READ_BYTES)
            arrived = arrived or time.monotonic()
            connection.receive_data(chunk)
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                return None
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return _request(head, bytes(body), arrived or time.monotonic())
        else:
            return None


def _request(head: h11.Request, body: bytes, arrived: float) -> Request:
    parts = urlsplit(head.target.decode("latin-1"))
    return Request(
        method=head.method.decode("ascii"),
        path=parts.path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
        body=body,
        arrived=arrived,
    )


def _reason(status: int) -> bytes:
    return {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 429: b"Too Many Requests"}.get(
        status, b""
    )
