"""Waits out a store that cannot take a write just now: the disk is full, too much is waiting for it, or another program
keeps its file locked.

For facts that must not be dropped because the disk was full when they happened. What has not been stored is not acked,
so agents and platforms wait with us and memory stays flat.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from runtime.store.errors import StoreBusy, StoreFull, StoreLocked

log = logging.getLogger(__name__)
T = TypeVar("T")

PAUSE_S = 1.0
STORE_WAITS = (StoreFull, StoreBusy, StoreLocked)
"""What a store says that cannot take a write just now. Nothing was stored then."""


async def insist(write: Callable[[], Awaitable[T]], what: str) -> T:
    """Return what `write` returns, asking again each second while the store cannot take it. Other errors go on."""
    while True:
        try:
            return await write()
        except STORE_WAITS as error:
            log.error("%s waits for the disk: %s", what, error, extra={"action": "store_waits"})
        await asyncio.sleep(PAUSE_S)
