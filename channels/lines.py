"""The one line in each chat that says what goes on: sent when work takes a while, edited as it goes on, deleted at its
end.

It never holds up work: what is wanted is only noted, `run` does the calling, and what the platform does not take in
time is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from channels.channel import DeliveryFailed
from channels.rounds import Place, Rounds
from channels.standing import Standing
from protocol.ids import PlatformMessageId

log = logging.getLogger(__name__)

AGAIN_S = 5.0
MAX_TRIES = 6
"""To take a line away; then it is left to the next start."""
DONE = "✓"
"""What a line becomes that cannot be deleted any more."""

_Place = TypeVar("_Place", contravariant=True)


class LineCalls(Protocol[_Place]):
    """The part of a client that lines need. Each raises DeliveryFailed."""

    async def send_line(self, place: _Place, text: str) -> PlatformMessageId: ...
    async def edit_line(self, place: _Place, message: PlatformMessageId, text: str) -> None: ...
    async def delete_line(self, place: _Place, message: PlatformMessageId) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Line:
    wanted: str
    """Empty: it is to go."""
    not_before: float
    shown: str = ""
    message: PlatformMessageId | None = None
    tries: int = 0
    is_given_up: bool = False

    def has_work(self) -> bool:
        return not self.is_given_up and (not self.wanted or self.wanted != self.shown)


class Lines(Generic[Place]):
    """The lines of one bot account."""

    def __init__(
        self,
        calls: LineCalls[Place],
        standing: Standing[Place],
        *,
        first_after_s: float,
        every_s: Callable[[Place], float],
    ) -> None:
        """`first_after_s`: work that is done sooner shows no line. `every_s`: between two edits of a chat's line."""
        self._calls = calls
        self._standing = standing
        self._first_after_s = first_after_s
        self._every_s = every_s
        self._lines: dict[Place, _Line] = {}
        self._rounds = Rounds(self._due, self._act)

    def want(self, place: Place, text: str) -> None:
        """Have a chat's line say this soon."""
        line = self._lines.get(place)
        if line is None or not line.wanted:
            now = asyncio.get_running_loop().time()
            fresh = _Line(wanted=text, not_before=now + self._first_after_s)
            if line is not None:  # the one before is not taken away yet: it is used again
                fresh.message, fresh.shown = line.message, line.shown
            self._lines[place] = fresh
        else:
            line.wanted = text
        self._rounds.wake()

    def end(self, place: Place) -> None:
        """Take a chat's line away."""
        line = self._lines.get(place)
        if line is None:
            return
        if line.message is None:
            # One that is being sent just now is found by `_show` when it is there.
            del self._lines[place]
            return
        line.wanted, line.not_before, line.tries, line.is_given_up = "", 0.0, 0, False
        self._rounds.wake()

    async def run(self) -> None:
        """Keep the lines until cancelled; those that an earlier host left go first."""
        for place, message in await self._standing.left():
            self._lines.setdefault(place, _Line(wanted="", not_before=0.0, message=message))
        await self._rounds.run()

    def _due(self) -> list[tuple[float, Place]]:
        waiting = ((line.not_before, place) for place, line in self._lines.items() if line.has_work())
        return sorted(waiting, key=lambda due: due[0])

    async def _act(self, place: Place) -> None:
        line, now = self._lines.get(place), asyncio.get_running_loop().time
        if line is None:
            return  # ended just now
        try:
            await (self._show(place, line) if line.wanted else self._take_away(place, line))
        except DeliveryFailed as failed:
            line.tries += 1
            line.not_before = now() + (failed.retry_after_s or AGAIN_S)
            # A chat that takes no line now is asked no more until its next work; a line that stands is to go, though.
            line.is_given_up = line.tries >= MAX_TRIES or (failed.permanent and bool(line.wanted))
            if not line.wanted and line.is_given_up:
                self._drop(place, line)
        else:
            line.not_before, line.tries = (now() + self._every_s(place) if line.wanted else 0.0), 0

    async def _show(self, place: Place, line: _Line) -> None:
        text = line.wanted
        if line.message is None:
            line.message = await self._calls.send_line(place, text)
            if self._lines.get(place) is not line:  # ended while it was sent
                self._orphan(place, line)
            await self._keep()
        else:
            await self._calls.edit_line(place, line.message, text)
        line.shown = text

    def _orphan(self, place: Place, line: _Line) -> None:
        line.wanted = ""
        if place not in self._lines:
            self._lines[place] = line
            line.not_before = 0.0
        elif self._lines[place].message is None:  # other work has begun there meanwhile, and takes this line over
            self._lines[place].message, self._lines[place].shown = line.message, line.shown

    async def _take_away(self, place: Place, line: _Line) -> None:
        assert line.message is not None  # others are not asked to go
        try:
            await self._calls.delete_line(place, line.message)
        except DeliveryFailed as failed:
            if not failed.permanent:
                raise
            log.debug("a line was not deleted: %s", failed.reason)
            await self._mark_done(place, line.message)
        self._drop(place, line)
        await self._keep()

    async def _mark_done(self, place: Place, message: PlatformMessageId) -> None:
        try:
            await self._calls.edit_line(place, message, DONE)
        except DeliveryFailed as failed:
            if not failed.permanent:
                raise

    def _drop(self, place: Place, line: _Line) -> None:
        """Forget a line that is gone; other work that meant to use it again needs one of its own."""
        now = self._lines.get(place)
        if now is line:
            del self._lines[place]
        elif now is not None and now.message == line.message:
            now.message, now.shown = None, ""

    async def _keep(self) -> None:
        await self._standing.keep(self._all_standing)

    def _all_standing(self) -> Iterator[tuple[Place, PlatformMessageId]]:
        for place, line in self._lines.items():
            if line.message is not None:
                yield place, line.message
