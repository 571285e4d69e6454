"""What `nightyard status` adds to the host's answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cli.status import supervisor_lines
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
