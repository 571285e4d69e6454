"""Do what is due in each chat, several chats at once and none twice at once: what shows work to people is built on it.

One chat whose platform is slow, or asks for a pause, holds up no other one. Asleep, without a timer, while nothing is
wanted anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=Hashable)

AT_ONCE = 8
"""Calls under way. What only shows work must leave connections to what answers."""


class Rounds(Generic[Place]):
    """The calls of one kind for one account."""

    def __init__(
        self,
        due: Callable[[], Iterable[tuple[float, Place]]],
        act: Callable[[Place], Awaitable[None]],
        *,
        per_s: float = 20.0,
    ) -> None:
        """`due` says where something is to be done and from when on (the loop's clock), whose turn is next first; `act`
        does it. `per_s`: calls begun in a second, of all chats together."""
        self._due = due
        self._act = act
        self._gap_s = 1 / per_s
        self._next_start = 0.0
        self._under_way: dict[Place, asyncio.Event] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look again: something has changed."""
        self._wake.set()

    async def until_still(self, place: Place) -> None:
        """Return when no call for the chat is under way."""
        while (ended := self._under_way.get(place)) is not None:
            await ended.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as calls:
            while True:
                self._wake.clear()
                wait_s = self._begin_one(calls)
                if wait_s is None or wait_s > 0:
                    await self._pause(wait_s)

    def _begin_one(self, calls: asyncio.TaskGroup) -> float | None:
        """Begin the call whose turn it is, if any; return the seconds until there may be another, None for none."""
        if len(self._under_way) >= AT_ONCE:
            return None  # the end of one wakes us
        now = asyncio.get_running_loop().time()
        waiting = [(since, place) for since, place in self._due() if place not in self._under_way]
        ready = next((place for since, place in waiting if since <= now), None)
        if ready is None:
            return min((since - now for since, _ in waiting), default=None)
        if now < self._next_start:
            return self._next_start - now
        self._next_start = now + self._gap_s
        self._under_way[ready] = asyncio.Event()
        calls.create_task(self._call(ready))
        return 0.0

    async def _call(self, place: Place) -> None:
        try:
            await self._act(place)
        finally:
            self._under_way.pop(place).set()
            self._wake.set()

    async def _pause(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
