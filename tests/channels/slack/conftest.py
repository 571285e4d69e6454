"""A Slack twin on a real socket, a person with a phone, and channels that live beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.channels.conformance_support import Phone, Rig, Served
from tests.channels.slack.support import SECRET
from tests.channels.slack.test_conformance import SlackPlatform
from twins.slack.seed import ANNA
from twins.slack.server import SlackTwin


@pytest.fixture
async def twin() -> AsyncIterator[SlackTwin]:
    running = SlackTwin(rate_limits=False)
    async with running.serve():
        yield running


@pytest.fixture
async def rig(twin: SlackTwin, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return what runs a channel to the twin, one life of the host after the other."""
    address = twin.world.address
    async with httpx.AsyncClient(base_url=address, timeout=30, trust_env=False) as http:
        served = Served(url=address, api=address, secret=SECRET)
        yield Rig(platform=SlackPlatform(), served=served, phone=Phone(http, ANNA), kept=tmp_path / "slack.json")
