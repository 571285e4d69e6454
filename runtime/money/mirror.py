"""Mirrors what models were used, as the proxy counts it, into the store: by task, day and model.

An event of the proxy's says only that there is something new; the sums themselves are asked for and put in place of
what was known, so that nothing counts twice, and what was used while the host was away is there too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from credproxy.admin_client.audit import ModelUseRow
from credproxy.admin_client.link import ProxyError
from protocol.ids import TaskId
from protocol.proxy_admin import ProxyEvent
from runtime.insist import insist
from runtime.money.purses import day_of
from runtime.store import usage_rows
from runtime.store.store import Store

log = logging.getLogger(__name__)

AWAY_PAUSE_S = 5.0
"""Between two questions to a proxy that does not answer."""
REREAD_S = 300.0
"""All of yesterday and today is asked for at least so often, in case an event was lost."""
GATHER_S = 0.05
"""How long news waits before it is asked for: a call's end is when its answer is stored, which a person waits for."""
SETTLE_TIMEOUT_S = 2.0
MANY_TASKS = 20
"""More than these with news: one question for all of them."""


class UseOfModels(Protocol):
    """What the proxy knows of the use of models."""

    async def __call__(self, *, task: str | None = None, since: str = "") -> Sequence[ModelUseRow]:
        """Return it by task, day and model; raise ProxyError."""


class UsageMirror:
    """Takes the proxy's events; `run` stores what they are about."""

    def __init__(self, store: Store, read: UseOfModels, stored: Callable[[], None] = lambda: None) -> None:
        """`stored`: called when the store knows something new; returns at once."""
        self._store = store
        self._read = read
        self._stored = stored
        self._news: set[TaskId] = set()
        self._awake = asyncio.Event()
        self.has_caught_up = asyncio.Event()
        """Set once the store knows what was used while no host was there."""

    def note(self, event: ProxyEvent) -> None:
        """Take one event of the proxy's; returns at once."""
        if event.kind in ("usage", "limit"):
            self.look_at(event.task_id)

    def look_at(self, task_id: TaskId) -> None:
        """Say that a task may have used something."""
        self._news.add(task_id)
        self._awake.set()

    async def settle(self, task_id: TaskId) -> None:
        """Return when the store knows all that a task has used; sooner if the proxy is away."""
        with suppress(ProxyError, TimeoutError):
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await self._put(await self._read(task=task_id))

    async def run(self) -> None:
        """Mirror until cancelled."""
        since = await self._first_day()
        must_read_all = True
        while True:
            news, self._news = self._news, set()
            self._awake.clear()
            ask = self._read_all(since) if must_read_all or len(news) > MANY_TASKS else self._read_tasks(news)
            must_read_all = not await self._try(ask)
            if must_read_all:
                await asyncio.sleep(AWAY_PAUSE_S)
                continue
            self.has_caught_up.set()
            since = day_of(datetime.now(UTC) - timedelta(days=1))
            try:
                async with asyncio.timeout(REREAD_S):
                    await self._awake.wait()
            except TimeoutError:
                must_read_all = True
            else:
                await asyncio.sleep(GATHER_S)

    async def _try(self, ask: Awaitable[Sequence[ModelUseRow]]) -> bool:
        try:
            await self._put(await ask)
        except ProxyError as error:
            log.warning("what models were used is not known: %s", error, extra={"action": "usage_unknown"})
            return False
        return True

    async def _read_all(self, since: str) -> Sequence[ModelUseRow]:
        return await self._read(since=since)

    async def _read_tasks(self, tasks: set[TaskId]) -> Sequence[ModelUseRow]:
        return [row for task_id in tasks for row in await self._read(task=task_id)]

    async def _put(self, rows: Sequence[ModelUseRow]) -> None:
        if rows:
            await insist(partial(self._store.write, usage_rows.put_use, rows), "what models were used")
            self._stored()

    async def _first_day(self) -> str:
        """Return the day from which the store may lack something."""
        return await self._store.read(usage_rows.newest_use_day)
