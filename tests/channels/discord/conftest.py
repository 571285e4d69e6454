"""A twin of Discord and what is beside a channel in the host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.channels.conformance_support import Rig, rig_of
from tests.channels.discord.platform import DiscordPlatform


@pytest.fixture
def platform() -> DiscordPlatform:
    return DiscordPlatform()


@pytest.fixture
async def rig(platform: DiscordPlatform, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(platform, tmp_path) as rig:
        yield rig
