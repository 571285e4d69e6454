"""A house for each way to talk, with the same agents, model and skill in both: the stories are told in it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from bench.installation import Installation, installation
from tests.faults.house import until_true
from tests.stories.phones import Phone, telegram_of_many, telegram_phone, terminal_phone
from tests.stories.script import GROUPS, SCRIPT, write_stories_fork
from twins.models.server import serve_models
from twins.telegram.server import TelegramTwin

UNANSWERED = "SELECT count(*) FROM v_messages WHERE state IN ('queued', 'claimed')"
GIVEN_UP = "SELECT text, end_reason FROM v_messages WHERE state IN ('dead', 'refused') AND text <> 'sleep'"
UNSENT = "SELECT count(*) FROM v_outbox WHERE state IN ('pending', 'sending', 'dead')"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One installation, and how people talk with its agents."""

    running: Installation
    telegram: TelegramTwin | None

    @asynccontextmanager
    async def phone(self, group: str = "main") -> AsyncIterator[Phone]:
        """Give somebody's chat with an agent, in which nothing was said before."""
        if self.telegram is not None:
            yield await telegram_phone(self.running, self.telegram, group)
        else:
            async with terminal_phone(self.running, group) as phone:
                yield phone

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the store, as its documented views show it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.running.home}/store.db?mode=ro", uri=True)) as store:
            return list(store.execute(query, values))

    async def until(self, query: str, wanted: object, *values: object) -> None:
        """Wait until the first thing that the store answers is this."""
        await until_true(lambda: [row[0] for row in self.rows(query, *values)][:1] == [wanted])

    async def all_is_well(self) -> None:
        """Return once everything said has found its end and is where it was to go; nothing was put aside as dead."""
        await self.until(UNANSWERED, 0)
        await self.until(UNSENT, 0)
        assert self.rows(GIVEN_UP) == []
        assert self.rows("SELECT * FROM v_dead_letters") == []
        assert self.rows("SELECT * FROM v_letters") == []


@pytest_asyncio.fixture(loop_scope="session", scope="session", params=["terminal", "telegram"])
async def house(agent_image: str, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        refusing, _ = await stack.enter_async_context(serve_models(required_key="one that nobody has"))
        settings = f"  refusing:\n    api: anthropic\n    url: http://127.0.0.1:{refusing}\n"
        telegram, secrets = None, {}
        if request.param == "telegram":
            telegram = telegram_of_many()
            url = await stack.enter_async_context(telegram.serve())
            settings += f"channels:\n  telegram:\n    secret: telegram\n    url: {url}\n"
            secrets = {"telegram": telegram.world.token}
        running = await stack.enter_async_context(
            installation(script=SCRIPT, settings=settings, secrets=secrets, groups=tuple(GROUPS))
        )
        write_stories_fork(running.fork)
        assert await running.control.request("reload") == {"problems": []}
        yield House(running=running, telegram=telegram)
