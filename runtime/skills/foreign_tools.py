"""What the tools that a skill names under `allowed-tools` are called here. Pure.

Skills are written for Claude Code, Codex, OpenClaw and others; each calls the same handful of tools its own names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from protocol.tools import TOOLS

OURS: dict[str, str] = {
    **{name: name for name in TOOLS},
    # Claude Code
    "read": "read_file",
    "notebookread": "read_file",
    "write": "write_file",
    "edit": "edit_file",
    "multiedit": "edit_file",
    "bash": "shell",
    "bashoutput": "shell",
    "killshell": "shell",
    "ls": "glob",
    "webfetch": "web_fetch",
    "websearch": "web_search",
    "task": "sub_agent",
    "agent": "sub_agent",
    "askuserquestion": "ask_user",
    # Codex, OpenClaw
    "exec": "shell",
    "process": "shell",
    "local_shell": "shell",
    "find": "glob",
    "image": "view_image",
    "message": "send_message",
    "cron": "schedule",
    "sessions_spawn": "sub_agent",
}
"""Name elsewhere, in small letters, to the name here; counts only where `TOOLS` has that."""

_NAMED = re.compile(r"[^\s,()]+(?:\([^)]*\))?")
"""`Bash(git commit:*)` is one, spaces and all."""


def split_tools(text: str) -> tuple[str, ...]:
    """Return the tools that the value of `allowed-tools` names."""
    return tuple(_NAMED.findall(text))


def tool_here(named: str) -> str:
    """Return what a tool is called here, empty if it is not here. What stands in brackets behind it does not count."""
    name = OURS.get(named.partition("(")[0].lower(), "")
    return name if name in TOOLS else ""


def absent_here(named: Iterable[str]) -> tuple[str, ...]:
    """Return the named tools that are not here."""
    return tuple(dict.fromkeys(each for each in named if not tool_here(each)))


def describe_tools(named: Iterable[str]) -> str:
    """Return the sentence that a model reads beside the skill's card, empty if every name is one of ours."""
    named = tuple(named)
    renamed = {each.partition("(")[0]: tool_here(each) for each in named if tool_here(each)}
    pairs = [f"{theirs} is {ours}" for theirs, ours in renamed.items() if theirs != ours]
    parts = [f"of the tools it names, {', '.join(pairs)} here"] if pairs else []
    absent = absent_here(named)
    if absent:
        parts.append(f"not here: {', '.join(absent)}")
    return f"({'; '.join(parts)})" if parts else ""
