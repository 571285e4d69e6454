"""Whether anybody waits for a container now, and how long it is ago that several did."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator


class Calm:
    """Kept by who gives containers out, waited for by what is better done when nobody waits for one."""

    def __init__(self) -> None:
        self._waiting = 0
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._is_rush = False
        self._rush_ended_at = float("-inf")

    @contextlib.contextmanager
    def disturbed(self) -> Iterator[None]:
        """Somebody waits for a container."""
        self._is_rush = self._is_rush or self._waiting > 0
        self._waiting += 1
        self._nobody.clear()
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                if self._is_rush:
                    self._is_rush, self._rush_ended_at = False, time.monotonic()
                self._nobody.set()

    async def wait(self) -> None:
        """Return when nobody waits for a container."""
        await self._nobody.wait()

    async def settle(self, for_s: float) -> None:
        """Return when nobody waits for one, and it is so long ago that several did at once."""
        while True:
            await self._nobody.wait()
            left_s = self._rush_ended_at + for_s - time.monotonic()
            if left_s <= 0:
                return
            await asyncio.sleep(left_s)
