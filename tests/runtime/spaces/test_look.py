"""One look at a space that somebody hostile may have filled."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from runtime.spaces.look import Look, look


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "space").mkdir()
    return tmp_path / "space"


def marks_of(found: Look) -> dict[str, str]:
    return {each.path: each.mark for each in found.seen}


def test_new_changed_and_gone_files_are_seen(space: Path) -> None:
    """By what they hold; folders by themselves say nothing."""
    (space / "deep" / "er").mkdir(parents=True)
    (space / "deep" / "a.md").write_text("one")
    (space / "b.md").write_text("two")
    first = look(space, {})
    assert sorted(each.path for each in first.seen) == ["b.md", "deep/a.md"]
    (space / "deep" / "a.md").write_text("three")
    (space / "b.md").unlink()
    second = look(space, marks_of(first))
    assert [each.path for each in second.seen] == ["deep/a.md"]
    assert second.gone == ("b.md",)
    assert second.seen[0].content != next(each.content for each in first.seen if each.path == "deep/a.md")


def test_what_is_known_and_settled_is_not_read_again(space: Path) -> None:
    """Its marks are enough: nothing is told of it."""
    (space / "a").write_text("x")
    state = (space / "a").stat()
    mark = f"{state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
    assert look(space, {"a": mark}).is_empty


def test_only_files_folders_and_links_that_stay_are_kept(space: Path) -> None:
    """A pipe would have its reader wait, a link lead them elsewhere; both are taken away, and nothing was followed."""
    secret = space.parent / "secret"
    secret.write_text("untouched")
    (space / "inside").mkdir()
    (space / "inside" / "up").symlink_to("../inside")
    (space / "out").symlink_to(secret)
    (space / "inside" / "out").symlink_to("../../secret")
    (space / "folder").symlink_to("/etc")
    os.mkfifo(space / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(space / "s"))
        found = look(space, {})
    assert sorted(found.refused) == ["folder", "inside/out", "out", "pipe", "s"]
    assert [each.path for each in found.seen] == ["inside/up"]
    assert sorted(path.name for path in space.rglob("*")) == ["inside", "up"]
    assert secret.read_text() == "untouched"


def test_what_its_mode_hides_is_seen_too(space: Path) -> None:
    """A folder that nobody may enter hides nothing from the host, and has its mode again afterwards."""
    (space / "hidden").mkdir()
    (space / "hidden" / "a").write_text("x")
    (space / "hidden").chmod(0)
    try:
        assert [each.path for each in look(space, {}).seen] == ["hidden/a"]
        assert (space / "hidden").stat().st_mode & 0o777 == 0
    finally:
        (space / "hidden").chmod(0o700)


def test_any_bytes_are_a_name(space: Path) -> None:
    """Also those that are no text."""
    os.close(os.open(os.fsencode(space) + b"/\xff\n", os.O_CREAT | os.O_WRONLY))
    assert [each.path for each in look(space, {}).seen] == ["\\xff\n"]
