"""The phone of `up --rehearse`, against each twin as it is."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from cli.rehearsal_phone import Phone, TwinRefused
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


@pytest.mark.parametrize("make", [TelegramTwin, DiscordTwin, SlackTwin])
async def test_a_button_that_is_not_there_ends_nothing(make: Any) -> None:
    """The person reads why, without the wrapping of any platform's errors, and types on."""
    twin = make()
    serving: AbstractAsyncContextManager[str] = twin.serve()
    async with serving as address:
        phone = Phone("telegram", address, str(getattr(twin, "ca_file", "")))
        await asyncio.to_thread(phone.open)
        with pytest.raises(TwinRefused) as refused:
            await asyncio.to_thread(phone.type, "!Yes please")
        assert refused.value.why == "there is no button 'Yes please' to press in this chat"
        await asyncio.to_thread(phone.type, "then not")


@pytest.mark.parametrize("make", [TelegramTwin, DiscordTwin, SlackTwin])
async def test_the_page_of_each_phone_opens_in_any_browser(make: Any) -> None:
    """In plain HTTP: no certificate to be warned of. What it acts on is the same world."""
    twin = make()
    serving: AbstractAsyncContextManager[str] = twin.serve()
    async with serving as address:
        phone = Phone("telegram", address, str(getattr(twin, "ca_file", "")))
        await asyncio.to_thread(phone.open)
        assert phone.page.startswith("http://127.0.0.1:")
        async with httpx.AsyncClient(trust_env=False, timeout=20) as browser:
            assert "page.js" in (await browser.get(phone.page)).text
            base = phone.page.removesuffix("/phone")
            assert (await browser.get(f"{base}/world")).json()["people"] == phone.world["people"]


async def test_only_peoples_side_of_discord_is_in_plain_http() -> None:
    """A bot that forgets TLS is told nothing, as at Discord."""
    twin = DiscordTwin()
    async with twin.serve(), httpx.AsyncClient(trust_env=False, timeout=20) as plain:
        base = twin.phone_address.removesuffix("/twin/phone")
        assert (await plain.get(f"{base}/api/v10/gateway")).status_code == 404


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
