"""Retention: takes the words out of messages, tasks and conversations that are older than the settings keep them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from runtime.store import forget_rows
from runtime.store.database import time_text
from runtime.store.store import Store

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 86_400.0
AT_ONCE = 200
"""Rows in one transaction: others are served between."""


class Retention:
    """Sweeps at the start and once a day. `keep_days` says how long words are kept now; 0: for ever."""

    def __init__(self, store: Store, keep_days: Callable[[], int]) -> None:
        self._store = store
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
        if count:
            log.info("old words were taken out", extra={"action": "retention", "count": count})
        return count
