"""discord.py as it comes, sent to a twin by the ways it offers: a resolver, and an authority to trust."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord

from twins.discord.connector import connector_to
from twins.discord.server import DiscordTwin

READY_WITHIN_S = 20.0


class Bot(discord.Client):
    """A client that keeps what it is told."""

    def __init__(self, twin: DiscordTwin, intents: discord.Intents | None = None, **options: Any) -> None:
        options = {"guild_ready_timeout": 0.05, "heartbeat_timeout": 60.0, **options}
        super().__init__(
            connector=connector_to(twin.address, twin.ca_file), intents=intents or discord.Intents.all(), **options
        )
        self.heard: asyncio.Queue[discord.Message] = asyncio.Queue()
        self.told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        self.told.put_nowait((event, args))
        super().dispatch(event, *args, **kwargs)

    async def on_message(self, message: discord.Message) -> None:
        if message.author != self.user:
            self.heard.put_nowait(message)

    async def next_message(self) -> discord.Message:
        async with asyncio.timeout(READY_WITHIN_S):
            return await self.heard.get()

    async def until_told(self, event: str) -> Any:
        """Return the arguments of the next such event."""
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                name, args = await self.told.get()
                if name == event:
                    return args


@asynccontextmanager
async def running_bot(twin: DiscordTwin, intents: discord.Intents | None = None, **options: Any) -> AsyncIterator[Bot]:
    """A client that is ready."""
    bot = Bot(twin, intents, **options)
    async with asyncio.TaskGroup() as tasks:
        await bot.login(twin.world.token)
        running = tasks.create_task(bot.connect())
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await bot.wait_until_ready()
            yield bot
        finally:
            await bot.close()
            running.cancel()
