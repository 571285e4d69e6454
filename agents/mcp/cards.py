"""From what MCP servers say of their tools to what a model is shown: names made fit, sizes held. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence

from agents.mcp.rpc import Message, text_at
from agents.mcp.shape import NoSchema, checked_schema
from agents.providers.provider import ToolCard
from protocol.link import McpTool
from protocol.record import Record

MAX_TOOLS = 64
"""Of a group: more confuse a model, and each card is paid with every question."""
MAX_CARDS_CHARS = 60_000
"""Of all of them together: some 15,000 tokens."""
MAX_DESCRIPTION_CHARS = 1_500
MAX_SERVER_CHARS = 200_000
"""What is kept of one server's list."""
MAX_NAME_CHARS = 64
RESOURCES = ":resources"
"""Our own tool for what a server has to read, among its own."""
_NOT_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Offered(Record):
    """One tool as the model is shown it."""

    card: ToolCard
    server: str
    tool: str
    """As its server calls it."""


class Offer(Record):
    tools: tuple[Offered, ...]
    left_out: tuple[str, ...]
    """Sentences on what is not offered, for whom it concerns."""


def read_tools(found: Iterable[Message], server: str) -> tuple[tuple[McpTool, ...], tuple[str, ...]]:
    """Return a server's tools that a model can be shown, and why others are not."""
    tools: dict[str, McpTool] = {}
    left_out, chars = [], 0
    for each in found:
        name = text_at(each, "name")
        if not name or len(name) > 200 or name in tools or name == RESOURCES:
            left_out.append(f"a tool of {server} has no name of its own")
            continue
        try:
            schema = checked_schema(each.get("inputSchema"))
        except NoSchema as error:
            left_out.append(f"{server}'s tool {plain(name, 60)} is left out: {error}")
            continue
        words = text_at(each, "description") or text_at(each, "title")
        tool = McpTool(name=name, description=plain(words, MAX_DESCRIPTION_CHARS), schema=schema)
        chars += _chars(tool)
        if chars > MAX_SERVER_CHARS:
            left_out.append(f"{server} has more tools than are looked at")
            break
        tools[name] = tool
    return tuple(tools.values()), tuple(dict.fromkeys(left_out))


def build_offer(servers: Sequence[tuple[str, Sequence[McpTool]]], is_left_out: Callable[[str], bool]) -> Offer:
    """Return what a model is shown of all servers; `is_left_out`: which names the group's settings leave out."""
    offered: dict[str, Offered] = {}
    left_out: dict[str, int] = {}
    chars = 0
    for server, tools in servers:
        for tool in tools:
            name = _free_name(server, tool.name, offered)
            if is_left_out(name):
                continue
            chars += _chars(tool)
            if len(offered) >= MAX_TOOLS or chars > MAX_CARDS_CHARS:
                left_out[server] = left_out.get(server, 0) + 1
                continue
            schema = tool.schema if isinstance(tool.schema, dict) else {}
            card = ToolCard(name=name, description=tool.description or plain(tool.name, 60), schema=schema)
            offered[name] = Offered(card=card, server=server, tool=tool.name)
    told = [
        f"{count} tools of {server} are left out: all tools of MCP servers together are at most {MAX_TOOLS}, and "
        f"{MAX_CARDS_CHARS} characters"
        for server, count in left_out.items()
    ]
    return Offer(tools=tuple(offered.values()), left_out=tuple(told))


def plain(words: str, most: int) -> str:
    """Return a stranger's words without what steers a terminal, cut."""
    return "".join(mark if mark.isprintable() or mark == "\n" else " " for mark in words[: most * 2]).strip()[:most]


def _free_name(server: str, tool: str, taken: dict[str, Offered]) -> str:
    """Return the name for the model: what is too long, or would be another's, ends with a number."""
    name = f"mcp__{server}__{_NOT_NAME.sub('_', tool).strip('_') or 'tool'}"[:MAX_NAME_CHARS]
    base, number = name[: MAX_NAME_CHARS - 4], 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


def _chars(tool: McpTool) -> int:
    return len(tool.name) + len(tool.description) + len(json.dumps(tool.schema))
