"""The phone of `up --rehearse`, against each twin as it is."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from cli.rehearsal_phone import Phone
from cli.up_progress import SetupFailed
from cli.up_rehearse import parse_platforms
from twins.discord.server import DiscordTwin
from twins.slack.server import SlackTwin
from twins.telegram.server import TelegramTwin


@pytest.mark.parametrize("make", [TelegramTwin, DiscordTwin, SlackTwin])
async def test_a_person_types_on_each_twin_and_sees_only_the_bot(make: Any) -> None:
    """What they type themselves is not told to them again."""
    twin = make()
    serving: AbstractAsyncContextManager[str] = twin.serve()
    async with serving as address:
        phone = Phone("telegram", address, str(getattr(twin, "ca_file", "")))
        await asyncio.to_thread(phone.open)
        assert phone.name and phone.world["token"]
        await asyncio.to_thread(phone.type, "hello")
        assert await asyncio.to_thread(phone.look, 0) == ([], False)


async def test_a_twin_that_is_gone_is_told() -> None:
    """With its name, and how to begin again."""
    with pytest.raises(SetupFailed, match="twin of Slack does not answer"):
        await asyncio.to_thread(Phone("slack", "http://127.0.0.1:1").open)


def test_platforms_are_a_list_with_commas() -> None:
    """Each once, in the order that is typed; an unknown one is named, with those that there are."""
    assert parse_platforms("slack, Telegram,slack") == ("slack", "telegram")
    with pytest.raises(ValueError, match=r"no twin to rehearse irc with; there is telegram, discord, slack"):
        parse_platforms("telegram,irc")
    with pytest.raises(ValueError, match="no platform is named"):
        parse_platforms(" , ")
