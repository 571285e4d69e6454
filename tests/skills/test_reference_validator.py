"""The library's skills before the format's own validator, unmodified."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.tools import skill_validator
from tests.skills.test_scripts import LIBRARY

pytestmark = pytest.mark.long

VALIDATE = "import sys; from skills_ref.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def validator() -> Path:
    return skill_validator()


def validate(validator: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", VALIDATE, "validate", str(folder)]
    environment = {"PYTHONPATH": str(validator), "PATH": os.environ["PATH"]}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


@pytest.mark.parametrize("name", sorted(folder.name for folder in LIBRARY.iterdir()))
def test_each_skill_of_the_library_is_valid(validator: Path, name: str) -> None:
    """It says so itself."""
    ended = validate(validator, LIBRARY / name)
    assert (ended.returncode, ended.stdout.startswith("Valid skill")) == (0, True), ended.stdout + ended.stderr


def test_the_validator_refuses_what_is_wrong(validator: Path, tmp_path: Path) -> None:
    """A folder with another name than its skill is not valid: the test above can fail."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "SKILL.md").write_text("---\nname: two\ndescription: d\n---\n")
    assert validate(validator, tmp_path / "one").returncode == 1
