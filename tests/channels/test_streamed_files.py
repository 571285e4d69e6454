"""Files of each platform on their way between its network and the disk: little of them is ever in memory."""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from protocol.message import OutboundFile, OutboundMessage
from tests.channels.conformance_support import Phone, Platform, Rig, Served, deliver
from tests.channels.discord.platform import DiscordPlatform
from tests.channels.slack.support import SECRET as SLACK_SECRET
from tests.channels.slack.test_conformance import SlackPlatform
from tests.channels.telegram.test_conformance import TelegramPlatform
from twins.discord.world import DEFAULT_TOKEN as DISCORD_TOKEN
from twins.telegram.world import DEFAULT_TOKEN as TELEGRAM_TOKEN

FILE_BYTES = 9_000_000
LITTLE_BYTES = 4_500_000
"""Less than half of the file; a quarter of a megabyte at a time goes through, and TLS keeps some of them."""


async def test_telegrams_files_are_streamed(tmp_path: Path) -> None:
    """In, and two at once out."""
    async with _apart("telegram", TelegramPlatform(), TELEGRAM_TOKEN, (), tmp_path) as rig:
        await _in_and_out(rig, tmp_path)


async def test_discords_files_are_streamed(tmp_path: Path) -> None:
    """In, and two at once out."""
    arguments = ("--no-limits", "--directory", str(tmp_path))
    async with _apart("discord", DiscordPlatform(), DISCORD_TOKEN, arguments, tmp_path, "ca.pem") as rig:
        await _in_and_out(rig, tmp_path)


async def test_slacks_files_are_streamed(tmp_path: Path) -> None:
    """In, and two at once out."""
    async with _apart("slack", SlackPlatform(), SLACK_SECRET, ("--no-rate-limits",), tmp_path) as rig:
        await _in_and_out(rig, tmp_path)


@asynccontextmanager
async def _apart(
    name: str, platform: Platform, secret: str, arguments: Sequence[str], folder: Path, authority: str = ""
) -> AsyncIterator[Rig]:
    """Run a twin in a process of its own: what it holds is not counted."""
    command = (sys.executable, "-m", f"twins.{name}", *arguments)
    twin = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert twin.stdout is not None
        api = (await twin.stdout.readline()).decode().strip()
        url = f"{api}#{folder / authority}" if authority else api
        trusted: ssl.SSLContext | bool = False
        if authority:
            trusted = ssl.create_default_context(cafile=str(folder / authority))
        async with httpx.AsyncClient(base_url=api, timeout=30, trust_env=False, verify=trusted) as http:
            served = Served(url=url, api=api, secret=secret)
            phone = Phone(http, platform.facts.anna)
            yield Rig(platform=platform, served=served, phone=phone, kept=folder / "kept")
    finally:
        twin.terminate()
        await twin.wait()


async def _in_and_out(rig: Rig, folder: Path) -> None:
    room, content = rig.platform.facts.direct, random.Random(1).randbytes(FILE_BYTES)
    (folder / "one").write_bytes(content)
    (folder / "two").write_bytes(content)
    async with rig.connected() as channel:
        await rig.phone.upload("large.bin", content, room)
        (said,) = await rig.messages(channel, 1)
        message = OutboundMessage(
            chat=room.key,
            text="Two.",
            file_path=str(folder / "one"),
            file_name="one.bin",
            more_files=(OutboundFile(path=str(folder / "two"), name="two.bin"),),
            idempotency_key="t:1",
        )
        tracemalloc.start(1)
        try:
            assert await channel.fetch(said.pending_files[0], folder / "stored", FILE_BYTES) == FILE_BYTES
            _, peak_in = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            await deliver(channel, message)
            _, peak_out = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        seen = await rig.phone.sees(room)
        files = [file for one in seen for file in one["files"]]
        assert [await rig.phone.file(str(file["id"])) == content for file in files] == [True, True]
    assert (folder / "stored").read_bytes() == content
    assert max(peak_in, peak_out) < LITTLE_BYTES
