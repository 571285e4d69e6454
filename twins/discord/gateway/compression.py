"""Transport compression: one stream for the life of a socket, each payload flushed to its end."""

from __future__ import annotations

import importlib
import zlib
from typing import Any, Protocol


class Stream(Protocol):
    def pack(self, text: str) -> bytes: ...


class ZlibStream:
    def __init__(self) -> None:
        self._context = zlib.compressobj()

    def pack(self, text: str) -> bytes:
        return self._context.compress(text.encode()) + self._context.flush(zlib.Z_SYNC_FLUSH)


class ZstdStream:
    """Stands only where the machine has the library (`zstandard`): no dependency of ours."""

    def __init__(self, library: Any) -> None:
        self._flush = library.COMPRESSOBJ_FLUSH_BLOCK
        self._context = library.ZstdCompressor().compressobj()

    def pack(self, text: str) -> bytes:
        return bytes(self._context.compress(text.encode()) + self._context.flush(self._flush))


def stream_for(wanted: str | None) -> Stream | None:
    """Return the stream for a socket's `compress`; None sends plain text, as also where the library is missing."""
    if wanted == "zlib-stream":
        return ZlibStream()
    if wanted == "zstd-stream":
        try:
            return ZstdStream(importlib.import_module("zstandard"))
        except ImportError:
            return None
    return None
