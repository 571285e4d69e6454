"""Who sees `typing…`: kept up for each chat while an agent works for it.

A platform shows it for some seconds, or until the bot's next message, so it is sent again and again. Showing never
waits for the platform: it only notes the chat; `run` does the sending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic

from channels.channel import DeliveryFailed
from channels.rounds import Place, Rounds

FORGOTTEN_S = 3600.0
"""A chat whose work never said that it is done stops showing after this."""


class Presence(Generic[Place]):
    """The chats in which the bot is seen typing."""

    def __init__(self, send_typing: Callable[[Place], Awaitable[None]], *, repeat_s: float) -> None:
        """`send_typing` shows it once, or raises DeliveryFailed; `repeat_s`: less than the platform shows it for."""
        self._send_typing = send_typing
        self._repeat_s = repeat_s
        self._next: dict[Place, float] = {}
        self._until: dict[Place, float] = {}
        self._rounds = Rounds(self._due, self._show)

    def begin(self, place: Place) -> None:
        if place not in self._until:
            now = asyncio.get_running_loop().time()
            self._until[place], self._next[place] = now + FORGOTTEN_S, now
            self._rounds.wake()

    def end(self, place: Place) -> None:
        self._until.pop(place, None)
        self._next.pop(place, None)

    async def run(self) -> None:
        """Send until cancelled; sleeps without a timer while nobody works."""
        await self._rounds.run()

    def _due(self) -> list[tuple[float, Place]]:
        return sorted(((at, place) for place, at in self._next.items()), key=lambda due: due[0])

    async def _show(self, place: Place) -> None:
        now = asyncio.get_running_loop().time()
        if self._until.get(place, 0.0) < now:  # for too long, or ended just now
            return self.end(place)
        self._next[place] = now + self._repeat_s
        try:
            await self._send_typing(place)
        except DeliveryFailed as failed:
            if place in self._next:
                self._next[place] = max(self._next[place], now + (failed.retry_after_s or 0.0))
