"""The events of one container between its link and its owner: bounded by weight, so that a slow owner slows the agent.

What may be lost on the way is merged instead: pieces of the answer become one piece, progress only its latest word.
"""

from __future__ import annotations

import asyncio
from collections import deque

from protocol.link import Delta, Finished, Progress
from runtime.agent_events import AgentEvent

MAX_WEIGHT = 4 << 20
LEAST_WEIGHT = 256
"""What an event weighs at least: so that small ones are bounded by number."""
MERGED_DELTA_CHARS = 64 << 10


class EventQueue:
    """Frames go in with `put`, which waits for room; the host's own few events with `put_now`, which never does."""

    def __init__(self, max_weight: int = MAX_WEIGHT) -> None:
        self._max_weight = max_weight
        self._items: deque[tuple[AgentEvent, int]] = deque()
        self._weight = 0
        self._has_some = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_discarded = False

    @property
    def is_empty(self) -> bool:
        return not self._items

    @property
    def weight(self) -> int:
        return self._weight

    async def put(self, event: AgentEvent, weight: int) -> None:
        """Add an event when there is room. Cancelled while waiting: it was not added."""
        while self._weight >= self._max_weight and not self._is_discarded:
            self._has_room.clear()
            await self._has_room.wait()
        if not self._merge(event):
            self._add(event, max(weight, LEAST_WEIGHT))

    def put_now(self, event: AgentEvent) -> None:
        self._add(event, LEAST_WEIGHT)

    def discard(self) -> None:
        """Nobody will read any more: drop what is there and what comes."""
        self._is_discarded = True
        self._items.clear()
        self._weight = 0
        self._has_room.set()

    async def get(self) -> AgentEvent:
        """Return the next event. Cancelled while waiting: nothing was taken."""
        while not self._items:
            self._has_some.clear()
            await self._has_some.wait()
        event, weight = self._items.popleft()
        self._weight -= weight
        self._has_room.set()
        return event

    def take_finished(self) -> Finished | None:
        """Return the agent's last word if it is what comes next."""
        if not self._items or not isinstance(finished := self._items[0][0], Finished):
            return None
        _, weight = self._items.popleft()
        self._weight -= weight
        self._has_room.set()
        return finished

    def _add(self, event: AgentEvent, weight: int) -> None:
        if self._is_discarded:
            return
        self._items.append((event, weight))
        self._weight += weight
        self._has_some.set()

    def _merge(self, event: AgentEvent) -> bool:
        if not self._items:
            return False
        last, weight = self._items[-1]
        if isinstance(event, Progress) and isinstance(last, Progress):
            self._items[-1] = (event, weight)
            return True
        if not (isinstance(event, Delta) and isinstance(last, Delta)):
            return False
        if len(last.text) + len(event.text) > MERGED_DELTA_CHARS:
            return False
        self._items[-1] = (Delta(text=last.text + event.text), weight + len(event.text))
        self._weight += len(event.text)
        return True
