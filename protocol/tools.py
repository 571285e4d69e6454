"""The tools that an agent can have, by name: a group's settings choose among them. Pure; shared by host and agent."""

from __future__ import annotations

from collections.abc import Collection

from protocol.tool_rules import names_tool

ADD_PACKAGES = "add_packages"
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
    ADD_PACKAGES,
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


MCP_PREFIX = "mcp__"
"""Tools of MCP servers are named `mcp__<server>__<tool>`; a choice may name them, or how they begin, with a `*`."""


def left_out(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tools that a choice leaves out: all that it does not name, or those that it names with a `-` before.
    Nothing chosen leaves nothing out. What it says of tools of MCP servers is for `is_without` to read."""
    if not chosen:
        return ()
    if all(word.startswith("-") for word in chosen):
        of_servers = (word[1:] for word in chosen if word.startswith(f"-{MCP_PREFIX}"))
        return (*(name for name in TOOLS if f"-{name}" in chosen), *of_servers)
    kept = (f"+{word}" for word in chosen if word.startswith(MCP_PREFIX))
    return (*(name for name in TOOLS if name not in chosen), f"{MCP_PREFIX}*", *kept)


def is_without(tool: str, without: Collection[str]) -> bool:
    """Return whether a tool is among those that `left_out` has returned."""
    if not tool.startswith(MCP_PREFIX):
        return tool in without
    is_kept = any(names_tool(entry[1:], tool) for entry in without if entry.startswith("+"))
    return not is_kept and any(names_tool(entry, tool) for entry in without)
