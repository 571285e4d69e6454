"""What a host leaves standing in chats, noted for the next."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from protocol.ids import PlatformMessageId
from tests.channels.showing import noted


async def test_the_next_host_knows_what_stands(tmp_path: Path) -> None:
    """What was noted last is read; notes asked for at once do not get into each other's way."""
    path = tmp_path / "new" / "channel.lines"
    stands = {number: PlatformMessageId(f"m{number}") for number in range(20)}
    standing = noted(path)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(standing.keep(lambda: list(stands.items())))
        stands.pop(3)
    assert await noted(path).left() == list(stands.items())
    assert [each.name for each in path.parent.iterdir()] == ["channel.lines"]


@pytest.mark.parametrize("content", ["", "no JSON", "{}7", "[[1]]", '[["x", "1"]]', "[3]"])
async def test_an_unreadable_note_is_none(tmp_path: Path, content: str) -> None:
    """A file that is not there, broken or foreign holds up nothing."""
    path = tmp_path / "noted"
    assert await noted(path).left() == []
    path.write_text(content)
    assert await noted(path).left() == []
    assert await noted(None).left() == []


async def test_a_disk_that_takes_nothing_is_said_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Notes are a courtesy: where none can be written, work goes on."""
    (tmp_path / "file").write_text("")
    await noted(tmp_path / "file" / "noted").keep(lambda: [(1, PlatformMessageId("1"))])
    assert "was not noted" in caplog.text
