"""A platform's file on its way to the disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.channel import DeliveryFailed
from channels.new_file import new_file, write_chunks


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_file_comes_whole(tmp_path: Path) -> None:
    """All chunks are in the file, and as many bytes are told; as many as are allowed are not too many."""
    with new_file(tmp_path / "file") as target:
        assert await write_chunks(_chunks(b"ab", b"c"), target, 3) == 3
    assert (tmp_path / "file").read_bytes() == b"abc"


async def test_nothing_stays_of_a_file_that_is_too_large(tmp_path: Path) -> None:
    """One byte over the limit fails for good, and leaves no file."""
    with pytest.raises(DeliveryFailed, match="larger than") as failed, new_file(tmp_path / "f") as target:
        await write_chunks(_chunks(b"ab", b"cd"), target, 3)
    assert failed.value.permanent
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """What stands under the name already is neither written over nor taken away."""
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileExistsError), new_file(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "old"
