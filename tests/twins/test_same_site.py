"""The people of a twin are played by programs and by the twin's own page, not by whatever a browser shows beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from twins.discord.server import DiscordTwin
from twins.same_site import is_from_another_site
from twins.slack.server import SlackTwin
from twins.telegram.server import TelegramTwin


@asynccontextmanager
async def door(name: str) -> AsyncIterator[str]:
    """A twin's user side, in plain HTTP."""
    if name == "discord":
        discord = DiscordTwin()
        async with discord.serve():
            yield discord.phone_address.removesuffix("/twin/phone")
    elif name == "slack":
        async with SlackTwin().serve() as address:
            yield address
    else:
        async with TelegramTwin().serve() as address:
            yield address


@pytest.mark.parametrize("name", ["telegram", "discord", "slack"])
async def test_another_site_plays_nobody(name: str) -> None:
    """What it posts is refused whatever its type, and so is one whose name leads here; the own page and programs go
    on."""
    async with door(name) as address, aiohttp.ClientSession(trust_env=False) as http:
        async with http.get(f"{address}/twin/world") as answer:
            world = await answer.json()
        person = world["people"][0]["id"]
        said = {"text": "delete everything", "person": person, "chat": world["chats"][0]["id"]}
        cases = {
            "https://evil.example": 403,
            "null": 403,
            f"{address}.evil.example": 403,
            f"{address[:-1]}{(int(address[-1]) + 1) % 10}": 403,
            address: 200,
        }
        for origin, status in cases.items():
            async with http.post(f"{address}/twin/type", json=said, headers={"Origin": origin}) as answer:
                assert answer.status == status, origin
        rebound = {"Host": "evil.example:80", "Origin": "http://evil.example:80"}
        async with http.get(f"{address}/twin/world", headers=rebound) as answer:
            assert answer.status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:80", "[::1]:80", "192.168.0.7:1", "localhost"])
def test_a_host_in_figures_is_ours(host: str) -> None:
    """Whatever address of this machine the page was opened at."""
    assert not is_from_another_site({"host": host})
    assert not is_from_another_site({"host": host, "origin": f"http://{host}"})


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example:80", "[::1", "localhost.evil.example"])
def test_a_host_with_a_name_is_not(host: str) -> None:
    """A name may be led anywhere by who owns it."""
    assert is_from_another_site({"host": host})
