"""A twin's own time: real time at a chosen speed, and put forward at will: rules of days are tried in moments.

Every twin asks this clock and no other. Waiting for what a person or an SDK does is real time: see `event_log.py`.
"""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Counts seconds since 1970, `scale` of them in a real second."""

    def __init__(self, scale: float = 1.0) -> None:
        self._twin_s = time.time()
        self._real_s = time.monotonic()
        self._scale = _checked(scale)
        self._sleepers: set[asyncio.Future[None]] = set()

    def now(self) -> float:
        """Return the twin's seconds since 1970; they never go back."""
        return self._twin_s + (time.monotonic() - self._real_s) * self._scale

    @property
    def scale(self) -> float:
        """How many of the twin's seconds pass in a real one."""
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        scale = _checked(scale)
        self._twin_s, self._real_s = self.now(), time.monotonic()
        self._scale = scale
        self._wake()

    def advance(self, twin_s: float) -> None:
        """Put the clock forward and wake whoever has slept long enough by it; raise ValueError for a step back."""
        if twin_s < 0:
            raise ValueError(f"a twin's clock goes forward only; {twin_s:g} s would go back")
        self._twin_s += twin_s
        self._wake()

    async def sleep(self, twin_s: float) -> None:
        """Return when so much of the twin's time has passed."""
        until = self.now() + twin_s
        while (left_s := until - self.now()) > 0:
            moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._sleepers.add(moved)
            try:
                await asyncio.wait((moved,), timeout=left_s / self._scale)
            finally:
                self._sleepers.discard(moved)

    def _wake(self) -> None:
        for moved in self._sleepers:
            if not moved.done():
                moved.set_result(None)


def _checked(scale: float) -> float:
    if not 0 < scale <= 1_000_000:
        raise ValueError(f"a twin's clock runs at more than 0 and at most a million times real time, not {scale:g}")
    return scale
