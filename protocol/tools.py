"""The tools that an agent can have, by name: a group's settings choose among them. Pure; shared by host and agent."""

from __future__ import annotations

TOOLS = (
    "shell",
    "read_file",
    "write_file",
    "edit_file",
    "glob",
    "grep",
    "apply_patch",
    "view_image",
    "web_fetch",
    "web_search",
    "skill",
    "memory",
    "send_file",
    "send_message",
    "edit_message",
    "react",
    "ask_user",
    "schedule",
    "delegate",
    "sub_agent",
    "browser_open",
    "browser_read",
    "browser_click",
    "browser_type",
    "browser_back",
    "browser_screenshot",
)
"""Each one's code is in `agents/tools/`."""
BROWSER_TOOLS = tuple(name for name in TOOLS if name.startswith("browser_"))
"""For groups whose image has a browser; without `browser_open` there is none of them."""


def left_out(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tools that a choice leaves out: all that it does not name, or those that it names with a `-` before.
    Nothing chosen leaves nothing out."""
    if not chosen:
        return ()
    if all(word.startswith("-") for word in chosen):
        return tuple(name for name in TOOLS if f"-{name}" in chosen)
    return tuple(name for name in TOOLS if name not in chosen)
