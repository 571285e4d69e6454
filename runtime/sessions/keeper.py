"""Ends conversations by the policy of their group: after so long without a word, or at a time of the day."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from runtime.insist import insist
from runtime.schedules.zones import zone_of
from runtime.sessions.expiry import DAILY, IDLE, decide_ends
from runtime.store import session_rows
from runtime.store.store import Store
from runtime.task_desk import Surroundings

log = logging.getLogger(__name__)

LONGEST_SLEEP_S = 3600.0
"""With a policy; a clock that was set is noticed by then. Groups without one cost nothing."""
SHORTEST_SLEEP_S = 1.0


class SessionKeeper:
    """One for the whole host."""

    def __init__(self, store: Store, around: Surroundings) -> None:
        self._store = store
        self._around = around
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Look again: the settings may say something else."""
        self._awake.set()

    async def run(self) -> None:
        """End conversations until cancelled."""
        while True:
            self._awake.clear()
            next_at = await self.end_due(datetime.now(UTC))
            pause_s = None
            if next_at is not None:
                left_s = (next_at - datetime.now(UTC)).total_seconds()
                pause_s = min(max(left_s, SHORTEST_SLEEP_S), LONGEST_SLEEP_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._awake.wait()

    async def end_due(self, now: datetime) -> datetime | None:
        """End what is due at a time; return when to look again, None if no group has a policy."""
        zone = zone_of(self._around.settings.settings.time_zone)
        next_at = []
        for group in self._around.groups.ready.values():
            if group.session.idle_hours is None and not group.session.daily_at:
                continue
            current = await self._store.read(session_rows.current_sessions, group.group_id)
            ends = decide_ends(current, group.session, now, zone)
            for due, reason in ((ends.idle, IDLE), (ends.daily, DAILY)):
                if due:
                    expiring = partial(self._store.write, session_rows.expire, group.group_id, due, reason)
                    ended = await insist(expiring, "ended conversations")
                    extra = {"action": "sessions_ended", "group_id": group.group_id, "count": ended}
                    log.info("conversations ended by themselves", extra=extra)
            if ends.next_at is not None:
                next_at.append(ends.next_at)
        return min(next_at, default=None)
