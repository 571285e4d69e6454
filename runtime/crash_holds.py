"""Holds back groups whose agents crash again and again, and lets them go: when the hold is over, when an agent of
theirs works, or when a person says /resume.

`crash_loops.py` counts and decides for how long; a hold is a row of `pauses.py`, so that everybody sees it where they
look, and a restart of the host does not end it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from protocol.ids import GroupId, TaskId
from runtime.crash_loops import CrashLoops
from runtime.insist import insist
from runtime.pauses import CRASH_LOOP, Pauses
from runtime.task_words import crash_loop_alarm, crash_loop_reason

log = logging.getLogger(__name__)

BY_HOST = "host"
_CAUSES = (CRASH_LOOP,)


class CrashHolds:
    """One for the whole host; `run` lets groups go."""

    def __init__(
        self, pauses: Pauses, alarm: Callable[[str, str, GroupId], None], loops: CrashLoops | None = None
    ) -> None:
        """`alarm`: has an owner read a text about a group, once for a key: (key, text, group). Returns at once."""
        self._pauses = pauses
        self._alarm = alarm
        self._loops = loops or CrashLoops()
        self._held: set[GroupId] = set()
        """Groups whose hold is stored."""
        self._changing = asyncio.Lock()
        """Held while a hold is stored or lifted: a crash meanwhile begins another one after it."""
        self._awake = asyncio.Event()
        pauses.when_changed(self._follow_people)

    async def crashed(self, group_id: GroupId, task_id: TaskId) -> None:
        """Note an agent's crash: return once its group is held back, if it is now. An owner is told once for a loop."""
        hold = self._loops.crashed(group_id, time.monotonic())
        if hold is None:
            return
        extra = {"action": "crash_loop", "group_id": group_id, "hold_s": hold.for_s}
        log.error("agents crash again and again; the group is held back", extra=extra)
        reason = crash_loop_reason(group_id, hold.for_s)
        pausing = partial(self._pauses.pause, group_id, by=BY_HOST, cause=CRASH_LOOP, reason=reason)
        async with self._changing:
            await insist(pausing, "a crash loop")
            self._held.add(group_id)
        if hold.number == 1:
            self._alarm(f"crash_loop:{task_id}", crash_loop_alarm(group_id, hold.for_s), group_id)
        self._awake.set()

    def worked(self, group_id: GroupId) -> None:
        """Note an attempt that came to its end: the loop is over."""
        self._loops.forget(group_id)
        if group_id in self._held:
            self._awake.set()

    def _follow_people(self) -> None:
        """Forget the loops of groups that a person let go: they begin anew."""
        for group_id in tuple(self._held):
            if not self._is_stored(group_id):
                self._held.discard(group_id)
                self._loops.forget(group_id)

    def _is_stored(self, group_id: GroupId) -> bool:
        return any(pause.cause == CRASH_LOOP for pause in self._pauses.of(group_id))

    async def run(self) -> None:
        """Let groups go until cancelled; those that an earlier host held are tried again after the shortest hold. The
        pauses are loaded."""
        for pause in self._pauses.all():
            if pause.cause == CRASH_LOOP:
                self._held.add(pause.group_id)
                self._loops.take_up(pause.group_id, time.monotonic())
        while True:
            self._awake.clear()
            now = time.monotonic()
            async with self._changing:
                for group_id in [each for each in self._held if self._loops.held_until(each, now) is None]:
                    self._held.discard(group_id)  # first: what follows is no person's word
                    await insist(partial(self._pauses.resume, group_id, causes=_CAUSES), "the end of a hold")
            release = self._loops.next_release(now)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if release is None else release - now):
                    await self._awake.wait()
