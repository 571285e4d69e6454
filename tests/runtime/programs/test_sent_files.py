"""Files that go with `nightyard send`: copied under the host's names, or refused and nothing stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.ids import GroupId
from runtime.programs.sent_files import SentFiles
from runtime.refusal import OperationRefused

MAIN = GroupId("main")


@pytest.fixture
def files(tmp_path: Path) -> SentFiles:
    return SentFiles(lambda group: tmp_path / group / "inbox", lambda group: group == MAIN, lambda: 100)


async def test_a_file_is_copied_and_named(files: SentFiles, tmp_path: Path) -> None:
    """The words name where the agent finds it; its sender's name gives no more than the extension."""
    sent = tmp_path / "my report.TXT"
    sent.write_text("content")
    said = await files.take_in(MAIN, [str(sent)])
    (stored,) = (tmp_path / "main" / "inbox").iterdir()
    assert f"/inbox/{stored.name}" in said and stored.suffix == ".txt" and "report" not in stored.name
    assert stored.read_text() == "content" and stored.stat().st_mode & 0o777 == 0o644
    assert await files.take_in(MAIN, []) == ""


async def test_what_cannot_be_taken_leaves_nothing(files: SentFiles, tmp_path: Path) -> None:
    """Too large, not there, a folder, a relative path, too many, another group: a code, and no file stays."""
    good, large = tmp_path / "good", tmp_path / "large"
    good.write_text("x")
    large.write_text("x" * 101)
    for group, paths, code in (
        (MAIN, [str(good), str(large)], "file_too_large"),
        (MAIN, [str(tmp_path / "absent")], "no_file"),
        (MAIN, [str(tmp_path)], "no_file"),
        (MAIN, ["good"], "no_file"),
        (MAIN, [str(good)] * 21, "too_many_files"),
        (GroupId("nobody"), [str(good)], "unknown_group"),
    ):
        with pytest.raises(OperationRefused) as refused:
            await files.take_in(group, paths)
        assert refused.value.code == code
    inbox = tmp_path / "main" / "inbox"
    assert not inbox.exists() or list(inbox.iterdir()) == []
