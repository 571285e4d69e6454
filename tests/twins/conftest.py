"""What the tests of Discord's twin stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.twins.discord_raw import Raw, raw_client
from twins.discord.server import DiscordTwin


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    """A client, payload by payload, of a twin without limits."""
    twin = DiscordTwin(limits=False)
    async with twin.serve(), raw_client(twin) as raw:
        yield raw
