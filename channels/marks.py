"""The marks on people's messages: 👀 from when one is taken until its work has ended.

Marking never waits for the platform; what it does not take is left out: a mark is a courtesy.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

from channels.channel import DeliveryFailed
from channels.rounds import Place, Rounds
from protocol.ids import PlatformMessageId

TAKEN = "👀"
MAX_WAITING = 1000
LONGEST_WAIT_S = 30.0

_Place = TypeVar("_Place", contravariant=True)


class MarkCalls(Protocol[_Place]):
    """The part of a client that marks need."""

    async def set_mark(self, place: _Place, message: PlatformMessageId, emoji: str, *, is_on: bool) -> None:
        """Put a reaction of ours under a message, or take it away. Raise DeliveryFailed."""


class Marks(Generic[Place]):
    """The marks of one bot account."""

    def __init__(self, calls: MarkCalls[Place]) -> None:
        self._calls = calls
        self._waiting: OrderedDict[tuple[Place, PlatformMessageId], bool] = OrderedDict()
        self._not_before: dict[Place, float] = {}
        """Of chats whose platform asked for a pause."""
        self._left: OrderedDict[tuple[Place, PlatformMessageId], None] = OrderedDict()
        self._rounds = Rounds(self._due, self._make_next)

    def set(self, place: Place, message: PlatformMessageId, *, is_on: bool) -> None:
        """Note a mark to be made; beyond MAX_WAITING none is."""
        if (place, message) in self._waiting or len(self._waiting) < MAX_WAITING:
            self._waiting[(place, message)] = is_on
            self._rounds.wake()

    def leave(self, place: Place, message: PlatformMessageId) -> None:
        """Mark a message no more: another reaction of ours is under it, where one of each of us is all there may be."""
        self._left[(place, message)] = None
        if len(self._left) > MAX_WAITING:
            self._left.popitem(last=False)

    async def run(self) -> None:
        """Make marks until cancelled."""
        await self._rounds.run()

    def _due(self) -> list[tuple[float, Place]]:
        return [(self._not_before.get(place, 0.0), place) for place in dict.fromkeys(p for p, _ in self._waiting)]

    async def _make_next(self, place: Place) -> None:
        self._not_before.pop(place, None)
        message = next(message for where, message in self._waiting if where == place)
        is_on = self._waiting.pop((place, message))
        if (place, message) in self._left:
            return
        try:
            await self._calls.set_mark(place, message, TAKEN, is_on=is_on)
        except DeliveryFailed as failed:
            if failed.retry_after_s is not None:
                self._postpone(place, message, failed.retry_after_s, is_on=is_on)

    def _postpone(self, place: Place, message: PlatformMessageId, wait_s: float, *, is_on: bool) -> None:
        """Wait as the platform asks; only what takes a mark away is worth a second try."""
        self._not_before[place] = asyncio.get_running_loop().time() + min(wait_s, LONGEST_WAIT_S)
        if not is_on:
            self._waiting.setdefault((place, message), False)
