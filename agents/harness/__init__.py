"""Other people's agent programs in the place of our loop: Claude Code, Codex, OpenCode, behind the same link.

`frame.py` says what an adapter gives and gets, `<name>.py` is one, `runner.py` runs its program for one task.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agents.harness.frame import Adapter

VARIABLE = "NIGHTYARD_HARNESS"
"""Names the harness in a container's environment: a spare starts its program before there is a task."""


def adapter_for(name: str) -> Adapter:
    """Return a new adapter of a harness; raise ValueError for one that is not here."""
    if name == "claude-code":
        from agents.harness.claude_code import ClaudeCode  # late: each container has one of them at most

        return ClaudeCode()
    if name == "codex":
        from agents.harness.codex import Codex

        return Codex()
    if name == "opencode":
        from agents.harness.opencode import OpenCode

        return OpenCode()
    raise ValueError(f"there is no harness {name!r}")
