"""The quarter, for every client here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.clients.quarter import Quarter, open_quarter


@pytest.fixture
async def quarter(agent_image: str) -> AsyncIterator[Quarter]:
    """A proxy and a place for containers, without any tool but the image's own."""
    async with open_quarter(agent_image) as quarter:
        yield quarter
