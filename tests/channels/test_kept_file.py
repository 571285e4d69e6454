"""What a channel keeps for the next host."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.kept_file import MAX_BYTES, read_kept, write_kept


def test_what_was_kept_last_is_read(tmp_path: Path) -> None:
    """The file is the new one, whole, for its owner alone, in a folder made for it; nothing lies beside it."""
    path = tmp_path / "new" / "channel.seen"
    for kept in ({"floor": None, "chats": [["ü", 1]]}, {"a": 2}):
        write_kept(path, kept, what="it", action="unkept")
        assert read_kept(path) == kept
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"no JSON", b"\xff\xfe\xfd", b"[" * 100_000, b" " * MAX_BYTES + b"[]"])
def test_what_is_none_of_ours_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    """Empty, foreign, deeply nested and endless files are told from what was kept."""
    path = tmp_path / "kept"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        read_kept(path)


def test_nothing_kept_is_not_a_broken_file(tmp_path: Path) -> None:
    """A file that is not there is told from one that cannot be read."""
    with pytest.raises(FileNotFoundError):
        read_kept(tmp_path / "kept")


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What could not be kept, and why, is in the log; the old file stays."""
    (tmp_path / "kept").write_text("[1]")
    (tmp_path / "kept.part").mkdir()
    write_kept(tmp_path / "kept", [2], what="how it stands", action="unkept")
    assert read_kept(tmp_path / "kept") == [1]
    assert "how it stands was not noted: Is a directory" in caplog.text
