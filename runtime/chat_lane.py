"""What is being filed in one chat: one thing after the other, and a command in its turn.

`intake.py` fills and empties it. Nothing is decided here, and nothing stored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Turn:
    """A command's place in a lane: what came before it is done when its turn has come, what came after it waits until
    the turn is over."""

    def __init__(self) -> None:
        self.come = asyncio.Event()
        self.over = asyncio.Event()

    async def take(self) -> None:
        self.come.set()
        await self.over.wait()


class ChatLane:
    """The jobs of one chat, in order."""

    def __init__(self) -> None:
        self.jobs: deque[Callable[[], Awaitable[None]]] = deque()
        self._hurriers: set[Turn] = set()
        self._patience: asyncio.Timeout | None = None

    def __repr__(self) -> str:
        return f"<ChatLane jobs={len(self.jobs)} hurriers={len(self._hurriers)}>"

    def hold_turn(self) -> Turn:
        """Take a place behind all that is in the lane now."""
        turn = Turn()
        self.jobs.append(turn.take)
        return turn

    async def run(self) -> None:
        """Do what is in the lane, and what comes meanwhile, until nothing is left."""
        while self.jobs:
            await self.jobs[0]()
            self.jobs.popleft()

    def hurry(self, turn: Turn) -> None:
        """Wait for nothing patient any more until the turn has come."""
        self._hurriers.add(turn)
        if self._patience is not None:
            patience, self._patience = self._patience, None
            patience.reschedule(0.0)

    def calm(self, turn: Turn) -> None:
        """Be patient again: the turn has come."""
        self._hurriers.discard(turn)

    async def patiently(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Return what a job's long work returns; None, with the work cut off, if somebody behind it is in a hurry."""
        if self._hurriers:
            return None
        try:
            async with asyncio.timeout(None) as self._patience:
                return await work()
        except TimeoutError:
            if not self._hurriers:
                raise
            return None
        finally:
            self._patience = None
