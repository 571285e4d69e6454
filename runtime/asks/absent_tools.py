"""Which tools an agent has not: those that its group's settings leave out, and those that can do nothing for its task.

Pure. The agent is told, and the host holds it to that (`tool_sets.py`, `approvals/tool_gate.py`).
"""

from __future__ import annotations

from collections.abc import Collection

from protocol.ids import ChatKey
from protocol.tools import BROWSER_TOOLS

CHANGES = ("edit_message", "react")


def absent_tools(
    left_out: Collection[str],
    *,
    chat: ChatKey | None,
    has_destinations: bool,
    has_grants: bool,
    has_browser: bool,
    can: Collection[str],
) -> tuple[str, ...]:
    """Return the tools that a task's agent does not have. `has_grants`: whether there is any way out but to models;
    `has_browser`: whether its image holds one; `can`: which of CHANGES the platform of its chat knows."""
    absent = set(left_out)
    if not has_grants:
        absent.add("web_fetch")
    if not has_browser or "browser_open" in absent:
        absent.update(BROWSER_TOOLS)
    if chat is None:
        absent.add("ask_user")
    if chat is None and not has_destinations:
        absent |= {"send_message", *CHANGES}
    if not has_destinations:
        absent |= {tool for tool in CHANGES if tool not in can}
    return tuple(sorted(absent))
