"""What a host loads: a platform's library is there once a channel of it is in the settings, and no sooner."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SDKS = ("telegram", "httpx", "discord", "slack_sdk", "slack_bolt", "aiohttp", "twins")
SHOWN = f"print([name for name in {SDKS!r} if name in sys.modules])"
BUILD = """
import asyncio, sys, pathlib
async def build():
    from channels.channel import Channel
    from channels.registry import build_channel
    async def fetch():
        return ""
    build_channel(sys.argv[1], sys.argv[1], fetch, "", pathlib.Path("/nonexistent/kept"))
asyncio.run(build())
"""


def loaded(code: str, *arguments: str) -> list[str]:
    """Return which of the libraries are there once some code has run."""
    program = f"import sys\n{code}\n{SHOWN}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [str(name) for name in done.stdout.strip().strip("[]").replace("'", "").split(", ") if name]


def test_a_host_without_channels_has_no_platforms_library() -> None:
    """Nor a twin, nor the page of a phone, when all its own parts are there."""
    assert loaded("import services.host, services.wired_host, services.host_setup") == []


@pytest.mark.parametrize(
    ("platform", "own"),
    [
        ("telegram", {"telegram", "httpx"}),
        ("discord", {"discord", "aiohttp"}),
        ("slack", {"slack_sdk", "aiohttp"}),
    ],
)
def test_a_channel_brings_its_own_library_only(platform: str, own: set[str]) -> None:
    """A host with one platform does not pay for the others."""
    assert set(loaded(BUILD, platform)) <= own
