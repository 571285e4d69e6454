"""Stream a file of Discord's to the disk. The SDK itself would hold all of it in memory."""

from __future__ import annotations

from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import aiohttp

from channels.channel import DeliveryFailed
from channels.discord.redirect import Server, build_connector
from channels.new_file import CHUNK_BYTES, new_file, write_chunks

HOSTS = ("cdn.discordapp.com", "media.discordapp.net")
EXPIRED = (403, 404, 410)


class Expired(DeliveryFailed):
    """The file's address is good no more: they live for a day. A new one is to be asked for."""


async def download_file(address: str, into: Path, limit_bytes: int, timeout_s: float, server: Server | None) -> int:
    """Write what is at the address into a new file; return its bytes. Raise DeliveryFailed: then no file is left.

    `timeout_s` is for each piece of it.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" or parts.hostname not in HOSTS:
        raise DeliveryFailed("the file is not at Discord", permanent=True)
    try:
        with new_file(into) as target:
            return await _stream(address, target, limit_bytes, timeout_s, server)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DeliveryFailed(f"the file's download broke off: {type(error).__name__}") from None


async def _stream(address: str, target: IO[bytes], limit_bytes: int, timeout_s: float, server: Server | None) -> int:
    timeout = aiohttp.ClientTimeout(total=None, connect=timeout_s, sock_read=timeout_s)
    async with (
        aiohttp.ClientSession(connector=build_connector(server), timeout=timeout) as http,
        http.get(address, allow_redirects=False) as answer,
    ):
        if answer.status in EXPIRED:
            raise Expired(f"the file's download gave {answer.status}", permanent=True)
        if answer.status != 200:
            raise DeliveryFailed(f"the file's download gave {answer.status}")
        return await write_chunks(answer.content.iter_chunked(CHUNK_BYTES), target, limit_bytes)
