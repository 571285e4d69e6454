"""Counts model calls per group and day in the store, from what the proxy reports. The daily cap stands on these counts.

What agents used while the host was away is asked of the proxy at each start, which keeps its own sums.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from credproxy.admin_client.answers import UsageSum
from credproxy.admin_client.link import ProxyError
from protocol.ids import GroupId, TaskId
from protocol.proxy_admin import ProxyEvent
from runtime.budget import day_of
from runtime.insist import insist
from runtime.store.store import Store

log = logging.getLogger(__name__)

CATCH_UP_PAUSE_S = 30.0
GATHER_S = 0.05
"""How long a count waits before it is stored: a call's end is when its answer is stored, which a person waits for."""


class UsageSums(Protocol):
    """The part of `credproxy.admin_client.link.ProxyAdmin` that knows what was used."""

    async def usage(self, *, task_id: TaskId | None = None, day: str | None = None) -> tuple[UsageSum, ...]:
        """Return model use by group and model; raise ProxyError."""


class UsageCount:
    """Takes the proxy's events; `run` stores them."""

    def __init__(self, store: Store, sums: UsageSums) -> None:
        self._store = store
        self._sums = sums
        self._calls: Counter[tuple[str, GroupId]] = Counter()
        self._awake = asyncio.Event()

    def note(self, event: ProxyEvent) -> None:
        """Take one event of the proxy's; returns at once."""
        ids = {"group_id": event.group_id, "task_id": event.task_id, "attempt_id": event.attempt_id}
        if event.kind == "usage":
            calls = event.usage.model_calls if event.usage else 1
            self._calls[day_of(datetime.now(UTC)), event.group_id] += max(calls, 0)
            self._awake.set()
        elif event.kind in ("denied", "limit"):
            extra = {"action": f"proxy_{event.kind}", "target": event.target, "code": event.detail, **ids}
            log.warning("the proxy refused a request", extra=extra)
        elif event.kind == "tripwire":
            extra = {"action": "proxy_tripwire", "target": event.target, "secret": event.detail, **ids}
            log.error(
                "an agent sent the placeholder of a secret elsewhere than it belongs: look at its task", extra=extra
            )
        elif event.kind == "approval_wanted":
            extra = {"action": "approval_wanted", "target": event.target, "approval_id": event.detail, **ids}
            log.warning("a request waits for approval: `nightyard approvals` shows it", extra=extra)

    def uncounted(self, group_id: GroupId) -> int:
        """Return the group's model calls of today that are not in the store yet."""
        return self._calls[day_of(datetime.now(UTC)), group_id]

    async def run(self) -> None:
        """Store counts until cancelled."""
        is_caught_up = False
        while True:
            is_caught_up = is_caught_up or await self._catch_up()
            try:
                async with asyncio.timeout(None if is_caught_up else CATCH_UP_PAUSE_S):
                    await self._awake.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(GATHER_S)
            self._awake.clear()
            await self._store_counts()

    async def _store_counts(self) -> None:
        for (day, group_id), calls in tuple(self._calls.items()):
            await insist(partial(self._store.add_model_calls, day, group_id, calls), "a count")
            self._calls[day, group_id] -= calls
        self._calls = +self._calls

    async def _catch_up(self) -> bool:
        """Add what the proxy has counted today and the store has not; False if the proxy cannot be asked."""
        day = day_of(datetime.now(UTC))
        try:
            sums = await self._sums.usage(day=day)
        except ProxyError as error:
            log.warning("today's use is not known yet: %s", error, extra={"action": "usage_unknown"})
            return False
        used: Counter[GroupId] = Counter()
        for item in sums:
            used[item.group_id] += item.usage.model_calls
        stored = await self._store.model_calls(day)
        for group_id, calls in used.items():
            missing = calls - stored.get(group_id, 0) - self._calls[day, group_id]
            if missing > 0:
                self._calls[day, group_id] += missing
        self._calls = +self._calls
        await self._store_counts()
        return True
