"""Forgetting the conversations that other programs than our loop keep in a group's HOME."""

from __future__ import annotations

from pathlib import Path

from runtime.lasting.forget_sessions import forget_sessions


def test_the_sessions_of_every_harness_go(tmp_path: Path) -> None:
    """What they keep is removed whole; the rest of HOME stays."""
    for name in (".nightyard/claude-code", ".claude/projects/-workspace", ".codex/sessions", ".local/share/opencode/x"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "kept").write_text("what somebody said")
    (tmp_path / ".bashrc").write_text("alias")
    assert forget_sessions(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [".bashrc"]
    assert not forget_sessions(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A tool may have put a link there: what it leads to is not touched."""
    home, outside = tmp_path / "home", tmp_path / "outside"
    (outside / "share/opencode").mkdir(parents=True)
    (outside / "share/opencode/precious").write_text("x")
    home.mkdir()
    (home / ".local").symlink_to(outside)
    (home / ".claude").symlink_to(outside)
    assert forget_sessions(home)
    assert (outside / "share/opencode/precious").exists() and not (home / ".claude").is_symlink()
