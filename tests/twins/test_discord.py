"""The twin of Discord, as unmodified discord.py meets it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import discord
import pytest

from tests.twins.discord_client import running_bot
from twins.discord.seed import ANNA, DIRECT
from twins.discord.server import DiscordTwin
from twins.discord.user_side import sight, verbs


@pytest.fixture
async def twin() -> AsyncIterator[DiscordTwin]:
    twin = DiscordTwin(limits=False)
    async with twin.serve():
        yield twin


async def test_a_typed_message_reaches_the_bot_and_its_answer_is_seen(twin: DiscordTwin) -> None:
    """discord.py logs in, becomes ready, hears what Anna types and answers; she sees the answer."""
    async with running_bot(twin) as bot:
        assert bot.user is not None and bot.user.name == "nightyard_bot"
        assert [guild.name for guild in bot.guilds] == ["The Yard"]
        verbs.type_text(twin.world, {"text": "hello"})
        message = await bot.next_message()
        assert (message.content, message.author.id, str(message.channel.id)) == ("hello", int(ANNA), DIRECT[ANNA])
        assert isinstance(message.channel, discord.DMChannel)
        await message.channel.send("hi Anna")
        seen = await sight.show_chat(twin.world, {"person": ANNA})
        assert [one["text"] for one in seen["messages"]] == ["hello", "hi Anna"]
        assert seen["messages"][1]["is_bot"]
