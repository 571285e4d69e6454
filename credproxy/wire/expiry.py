"""Deadlines of many waits on one timer: nearly every wait ends long before its deadline, and making and cancelling a
timer for each costs more than all else that waiting does.

A timer is set for the earliest deadline only; when it rings, what is still waited for and over is ended. Deadlines are
exact all the same.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from credproxy.wire.waiting import Waiter


class Expiry:
    """The deadlines of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._deadlines: dict[asyncio.Future[None] | Waiter | Limit, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    def watch(self, waiting: asyncio.Future[None] | Waiter | Limit, deadline: float) -> None:
        """End a wait with TimeoutError at a time of the loop's clock, unless it is forgotten before."""
        self._deadlines[waiting] = deadline
        if self._timer is None or deadline < self._rings_at:
            self._ring_at(deadline)

    def forget(self, waiting: asyncio.Future[None] | Waiter | Limit) -> None:
        self._deadlines.pop(waiting, None)

    def _ring_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = when
        self._timer = self.loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        # The loop lets timers ring a tick of its clock early.
        now = max(self.loop.time(), self._rings_at)
        over = [waiting for waiting, deadline in self._deadlines.items() if deadline <= now]
        over.sort(key=self._deadlines.__getitem__)  # a loop that was late meets several at once
        for waiting in over:
            del self._deadlines[waiting]
            if isinstance(waiting, Limit):
                waiting.expire()
            elif isinstance(waiting, Waiter):
                waiting.fail(TimeoutError())
            elif not waiting.done():
                waiting.set_exception(TimeoutError())
        if self._deadlines:
            self._ring_at(min(self._deadlines.values()))


_newest: Expiry | None = None
"""A process has one loop at a time, but for tests."""


def expiry_of(loop: asyncio.AbstractEventLoop) -> Expiry:
    """Return the deadlines of a loop."""
    global _newest
    if _newest is None or _newest.loop is not loop:
        _newest = Expiry(loop)
    return _newest


class Limit:
    """What runs in it is cancelled at its deadline, and then raises TimeoutError, as `asyncio.timeout` has it. The task
    that made it may enter it again and again."""

    __slots__ = ("_cancelling", "_expiry", "_is_over", "_seconds", "_task", "deadline")

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a limit is for what a task does")
        self._task = task
        self._expiry = expiry_of(task.get_loop())
        self._seconds = seconds
        self._is_over = False
        self._cancelling = 0
        self.deadline = 0.0

    def move(self, deadline: float) -> None:
        """Set another deadline, of the loop's clock."""
        self.deadline = deadline
        self._expiry.watch(self, deadline)

    def expire(self) -> None:
        self._is_over = True
        self._task.cancel()

    def __enter__(self) -> Limit:
        self._is_over = False
        self._cancelling = self._task.cancelling()
        self.deadline = self._expiry.loop.time() + self._seconds
        self._expiry.watch(self, self.deadline)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._expiry.forget(self)
        if self._is_over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
