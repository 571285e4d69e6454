"""A door's hold: its container may have its task before the start of that is on disk, and so long nothing of it goes
out.

The host opens a container's door on hold and hands the task over while its store still writes. A lease that is not held
lifts the hold, or the release of one that is. A start that is not stored is never released: the host ends the
container instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

HOLD_S = 30.0
"""How long one request waits. A store answers within milliseconds, or its host has died: then the container goes with
the next start, and until then nobody is kept for longer than a slow model would keep them."""


class Hold:
    """Whether a door's requests wait; off at first."""

    def __init__(self, limit_s: float = HOLD_S) -> None:
        self._limit_s = limit_s
        self._changed: asyncio.Event | None = None
        """There is one while the hold is on."""

    @property
    def is_on(self) -> bool:
        return self._changed is not None

    def put(self, is_on: bool) -> None:
        """Put it on, or off. Those that wait look again."""
        before, self._changed = self._changed, asyncio.Event() if is_on else None
        if before is not None:
            before.set()

    async def wait(self, is_enough: Callable[[], bool] = lambda: False) -> bool:
        """Return True when the hold is off, or what happens to it `is_enough`; False after the longest wait."""
        try:
            async with asyncio.timeout(self._limit_s):
                while self._changed is not None and not is_enough():
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True
