"""The MCP servers of a task: which tools they offer, and their calls.

What a server offers is known from the host, which was told by an earlier task: so a server is started when one of its
tools is called, and nobody waits for it before. One that nobody has asked yet is started with the task. A server that
is not there, dies, hangs or talks nonsense makes its calls errors that the model reads, and nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from agents.host_link import HostLink
from agents.interrupt import Interrupt
from agents.mcp.cards import RESOURCES, Offered, build_offer, plain, read_tools
from agents.mcp.client import LIST_S, Client, ServerRefused
from agents.mcp.content import list_resources, read_resource, read_result
from agents.mcp.stdio import Stdio
from agents.mcp.transport import ServerFailed, Transport
from agents.places import Places
from agents.providers.provider import ToolCard
from agents.tools.tool import Arguments, Looked, ToolContext, ToolError, object_schema, text_argument
from protocol.codec import to_json
from protocol.link import Ask, McpServer, McpTool, Progress
from protocol.record import replace
from protocol.tools import is_without

FIRST_LISTS_S = 20.0
"""How long a task's first question waits for servers that nobody has asked yet, all of them together."""
PROGRESS_EVERY_S = 1.0
_PROGRESS_CHARS = 120


class McpServers:
    """Those of one task; used by one thread at a time."""

    def __init__(
        self,
        servers: Sequence[McpServer],
        *,
        places: Places,
        link: HostLink,
        interrupt: Interrupt,
        without: Collection[str] = (),
        sees: bool = False,
        first_lists_s: float = FIRST_LISTS_S,
    ) -> None:
        """`without`: names that the group's settings leave out; `sees`: whether the model looks at images."""
        self._link = link
        self._without = without
        self._sees = sees
        self._first_lists_s = first_lists_s
        self._known: dict[str, Sequence[McpTool]] = {each.name: each.tools or () for each in servers}
        self._unasked = [each.name for each in servers if each.tools is None]
        self._servers = {each.name: each for each in servers}
        self._clients = {each.name: Client(_transport(each, places, interrupt)) for each in servers}
        self._problems: dict[str, str] = {}
        self._tools: dict[str, _ServerTool] = {}
        self._left_out: tuple[str, ...] = ()
        self._build()

    def tools(self) -> Mapping[str, _ServerTool]:
        """Return what is offered now, by name; asks servers that nobody has asked yet. Raises Interrupted, HostGone."""
        unasked, self._unasked = self._unasked, []
        deadline = time.monotonic() + self._first_lists_s
        for name in unasked:
            self._link.say(Progress(kind="note", text=f"Asking the MCP server {name} what it can do"))
            try:
                self._clients[name].begin(deadline - time.monotonic())
                self._learn(name, deadline - time.monotonic())
            except ServerFailed as error:
                self._problems[name] = f"The MCP server {name} is not there now: it {plain(str(error), 500)}"
        return self._tools

    def notes(self) -> str:
        """Return what the model is to know besides the tools, empty for nothing."""
        return "\n".join((*self._problems.values(), *(f"{words}." for words in self._left_out)))

    def call(self, offered: Offered, arguments: Arguments, context: ToolContext) -> str | Looked:
        """Call a tool; raise ToolError, Interrupted."""
        name, client = offered.server, self._clients[offered.server]
        is_new = not client.is_open
        try:
            client.listen()
            output = self._call(client, offered, arguments, context)
        except ServerRefused as error:
            raise ToolError(f"the MCP server {name} refused the call: {plain(str(error), 2_000)}") from error
        except ServerFailed as error:
            raise ToolError(f"the MCP server {name} {plain(str(error), 3_000)}") from error
        finally:
            self._follow(name, is_new=is_new)
        return output

    def _call(self, client: Client, offered: Offered, arguments: Arguments, context: ToolContext) -> str | Looked:
        timeout_s = self._servers[offered.server].timeout_s
        if offered.tool == RESOURCES:
            uri = text_argument(arguments, "uri", "")
            if uri:
                return read_resource(client.read_resource(uri, timeout_s), context, sees=self._sees)
            client.begin()
            return list_resources(client.resources())
        show = _Show(self._link, offered.card.name)
        return read_result(client.call(offered.tool, arguments, timeout_s, show), context, sees=self._sees)

    def _follow(self, name: str, *, is_new: bool) -> None:
        """Learn a server's tools anew where they may have changed: it was begun just now, or has said so."""
        client = self._clients[name]
        if not client.is_open or not (is_new or client.has_changed):
            return
        try:
            self._learn(name)
        except ServerFailed:
            return  # its call says so, or the next one will

    def _learn(self, name: str, timeout_s: float = LIST_S) -> None:
        client = self._clients[name]
        client.has_changed = False
        tools, left_out = read_tools(client.tools(timeout_s), name)
        if client.has_resources:
            tools = (*tools, _resources(name))
        self._problems.pop(name, None)
        if left_out:
            self._problems[name] = "; ".join(left_out)[:1_000] + "."
        server = self._servers[name]
        if tools != server.tools:
            self._servers[name] = replace(server, tools=tools)
            self._known[name] = tools
            self._build()
            if tools:  # a server with nothing to call would not be started, and so never asked again
                self._tell_host(name, tools)

    def _build(self) -> None:
        offer = build_offer(tuple(self._known.items()), partial(is_without, without=self._without))
        self._tools = {each.card.name: _ServerTool(self, each) for each in offer.tools}
        self._left_out = offer.left_out

    def _tell_host(self, name: str, tools: Sequence[McpTool]) -> None:
        """Have the host keep what a server offers, for the next task. Its answer changes nothing here."""
        import hashlib  # late: lists change seldom

        listed = [to_json(tool) for tool in tools]
        digest = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()[:16]
        payload = {"server": name, "tools": listed}
        self._link.ask(Ask(call_id=f"mcp-tools:{name}:{digest}", kind="mcp_tools", payload=payload))


class _ServerTool:
    """A Tool (`agents/tools/tool.py`)."""

    def __init__(self, servers: McpServers, offered: Offered) -> None:
        self.card: ToolCard = offered.card
        self._servers = servers
        self._offered = offered

    def run(self, arguments: Arguments, context: ToolContext) -> str | Looked:
        return self._servers.call(self._offered, arguments, context)


class _Show:
    """Shows people what a server says of a call that goes on, not oftener than they can read."""

    def __init__(self, link: HostLink, tool: str) -> None:
        self._link = link
        self._tool = tool
        self._shown_at = 0.0

    def __call__(self, words: str) -> None:
        now = time.monotonic()
        shown = " ".join(plain(words, _PROGRESS_CHARS).split())
        if shown and now - self._shown_at >= PROGRESS_EVERY_S:
            self._shown_at = now
            self._link.say(Progress(kind="tool", text=f"{self._tool}: {shown}", tool=self._tool))


def _transport(server: McpServer, places: Places, interrupt: Interrupt) -> Transport:
    if not server.url:
        return Stdio(server, places, interrupt)
    from agents.mcp.streamable import Streamable  # late: most servers are commands

    return Streamable(server, places, interrupt)


def _resources(server: str) -> McpTool:
    schema = object_schema({}, {"uri": "string: read this one; none: list them"})
    return McpTool(name=RESOURCES, description=f"Read what the MCP server {server} has to read.", schema=schema)
