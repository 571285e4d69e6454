"""Packs conversations that ended long ago, by the policy of their group.

They take a fraction of the room, stay in the lists, and are there as before when somebody goes on with one.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from protocol.ids import GroupId
from runtime.store import archive_rows
from runtime.store.store import Store
from runtime.task_desk import Surroundings

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 86_400.0
AT_ONCE = 100


class SessionArchive:
    """Sweeps at the start and once a day."""

    def __init__(self, store: Store, around: Surroundings) -> None:
        self._store = store
        self._around = around

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep(datetime.now(UTC))
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self, now: datetime) -> int:
        """Pack what is due at a time; return how many conversations that were."""
        count = 0
        for group in list(self._around.groups.ready.values()):
            if days := group.session.archive_days:
                count += await self._archive(group.group_id, now - timedelta(days=days))
        if count:
            log.info("old conversations were packed", extra={"action": "sessions_archived", "count": count})
        return count

    async def _archive(self, group_id: GroupId, before: datetime) -> int:
        count = 0
        while due := await self._store.read(archive_rows.archivable, group_id, before, AT_ONCE):
            done = 0
            for session_id in due:
                texts = await self._store.read(archive_rows.texts_of, session_id)
                packed = await asyncio.to_thread(archive_rows.pack, texts)
                done += await self._store.write(archive_rows.archive, group_id, session_id, texts, packed)
            count += done
            if not done:
                break
        return count
