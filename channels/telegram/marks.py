"""The marks on people's messages: 👀 from when one is taken until its work has ended.

Marking never waits for the platform; what it does not take is left out: a mark is a courtesy.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol

from channels.channel import DeliveryFailed
from channels.telegram.encode import Place

TAKEN = "👀"
MAX_WAITING = 1000
LONGEST_WAIT_S = 30.0


class MarkCalls(Protocol):
    """The part of the client that marks need."""

    async def set_reaction(self, place: Place, message_id: int, emoji: str) -> None:
        """Put a reaction under a message; an empty one takes it away. Raise DeliveryFailed."""


class Marks:
    """The marks of one bot account."""

    def __init__(self, calls: MarkCalls) -> None:
        self._calls = calls
        self._waiting: asyncio.Queue[tuple[Place, int, bool]] = asyncio.Queue(MAX_WAITING)
        self._left: OrderedDict[tuple[Place, int], None] = OrderedDict()

    def set(self, place: Place, message_id: int, *, is_on: bool) -> None:
        """Note a mark to be made; beyond MAX_WAITING none is."""
        if not self._waiting.full():
            self._waiting.put_nowait((place, message_id, is_on))

    def leave(self, place: Place, message_id: int) -> None:
        """Mark a message no more: another reaction of ours is under it, and Telegram keeps one of each of us."""
        self._left[(place, message_id)] = None
        if len(self._left) > MAX_WAITING:
            self._left.popitem(last=False)

    async def run(self) -> None:
        """Make marks until cancelled."""
        while True:
            place, message_id, is_on = await self._waiting.get()
            if (place, message_id) in self._left:
                continue
            try:
                await self._calls.set_reaction(place, message_id, TAKEN if is_on else "")
            except DeliveryFailed as failed:
                if failed.retry_after_s is not None:
                    await self._pause_and_repeat(place, message_id, failed.retry_after_s, is_on=is_on)

    async def _pause_and_repeat(self, place: Place, message_id: int, wait_s: float, *, is_on: bool) -> None:
        """Wait as the platform asks; only what takes a mark away is worth a second try."""
        await asyncio.sleep(min(wait_s, LONGEST_WAIT_S))
        if not is_on:
            self.set(place, message_id, is_on=False)
