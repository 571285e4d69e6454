"""A skill of somebody else's: added, tried out in real containers, and removed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.doors.installation import Installation

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]


def test_a_skill_is_tried_out_in_containers(installation: Installation, tmp_path: Path) -> None:
    """Each case has an agent and a workspace of its own, its files are looked into, and nothing of it stays."""
    folder = tmp_path / "polite"
    (folder / "evals").mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: polite\ndescription: Be polite.\n---\nSay please.\n")
    (folder / "evals" / "note.txt").write_text("words")
    made = {"file": "hello.txt", "contains": "container"}
    cases = [
        {"id": "made", "prompt": "make a file", "files": ["evals/note.txt"], "checks": [made]},
        {"id": "clean", "prompt": "good day", "checks": [{"file": "hello.txt"}]},
    ]
    (folder / "evals" / "evals.json").write_text(json.dumps({"evals": cases}))
    try:
        started = installation.type("up", "--yes", "--no-chat")
        assert started.code == 0, started.text
        added = installation.type("skill", "add", str(folder), "--yes")
        assert added.code == 0, added.text
        tried = installation.type("skill", "test", "polite", "--model", "rehearsal/guide")
        assert (tried.code, tried.err) == (1, ""), tried.text
        assert tried.out.splitlines() == [
            "pass  made",
            "fail  clean; there is no file 'hello.txt'",
            "1 of 2 passed (50 %)",
        ]
        assert not list((installation.clone / "groups").glob("skill-test-*"))
        removed = installation.type("skill", "remove", "polite")
        assert removed.code == 0, removed.text
        assert not (installation.clone / "skills.lock").exists()
    finally:
        shutil.rmtree(installation.clone / "skills" / "polite", ignore_errors=True)
