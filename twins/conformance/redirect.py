"""Leads an SDK that knows only its platform's own address to a twin: a proxy for HTTPS_PROXY, with a certificate of its
own authority for SSL_CERT_FILE. Whatever it is asked for, it is the twin that answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

PIECE_BYTES = 64 << 10


@asynccontextmanager
async def serve_redirect(twin_address: str, certificate: ssl.SSLContext) -> AsyncIterator[str]:
    """Lead every connection to the twin's plain address until the block is left; yields the proxy's address."""
    twin = urlsplit(twin_address)

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readline()
            if first.startswith(b"CONNECT "):
                while (await reader.readline()).strip():
                    pass
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                await writer.start_tls(certificate)
                first = b""
            there, away = await asyncio.open_connection(twin.hostname, twin.port)
            away.write(first)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pipe(reader, away))
                tasks.create_task(_pipe(there, writer))
        except (OSError, ssl.SSLError):
            pass  # a client that went away; the next connection is led as well
        finally:
            writer.close()

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    finally:
        writer.close()
