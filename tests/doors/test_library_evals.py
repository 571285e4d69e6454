"""The skills that ship: their cases carried out in real containers by a model that does what the skill says, and by one
that only says so.

Both models are scripts, so this shows that the cases can be passed with the skills' own files and scripts in the
container that agents have, and that they are not passed by themselves. How good a real model is at them is measured by
`nightyard skill test NAME --model ROUTE/MODEL`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.doors.installation import ROOT, Installation

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

ABLE = ROOT / "tests" / "skills" / "able_model.json"
LIBRARY = sorted(folder.parent.name for folder in (ROOT / "skills").glob("*/SKILL.md"))


@contextmanager
def model(script: Path) -> Iterator[str]:
    """Serve a scripted model, and give its address."""
    command = [sys.executable, "-m", "twins.models", "--script", str(script)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as twin:
        assert twin.stdout is not None
        try:
            yield twin.stdout.readline().split()[-1]
        finally:
            twin.terminate()


@contextmanager
def models(installation: Installation, idle_script: Path) -> Iterator[None]:
    """Have the house up with a route to the able model, and one to a model that always says the same."""
    idle_script.write_text(json.dumps({"rules": [{"when": "", "turns": [{"text": "I have done that for you."}]}]}))
    settings = installation.clone / "nightyard.yaml"
    assert installation.type("up", "--yes", "--no-chat").code == 0  # makes the settings
    installation.type("down", "--now")
    before = settings.read_text()
    with model(ABLE) as able, model(idle_script) as idle:
        routes = f"routes:\n  able: {{api: openai, url: '{able}'}}\n  idle: {{api: openai, url: '{idle}'}}\n"
        settings.write_text(f"{before}\n{routes}")
        try:
            started = installation.type("up", "--yes", "--no-chat")
            assert started.code == 0, started.text
            yield
        finally:
            settings.write_text(before)


def cases_of(skill: str) -> int:
    return len(json.loads((ROOT / "skills" / skill / "evals" / "evals.json").read_text())["evals"])


def test_every_skill_of_the_library_passes_its_evals(installation: Installation, tmp_path: Path) -> None:
    """Each skill has at least two cases; who follows it passes all, who only says so passes none."""
    with models(installation, tmp_path / "idle.json"):
        for skill in LIBRARY:
            count = cases_of(skill)
            assert count >= 2, skill
            able = installation.type("skill", "test", skill, "--model", "able/scripted")
            assert (able.code, able.out.splitlines()[-1]) == (0, f"{count} of {count} passed (100 %)"), able.text
            idle = installation.type("skill", "test", skill, "--model", "idle/scripted")
            assert (idle.code, idle.out.splitlines()[-1]) == (1, f"0 of {count} passed (0 %)"), idle.text
