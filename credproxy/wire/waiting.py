"""Waiting for what the loop brings, without a round of the loop in between: who waits goes on inside the call that
tells, not in the next round.

asyncio's own futures tell through `call_soon`: that is another round of the loop, with a look at all sockets, for each
piece that arrives. The task sees a future like any other; what it asks of one that is not asyncio's own (`asyncio`'s
`isfuture` names the mark of it) is all here.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Generator
from typing import Any


class Waiter:
    """For one task at a time, and used again and again."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_error", "_is_over", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Waiter], object] | None = None
        self._context: contextvars.Context | None = None
        self._error: BaseException | None = None
        self._is_over = True

    def __await__(self) -> Generator[Waiter, None, None]:
        """Wait until `go_on` or `fail`; raises what `fail` was given."""
        self._is_over, self._error, self._callback = False, None, None
        self._asyncio_future_blocking = True
        yield self

    def go_on(self) -> None:
        """Let the task go on at once: it runs before this returns. Where nobody waits, nothing happens."""
        if self._is_over:
            return
        self._is_over = True
        callback, context = self._callback, self._context
        if callback is None or context is None:
            return
        if asyncio.current_task(self._loop) is None:
            context.run(callback, self)
        else:
            self._loop.call_soon(callback, self, context=context)

    def fail(self, error: BaseException) -> None:
        """Let the task go on with an error."""
        if not self._is_over:
            self._error = error
            self.go_on()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """For the task."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: contextvars.Context) -> None:
        """For the task, when it has begun to wait."""
        self._callback, self._context = callback, context

    def result(self) -> None:
        """For the task, when it goes on."""
        if self._error is not None:
            raise self._error

    def cancel(self, msg: object = None) -> bool:
        """For the task, when it is cancelled: it goes on with that, in the loop's next round."""
        del msg
        if self._is_over:
            return False
        self._is_over, self._error = True, asyncio.CancelledError()
        if self._callback is not None:
            self._loop.call_soon(self._callback, self, context=self._context)
        return True
