"""The counts of other people's suites: a run that finds fewer fails, and what is written of them agrees with them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COUNTS = ROOT / "twins" / "conformance.json"
DOCUMENT = ROOT / "twins" / "CONFORMANCE.md"


def test_fewer_than_before_is_a_failure(tmp_path: Path) -> None:
    """The run ends with 1, says so, and keeps no smaller count, whatever version it is told."""
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "message_entities.cpp").write_text('  check_parse_html("plain", "plain", {});\n')
    before = COUNTS.read_text("utf-8")
    command = [sys.executable, "-m", "twins.conformance", "tdlib", "--checkout", str(tmp_path), "--keep", "next"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "1 passed, 0 failed" in ran.stdout, ran.stderr
    assert ran.returncode == 1
    assert "this count may only grow" in ran.stderr
    assert COUNTS.read_text("utf-8") == before


def test_the_document_says_the_counts_that_are_kept() -> None:
    """How many pass, and how many do not, stand in words beside the reasons."""
    numbers = set(re.findall(r"\b\d+\b", DOCUMENT.read_text("utf-8")))
    for suite, kept in json.loads(COUNTS.read_text("utf-8")).items():
        assert f"twins.conformance {suite} " in DOCUMENT.read_text("utf-8")
        assert str(kept["passed"]) in numbers, suite
