"""What `nightyard status` adds to the host's answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cli.status import supervisor_lines
from cli.status_text import LABEL_COLUMNS, channel_line, rows_of
from client.processes import write_state

ROOT = Path(__file__).resolve().parents[2]


def test_a_dead_supervisor_is_told(tmp_path: Path) -> None:
    """Nobody starts again what dies: that is said, with the command that mends it; a living supervisor, or none ever,
    is no news."""
    assert supervisor_lines(tmp_path) == []
    (tmp_path / "run").mkdir()
    write_state(tmp_path, [])  # as if this process were the supervisor
    assert supervisor_lines(tmp_path) == []
    program = (
        "import sys, pathlib; from client.processes import write_state; write_state(pathlib.Path(sys.argv[1]), [])"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], cwd=ROOT, check=True, timeout=60)
    ((label, text, mood),) = supervisor_lines(tmp_path)
    assert (label, mood) == ("supervisor", "bad")
    assert "`nightyard up`" in text


def test_a_refused_token_is_told_with_its_mend() -> None:
    """The command to type, with the channel's own name where it has one; other troubles stand as they are."""
    refused = {"channel": "second", "platform": "slack", "group": "main", "health": "token refused"}
    label, text, mood = channel_line(refused)
    assert (label, mood) == ("channel", "bad")
    assert text == "second (slack) → main: token refused; `nightyard channel add slack --name second` takes a new one"
    assert channel_line({**refused, "channel": "slack"})[1].endswith("`nightyard channel add slack` takes a new one")
    assert channel_line({**refused, "health": "no answer"})[1] == "second (slack) → main: no answer"


def test_a_long_line_breaks_between_words() -> None:
    """Under its own beginning, where somebody looks; a program that reads it gets one line."""
    text = "no real model answers for main: set `model` in nightyard.yaml"
    rows = rows_of(text, 60)
    assert (" ".join(rows), len(rows)) == (text, 2)
    assert all(len(row) <= 60 - LABEL_COLUMNS for row in rows)
    assert rows_of(text, 0) == [text]
    assert rows_of("", 80) == [""]
