"""The status under a thread while work goes on for it: "is working…", or what is done just now.

Slack takes a status away after two minutes, or with our next message, so it is set again. Only threads have one;
elsewhere Slack's apps have nothing that would say that a bot is typing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from channels.channel import DeliveryFailed
from channels.rounds import Rounds
from channels.slack.client import SlackClient
from channels.slack.encode import Place

WORKING = "is working…"
MAX_CHARS = 100
EVERY_S = 1.0
"""Between two of one thread."""
FORGOTTEN_S = 3600.0
"""Work that never said that it is done is forgotten after this."""


MAX_REFUSING = 500


@dataclass(slots=True, kw_only=True)
class _Status:
    wanted: str
    """Empty: it is to go."""
    next_at: float
    until: float


class Statuses:
    """The statuses in one workspace."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._of: dict[Place, _Status] = {}
        self._refusing: OrderedDict[str, None] = OrderedDict()
        """Conversations that take none."""
        self._rounds = Rounds(self._due, self._set)

    def has_one(self, place: Place) -> bool:
        """Return whether the place can have a status, as far as is known."""
        return place.thread is not None and place.conversation not in self._refusing

    def begin(self, place: Place, text: str = "") -> None:
        """Have a thread's status say that work goes on, or what."""
        now, status = asyncio.get_running_loop().time(), self._of.get(place)
        if status is None:
            status = self._of[place] = _Status(wanted=WORKING, next_at=now, until=0.0)
        if not status.wanted or (text and text != status.wanted):
            status.wanted, status.next_at = (text or WORKING)[:MAX_CHARS], min(status.next_at, now + EVERY_S)
        status.until = now + FORGOTTEN_S
        self._rounds.wake()

    def end(self, place: Place) -> None:
        if (status := self._of.get(place)) is not None:
            status.wanted, status.next_at = "", 0.0
            self._rounds.wake()

    async def run(self) -> None:
        """Set them until cancelled; asleep while nobody works."""
        await self._rounds.run()

    def _due(self) -> list[tuple[float, Place]]:
        due = ((status.next_at, place) for place, status in self._of.items())
        return sorted(due, key=lambda each: each[0])

    async def _set(self, place: Place) -> None:
        status, now = self._of[place], asyncio.get_running_loop().time()
        wanted = status.wanted if now < status.until else ""
        if place.conversation not in self._refusing:
            await self._call(place, wanted)
        if not wanted and (not status.wanted or status.until <= now):
            del self._of[place]
        else:
            is_news = status.wanted != wanted
            status.next_at = now + (EVERY_S if is_news else self._client.timings.status_every_s)

    async def _call(self, place: Place, wanted: str) -> None:
        try:
            await self._client.call(
                "assistant.threads.setStatus",
                place.conversation,
                timeout_s=self._client.timings.show_s,
                is_courtesy=True,
                channel_id=place.conversation,
                thread_ts=place.thread,
                status=wanted,
            )
        except DeliveryFailed as failed:
            if failed.permanent:
                self._refusing[place.conversation] = None
                if len(self._refusing) > MAX_REFUSING:
                    self._refusing.popitem(last=False)
