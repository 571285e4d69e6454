"""One POST over a socket of the proxy's, and its whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import h11

MAX_ANSWER_BYTES = 32 << 20
_READ_BYTES = 64 << 10


async def post(
    socket: Path, path: str, pieces: AsyncIterator[bytes], length: int, content_type: str
) -> tuple[int, bytes]:
    """Return the status and the body of the answer to a body of so many bytes that comes in pieces. Raises OSError;
    EOFError for an answer that is not whole or far too long; h11.LocalProtocolError for a body of other than so many
    bytes. How long it may take is the caller's to say."""
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        return await _exchange(reader, writer, path, pieces, length, content_type)
    except h11.RemoteProtocolError as error:
        raise EOFError(f"the answer is not whole ({error})") from error
    finally:
        writer.close()


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str,
    pieces: AsyncIterator[bytes],
    length: int,
    content_type: str,
) -> tuple[int, bytes]:
    http = h11.Connection(our_role=h11.CLIENT)
    headers = [
        ("host", "nightyard"),
        ("content-type", content_type),
        ("content-length", str(length)),
        ("connection", "close"),
    ]
    writer.write(http.send(h11.Request(method="POST", target=path, headers=headers)) or b"")
    async for piece in pieces:
        writer.write(http.send(h11.Data(data=piece)) or b"")
        await writer.drain()
    writer.write(http.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    status, answer = 0, bytearray()
    while True:
        got = http.next_event()
        if got is h11.NEED_DATA:
            http.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(got, h11.Response):
            status = got.status_code
        elif isinstance(got, h11.Data):
            answer += got.data
            if len(answer) > MAX_ANSWER_BYTES:
                raise EOFError(f"the answer is longer than {MAX_ANSWER_BYTES >> 20} MiB")
        elif not isinstance(got, h11.InformationalResponse):
            return status, bytes(answer)
