"""Groups that turn out to have another id when something is sent there: the host is told, as by an update of its own.

Telegram tells it in a message to the group, too; that one may have been missed, or belong to the past.
"""

from __future__ import annotations

import asyncio
import time

from channels.telegram.client import Accept
from channels.telegram.decode import moved_envelope

MAX_WAITING = 100


class Moves:
    """The moves of one bot account's groups."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[int, int]] = asyncio.Queue(MAX_WAITING)

    def note(self, old: int, new: int) -> None:
        """Have the host told of it."""
        if not self._waiting.full():
            self._waiting.put_nowait((old, new))

    async def run(self, accept: Accept) -> None:
        """Tell the host until cancelled."""
        while True:
            old, new = await self._waiting.get()
            await accept(f"moved:{old}:{new}", moved_envelope(old, new, int(time.time())))
