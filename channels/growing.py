"""Answers that grow in place: what the model has written so far, shown at a pace that the platform allows.

It never holds up work: pieces are only noted, `run` does the calling, and what comes faster than it can be shown is
shown later as a whole: nothing queues. At the end the answer takes over what stands (`take_over`, then `settle`), or
what stands goes. A host that died leaves half an answer behind: the next one takes it away. What an answer is when
is decided in `growth.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar, runtime_checkable

from channels.channel import DeliveryFailed, NotYet
from channels.growth import GrowingPace, Growth
from channels.preview import preview
from channels.rounds import Place, Rounds
from channels.standing import Standing
from protocol.ids import PlatformMessageId

log = logging.getLogger(__name__)

_Place = TypeVar("_Place", contravariant=True)


class GrowingCalls(Protocol[_Place]):
    """The part of a client that growing answers need. Each raises DeliveryFailed."""

    async def grow(
        self, place: _Place, number: int, message: PlatformMessageId | None, markdown: str
    ) -> PlatformMessageId | None:
        """Show so much of answer `number`: in its message, or, None, in a new one, whose id is returned; None for what
        is no message and fades by itself. The text is all that is to be seen, complete Markdown, often, not always,
        what was seen before and more. One that is too long for one message is shown as far as it goes."""

    async def take_away(self, place: _Place, message: PlatformMessageId) -> None:
        """Have a message go; one that is gone already is well."""


@runtime_checkable
class FindsGrown(Protocol[_Place]):
    """Calls that can tell whether a message stands whose beginning broke off; without, it may stay."""

    async def find_grown(self, place: _Place, number: int) -> PlatformMessageId | None:
        """Return the message that was to be begun for answer `number`, None if there is none."""


class Growing(Generic[Place]):
    """The growing answers of one bot account."""

    def __init__(
        self,
        calls: GrowingCalls[Place],
        standing: Standing[Place],
        *,
        pace: Callable[[Place], GrowingPace],
        max_chars: int,
        per_s: float,
        shape: Callable[[str], str] = preview,
    ) -> None:
        """`max_chars`: of Markdown; what is beyond is not shown before the answer itself. `per_s`: changes in a second,
        of all chats together. `shape` makes what has come fit to be shown; the calls may do that themselves."""
        self._calls = calls
        self._finds: FindsGrown[Place] | None = calls if isinstance(calls, FindsGrown) else None
        self._standing = standing
        self._pace = pace
        self._max_chars = max_chars
        self._shape = shape
        self._of: dict[Place, list[Growth]] = {}
        """Oldest first. All but the last are over, and wait for their answer or for going."""
        self._numbers = itertools.count(1)
        self._rounds = Rounds(self._due, self._act, per_s=per_s)

    def add(self, place: Place, piece: str) -> None:
        """Take the next piece of what is written for a chat."""
        growth = self._live(place)
        if growth is None:
            pace = self._pace(place)
            growth = Growth(number=next(self._numbers), pace=pace, next_at=_now() + pace.first_after_s)
            self._of.setdefault(place, []).append(growth)
        growth.add(piece, self._max_chars)
        self._rounds.wake()

    def end_turn(self, place: Place) -> None:
        """What was written is at its end; the next piece begins another text in its place."""
        if (growth := self._live(place)) is not None:
            growth.is_turn_over = True

    def end(self, place: Place) -> None:
        """Nothing more is written for the chat."""
        if (growth := self._live(place)) is not None:
            growth.end(_now())
            self._rounds.wake()

    async def take_over(self, place: Place) -> PlatformMessageId | None:
        """Return the message that the answer is to take the place of, None where it is to be sent as any other. From
        then on nothing is shown there; `settle` is called when the answer stands, whatever this returned, and
        `take_over` again where it failed and is tried again."""
        growth = self._to_answer(place)
        if growth is None:
            return None
        growth.take(_now())
        await self._rounds.until_still(place)  # else what was shown last could come after the answer
        if growth.is_to_become_the_answer(_now()):
            return growth.message
        if growth.message is None and not growth.is_lost:
            self._drop(place, growth)
        return None

    async def settle(self, place: Place, *, became_answer: bool) -> None:
        """The answer stands: in the place of what stood, which is then ours no more, or as a message of its own, and
        what was taken over, if anything was, goes."""
        growth = self._to_answer(place)
        if growth is None or not growth.is_taken:
            return
        if became_answer:
            self._drop(place, growth)
            await self._keep()
        else:
            growth.go(_now())
            self._rounds.wake()

    async def run(self) -> None:
        """Show until cancelled; what an earlier host left goes first."""
        for place, message in await self._standing.left():
            left = Growth(number=0, pace=self._pace(place), next_at=0.0, message=message, is_over=True, is_left=True)
            self._of.setdefault(place, []).insert(0, left)
        await self._rounds.run()

    def _live(self, place: Place) -> Growth | None:
        growths = self._of.get(place)
        return growths[-1] if growths and not growths[-1].is_over else None

    def _to_answer(self, place: Place) -> Growth | None:
        return next((growth for growth in self._of.get(place, ()) if not growth.is_left), None)

    def _due(self) -> list[tuple[float, Place]]:
        waiting = (
            (at, place)
            for place, growths in self._of.items()
            for at in (growth.due_at() for growth in growths)
            if at is not None
        )
        return sorted(waiting, key=lambda due: due[0])

    async def _act(self, place: Place) -> None:
        due = (growth for growth in self._of.get(place, ()) if growth.is_due(_now()))
        growth = next(due, None)
        if growth is None:
            return
        if growth.is_lost and self._finds is not None:
            await self._find(place, growth, self._finds)
        else:
            await (self._take_away(place, growth) if growth.is_over else self._show(place, growth))

    async def _show(self, place: Place, growth: Growth) -> None:
        text = self._shape(growth.text)
        growth.is_changed = False
        if not growth.needs_showing(text, _now()):
            return
        try:
            message = await self._calls.grow(place, growth.number, growth.message, text)
        except DeliveryFailed as failed:
            self._refused(growth, failed)
            return
        is_new = message is not None and growth.message is None
        growth.was_shown(text, message, _now())
        if is_new:
            await self._keep()

    async def _find(self, place: Place, growth: Growth, calls: FindsGrown[Place]) -> None:
        try:
            message = await calls.find_grown(place, growth.number)
        except DeliveryFailed as failed:
            self._refused(growth, failed)
            return
        growth.was_found(message, _now())
        if message is not None:
            await self._keep()

    async def _take_away(self, place: Place, growth: Growth) -> None:
        try:
            if growth.message is not None:
                await self._calls.take_away(place, growth.message)
        except DeliveryFailed as failed:
            self._refused(growth, failed)
            if not growth.is_given_up:
                return
            log.debug("half an answer was not taken away: %s", failed.reason)
        had_message = growth.message is not None
        self._drop(place, growth)
        if had_message:
            await self._keep()

    def _refused(self, growth: Growth, failed: DeliveryFailed) -> None:
        if isinstance(failed, NotYet):
            growth.is_changed, growth.next_at = True, max(growth.next_at, _now() + (failed.retry_after_s or 0.0))
        else:
            growth.was_refused(permanent=failed.permanent, retry_after_s=failed.retry_after_s, now=_now())
            growth.is_lost = growth.is_lost and self._finds is not None

    def _drop(self, place: Place, growth: Growth) -> None:
        growths = self._of.get(place, [])
        if growth in growths:
            growths.remove(growth)
        if not growths:
            self._of.pop(place, None)

    async def _keep(self) -> None:
        await self._standing.keep(self._all_standing)

    def _all_standing(self) -> Iterator[tuple[Place, PlatformMessageId]]:
        for place, growths in self._of.items():
            for growth in growths:
                if growth.message is not None:
                    yield place, growth.message


def _now() -> float:
    return asyncio.get_running_loop().time()
