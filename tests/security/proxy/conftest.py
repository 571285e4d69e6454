"""The scene, for every attack."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.security.proxy.scene import Scene, open_scene


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="sp-") as folder:
        yield Path(folder)


@pytest.fixture
async def scene(short_folder: Path) -> AsyncIterator[Scene]:
    """A proxy with A and B; its end is the oracle's."""
    async with open_scene(short_folder) as scene:
        yield scene
