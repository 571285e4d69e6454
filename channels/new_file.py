"""A platform's file, streamed into a new one: never more than a piece of it is in memory, and nothing stays of one that
did not come whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from channels.channel import DeliveryFailed

CHUNK_BYTES = 256 << 10


@contextmanager
def new_file(into: Path) -> Iterator[IO[bytes]]:
    """Give a new file; what fails before it is closed takes it away again."""
    target = into.open("xb")
    is_whole = False
    try:
        with target:
            yield target
        is_whole = True
    finally:
        if not is_whole:
            into.unlink(missing_ok=True)


async def write_chunks(chunks: AsyncIterator[bytes], target: IO[bytes], limit_bytes: int) -> int:
    """Write what comes; return its bytes. Raise DeliveryFailed where they are more than that."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit_bytes:
            raise file_too_large(limit_bytes)
        await asyncio.to_thread(target.write, chunk)
    return size


def file_too_large(limit_bytes: int) -> DeliveryFailed:
    return DeliveryFailed(f"the file is larger than {limit_bytes / (1 << 20):.3g} MiB", permanent=True)
