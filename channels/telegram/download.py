"""Stream a file of Telegram's to the disk. The SDK itself would hold all of it in memory."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx

from channels.channel import DeliveryFailed
from channels.new_file import CHUNK_BYTES, new_file, write_chunks

DOWNLOAD_LIMIT_BYTES = 20 << 20
"""Telegram's own limit for files that a bot downloads."""
GONE = (400, 404, 410)


async def download_file(address: str, into: Path, limit_bytes: int, timeout_s: float) -> int:
    """Write what is at the address into a new file; return its bytes. Raise DeliveryFailed: then no file is left."""
    try:
        with new_file(into) as target:
            return await _stream(address, target, limit_bytes, timeout_s)
    except httpx.HTTPError as error:  # its text may hold the address, and that the token
        raise DeliveryFailed(f"the file's download broke off: {type(error).__name__}") from None


async def _stream(address: str, target: IO[bytes], limit_bytes: int, timeout_s: float) -> int:
    async with (
        httpx.AsyncClient(timeout=timeout_s, **http_options(address)) as http,
        http.stream("GET", address) as answer,
    ):
        if answer.status_code != 200:
            raise DeliveryFailed(f"the file's download gave {answer.status_code}", permanent=answer.status_code in GONE)
        return await write_chunks(answer.aiter_bytes(CHUNK_BYTES), target, limit_bytes)


def http_options(url: str) -> dict[str, Any]:
    """Return what all HTTP clients share. For a server on this machine no proxy of the environment is asked."""
    is_local = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    return {"trust_env": not is_local, "verify": _tls(with_authorities=not url.startswith("http://"))}


@functools.cache
def _tls(*, with_authorities: bool) -> ssl.SSLContext:
    """Return the one context of all clients: each one's own copy of the authorities would be 5 MB more."""
    return httpx.create_ssl_context() if with_authorities else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
