"""Files to Slack and from it, streamed between the disk and the network."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import aiohttp

from channels.channel import DeliveryFailed
from channels.new_file import CHUNK_BYTES, file_too_large, new_file, write_chunks
from channels.slack.client import SlackClient
from channels.slack.encode import FileToSend
from channels.slack.failures import Unanswered
from channels.slack.transport import proxy_for

MAX_UPLOAD_BYTES = 1_000_000_000
SLOWEST_BYTES_PER_S = 32 << 10
MOVED = (301, 302, 303, 307, 308)
MAX_ADDRESSES = 4
"""Of one file: where it was said to lie, and where that leads."""
WEB_PAGE = "Slack gave a web page in place of the file: the app lacks files:read, or may not see it"
LOCAL = ("127.0.0.1", "::1", "localhost")


class Files:
    """The files of one workspace."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client

    async def bring(self, files: Sequence[FileToSend]) -> tuple[str, ...]:
        """Bring files to Slack, where nobody sees them yet; return their ids. Raise DeliveryFailed."""
        return tuple([await self._bring(file) for file in files])

    async def _bring(self, file: FileToSend) -> str:
        with _opened(file) as source:
            size = await asyncio.to_thread(_size, source)
            if not 0 < size <= MAX_UPLOAD_BYTES:
                what = f"{file.name} has {size / 1e6:.0f} MB; Slack takes 1 GB" if size else f"{file.name} is empty"
                raise DeliveryFailed(f"{what}, which Slack does not take" if not size else what, permanent=True)
            told = await self._client.call("files.getUploadURLExternal", filename=file.name, length=size)
            address = str(told["upload_url"])
            if not self._is_slacks(address):
                raise DeliveryFailed(f"the file {file.name} would go to a server that is not Slack's", permanent=True)
            await self._post(address, source, size, file.name)
            return str(told["file_id"])

    async def _post(self, address: str, source: IO[bytes], size: int, name: str) -> None:
        session = self._session()
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        timeout_s = max(self._client.timings.upload_s, size / SLOWEST_BYTES_PER_S)
        no_other = aiohttp.ClientTimeout(total=None)
        try:
            async with (
                asyncio.timeout(timeout_s),
                session.post(
                    address,
                    data=source,
                    headers=headers,
                    timeout=no_other,
                    proxy=proxy_for(address),
                    allow_redirects=False,
                ) as answer,
            ):
                if answer.status != 200:
                    raise DeliveryFailed(f"Slack did not take the file {name} (HTTP {answer.status})")
        except TimeoutError:
            raise DeliveryFailed(f"the file {name} was not taken in {timeout_s:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise DeliveryFailed(f"the upload of {name} broke off: {type(error).__name__}") from None

    async def fetch(self, file_id: str, into: Path, max_bytes: int) -> int:
        """Write a file of Slack's into a new one; return its bytes. Raise DeliveryFailed: then no file is left."""
        told = (await self._client.call("files.info", file=file_id)).get("file") or {}
        size = told.get("size")
        if isinstance(size, int) and size > max_bytes:
            raise file_too_large(max_bytes)
        address = str(told.get("url_private_download") or told.get("url_private") or "")
        with new_file(into) as target:
            return await self._stream(address, str(told.get("mimetype") or ""), target, max_bytes)

    async def _stream(self, address: str, media_type: str, target: IO[bytes], max_bytes: int) -> int:
        session = self._session()
        headers = {"Authorization": f"Bearer {self._client.bot_token}"}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=self._client.timings.send_s)
        try:
            for _ in range(MAX_ADDRESSES):
                if not self._is_slacks(address):  # nobody but Slack is shown the token, or asked for a file
                    raise DeliveryFailed("the file is not Slack's own and cannot be fetched", permanent=True)
                async with session.get(
                    address, headers=headers, timeout=timeout, proxy=proxy_for(address), allow_redirects=False
                ) as answer:
                    if answer.status in MOVED and "Location" in answer.headers:
                        address = urljoin(address, answer.headers["Location"])
                        continue
                    if answer.status != 200:
                        is_gone = answer.status in (403, 404, 410)
                        raise DeliveryFailed(f"the file's download gave {answer.status}", permanent=is_gone)
                    if answer.content_type == "text/html" and not media_type.startswith("text/html"):
                        raise DeliveryFailed(WEB_PAGE, permanent=True)
                    return await write_chunks(answer.content.iter_chunked(CHUNK_BYTES), target, max_bytes)
            raise DeliveryFailed("the file's address leads from one to the next without end")
        except (TimeoutError, aiohttp.ClientError) as error:
            raise DeliveryFailed(f"the file's download broke off: {type(error).__name__}") from None

    def _is_slacks(self, address: str) -> bool:
        parts = urlsplit(address)
        host = parts.hostname or ""
        if parts.netloc == urlsplit(self._client.url).netloc and host in LOCAL:
            return True
        return parts.scheme == "https" and (host == "slack.com" or host.endswith(".slack.com"))

    def _session(self) -> aiohttp.ClientSession:
        session = self._client.session
        if session is None:
            raise Unanswered(f"Slack: {self._client.health()}")
        return session


def _opened(file: FileToSend) -> IO[bytes]:
    if not file.path:
        return io.BytesIO(file.content)
    try:
        return Path(file.path).open("rb")
    except OSError as error:
        raise DeliveryFailed(f"the file {file.name} cannot be read: {error.strerror}", permanent=True) from error


def _size(source: IO[bytes]) -> int:
    end = source.seek(0, io.SEEK_END)
    source.seek(0)
    return end
