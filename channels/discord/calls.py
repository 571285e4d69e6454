"""The calls to Discord that are under way: each runs to its end, who waits for it may leave before.

discord.py sleeps inside of calls (`traces.py`); here nobody waits for that. A message that is tried again with the
nonce of a call that is still under way gets that call's answer; changes of one message are made one after the other,
since one that the SDK still holds back would come after a later one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from channels.channel import DeliveryFailed, NotYet
from channels.discord.traces import Hearing, listen_with

MAX_UNCLAIMED = 500
LATER_S = 1.0
"""After this one may ask again for a call that is under way."""

Translate = Callable[[Exception], Exception]


@dataclass(slots=True)
class _Call:
    hearing: Hearing = field(default_factory=Hearing)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    """How many wait for the answer."""


class Calls:
    """The calls of one connection."""

    def __init__(self, translate: Translate) -> None:
        """`translate` says in our words what the SDK raised."""
        self._translate = translate
        self._under_way: dict[str, _Call] = {}
        self._unclaimed: OrderedDict[str, Hearing] = OrderedDict()
        """By turn: answers that came when nobody waited any more."""
        self._tasks: set[asyncio.Task[None]] = set()

    def is_under_way(self, turn: str) -> bool:
        """Whether a call is being made, or its answer is still to be claimed."""
        return turn in self._under_way or turn in self._unclaimed

    async def make(
        self,
        call: Callable[[], Awaitable[object]],
        tasks: asyncio.TaskGroup,
        *,
        timeout_s: float,
        turn: str = "",
        joins: bool = False,
    ) -> Hearing:
        """Make a call; return what was heard when its answer is there. Raise DeliveryFailed, NotYet, or Paused.

        Of one `turn` only one is under way: another waits for its end, or, with `joins`, is taken for the same one.
        """
        if joins and (claimed := self._unclaimed.pop(turn, None)) is not None:
            return claimed
        try:
            async with asyncio.timeout(timeout_s):
                before = self._under_way.get(turn)
                if before is not None and not joins:
                    await before.ended.wait()
                    before = None
                return await self._answer(before or self._begin(call, tasks, turn, joins=joins))
        except TimeoutError:
            reason = f"Discord gave no answer in {timeout_s:.0f} s"
            if self.is_under_way(turn):
                raise NotYet(reason, retry_after_s=LATER_S) from None
            raise DeliveryFailed(reason) from None

    async def _answer(self, made: _Call) -> Hearing:
        made.waiting += 1
        try:
            await asyncio.shield(made.hearing.answer)
        except BaseException:
            made.waiting -= 1
            raise
        return made.hearing

    def end(self) -> None:
        """End all calls: their connection is gone."""
        for task in self._tasks:
            task.cancel()

    def _begin(
        self, call: Callable[[], Awaitable[object]], tasks: asyncio.TaskGroup, turn: str, *, joins: bool
    ) -> _Call:
        made = _Call()
        if turn:
            self._under_way[turn] = made
        task = tasks.create_task(self._run(call, made, turn, joins=joins))
        self._tasks.add(task)
        return made

    async def _run(self, call: Callable[[], Awaitable[object]], made: _Call, turn: str, *, joins: bool) -> None:
        listen_with(made.hearing)
        try:
            await call()
            made.hearing.answered(b"")
            if joins and turn and not made.waiting:
                self._keep_unclaimed(turn, made.hearing)
        except Exception as error:  # noqa: BLE001 - the SDK's: who waits for the call is told in our words
            made.hearing.fail(self._translate(error))
        except asyncio.CancelledError:
            made.hearing.fail(DeliveryFailed("Discord: the connection was built anew"))
            raise
        finally:
            made.ended.set()
            if self._under_way.get(turn) is made:
                del self._under_way[turn]
            if (task := asyncio.current_task()) is not None:
                self._tasks.discard(task)

    def _keep_unclaimed(self, turn: str, hearing: Hearing) -> None:
        self._unclaimed[turn] = hearing
        if len(self._unclaimed) > MAX_UNCLAIMED:
            self._unclaimed.popitem(last=False)
