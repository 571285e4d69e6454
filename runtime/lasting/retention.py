"""Retention: takes the words out of messages, tasks and conversations that are older than the settings keep them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from runtime.home import Home
from runtime.sessions.desk import drop_exports
from runtime.store import forget_rows, space_rows
from runtime.store.database import time_text
from runtime.store.store import Store

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 86_400.0
AT_ONCE = 200
"""Rows in one transaction: others are served between."""


class Retention:
    """Sweeps at the start and once a day. `keep_days` says how long words are kept now; 0: for ever."""

    def __init__(
        self, home: Home, store: Store, keep_days: Callable[[], int], drop_index: Callable[[], Awaitable[None]]
    ) -> None:
        """`drop_index`: deletes what searches are made in, which is made anew of what is left."""
        self._home = home
        self._store = store
        self._drop_index = drop_index
        self._keep_days = keep_days

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            if self._keep_days() > 0:
                await self.sweep(datetime.now(UTC) - timedelta(days=self._keep_days()))
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self, before: datetime) -> int:
        """Take the words out of all that ended before a time; return how many messages and tasks that were."""
        count, moment = 0, time_text(before)
        while done := await self._store.write(forget_rows.blank_next, moment, AT_ONCE):
            count += done
        while await self._store.write(space_rows.blank_before, moment, AT_ONCE):
            pass
        if count:
            await self._drop_index()
            await asyncio.to_thread(drop_exports, self._home)
            log.info("old words were taken out", extra={"action": "retention", "count": count})
        return count
