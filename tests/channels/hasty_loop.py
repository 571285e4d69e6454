"""An event loop in which time goes faster: minutes of waiting for a platform's pace are tried in seconds.

Everything that waits by the loop's clock (timeouts, sleeps, paces) hurries alike, a twin that has a `LoopClock` too.
What waits by another clock, or works, takes what it takes.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from twins.clock import Clock

Result = TypeVar("Result")


class _HastySelector(selectors.DefaultSelector):
    """Waits as many times shorter as the loop's time goes faster."""

    haste = 1.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout is None or timeout <= 0 else timeout / self.haste)


class HastyLoop(asyncio.SelectorEventLoop):
    def __init__(self, haste: float) -> None:
        selector = _HastySelector()
        selector.haste = haste
        self._haste, self._began_at = haste, time.monotonic()
        super().__init__(selector)

    def time(self) -> float:
        return self._began_at + (time.monotonic() - self._began_at) * self._haste


class LoopClock(Clock):
    """A twin's clock that goes as the loop's time does: to who lives in that loop, one second is one second."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._real_s = self._loop.time()

    def now(self) -> float:
        return self._twin_s + self._loop.time() - self._real_s


def run_hastily(main: Coroutine[Any, Any, Result], haste: float) -> Result:
    """Run to the end in a loop of its own, in which `haste` seconds pass in a real one."""
    with asyncio.Runner(loop_factory=lambda: HastyLoop(haste)) as runner:
        return runner.run(main)


def table(rows: list[Mapping[str, object]]) -> str:
    """Return figures as lines, a column each."""
    names = list(rows[0])
    lines = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
