"""`mcp` in group.yaml: the MCP servers that a group's agents may use, once somebody has said yes to each. Pure.

A server is a command in the container, or an address that the proxy reaches. Keys do not stand here: a command finds
placeholders in its environment, and at an address the proxy adds what is granted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from protocol.codec import Json
from protocol.ids import GroupId
from protocol.link import McpServer
from protocol.mcp import SERVER_URL
from runtime.approvals.askers import MAX_ARGUMENTS, MAX_WORD_CHARS, mcp_question
from runtime.approvals.records import NewApproval
from runtime.yaml_record import key

MAX_SHOWN_CHARS = 80
MAX_SERVERS = 16
"""Of a group."""
OURS = "nightyard"
"""The name under which harnesses have our own tools."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?")
WORDS = re.compile(r"[^\s/]+(?: +[^\s]+)+")
"""A program with its arguments, as a shell would take it; a path may hold a space."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_RESERVED = frozenset(
    ("host", "connection", "content-length", "content-type", "transfer-encoding", "accept", "mcp-session-id",
     "mcp-protocol-version", "last-event-id", "proxy-authorization", "expect", "te", "trailer", "upgrade")
)  # fmt: skip
_KEYS = frozenset(("authorization", "cookie", "x-api-key", "api-key"))
_SECRET = re.compile(
    r"\b(?:sk-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|AKIA[0-9A-Z]{12,}"
    r"|AIza[\w-]{20,}|hf_\w{16,}|npm_\w{20,}|Bearer\s+\S{8,})|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_KEEP_OUT = "store it with ./nightyard secret add and grant it: the proxy puts it into requests, and tools find a "
_KEEP_OUT += "placeholder in its variable by themselves"


def check_server_name(name: str) -> str | None:
    if name == OURS:
        return f"is a name that agents have our own tools under: choose another than {OURS}"
    return None if _NAME.fullmatch(name) else "should be 1-24 of a-z, 0-9 and inner hyphens"


def _check_variable(name: str) -> str | None:
    return None if _VARIABLE.fullmatch(name) else "should be a variable's name: letters, digits and _"


def _check_header(name: str) -> str | None:
    if name.lower() in _RESERVED:
        return "is a header that the connection itself needs"
    if name.lower() in _KEYS:
        return f"would hold a key: {_KEEP_OUT}"
    return None if _HEADER.fullmatch(name) else "should be a header's name: letters, digits and hyphens"


def _check_word(word: str) -> str | None:
    if not 0 < len(word) <= MAX_WORD_CHARS or not word.isprintable():
        return f"should be 1 to {MAX_WORD_CHARS} characters, none of which hides"
    return f"looks like a key, and settings hold none: {_KEEP_OUT}" if _SECRET.search(word) else None


def _check_url(url: str) -> str | None:
    if len(url) <= MAX_WORD_CHARS and SERVER_URL.fullmatch(url):
        return _check_word(url)
    return f"should be an address that begins with https:// or http://, but it is {url[:60]!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class McpSettings:
    """One server."""

    command: str = key("", check=_check_word)
    """A program in the container."""
    args: tuple[str, ...] = key((), check=_check_word)
    env: Mapping[str, str] = field(default_factory=dict, metadata={"check": _check_variable})
    """Variables for it, besides those of the container; no keys."""
    url: str = key("", check=_check_url)
    """In place of a command: where it is, for streamable HTTP."""
    headers: Mapping[str, str] = field(default_factory=dict, metadata={"check": _check_header})
    """Of each request to `url`; no keys."""
    timeout_s: int = key(120, least=1, most=1500)
    """How long one call may take."""


def server_problems(servers: Mapping[str, McpSettings]) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong) beyond the shape of single keys."""
    if len(servers) > MAX_SERVERS:
        yield "mcp", f"has {len(servers)} servers, the most is {MAX_SERVERS}"
    for name, server in servers.items():
        path = f"mcp.{name}"
        if bool(server.command) == bool(server.url):
            has = "both" if server.url else "neither, or one that is wrong"
            yield path, f"should have either a `command` or a `url`, but it has {has}"
        if WORDS.fullmatch(server.command):
            program, *more = server.command[:MAX_SHOWN_CHARS].split()
            yield f"{path}.command", f"should be a program alone: `command: {program}`, `args: [{', '.join(more)}]`"
        if server.url and (server.args or server.env):
            yield path, "has a `url`: `args` and `env` go with a `command`"
        if server.command and server.headers:
            yield f"{path}.headers", "goes with a `url`"
        for count, what in ((len(server.args), "args"), (len(server.env), "env"), (len(server.headers), "headers")):
            if count > MAX_ARGUMENTS:
                yield f"{path}.{what}", f"has {count} items, the most is {MAX_ARGUMENTS}"
        for what, values in (("env", server.env), ("headers", server.headers)):
            for variable, value in values.items():
                if value and (wrong := _check_word(value)):
                    yield f"{path}.{what}.{variable}", wrong


def build_servers(servers: Mapping[str, McpSettings]) -> tuple[McpServer, ...]:
    """Return servers in whose settings nothing is wrong."""
    return tuple(
        McpServer(
            name=name,
            command=each.command,
            args=each.args,
            env=dict(each.env),
            url=each.url,
            headers=dict(each.headers),
            timeout_s=float(each.timeout_s),
        )
        for name, each in servers.items()
    )


def build_question(group_id: GroupId, server: McpServer) -> NewApproval:
    """Return what is asked before the first start: another command, argument, variable's name or address is another
    question."""
    return mcp_question(
        group_id,
        server.name,
        command=server.command,
        arguments=server.args,
        environment=(*server.env, *server.headers),
        url=server.url,
    )


def definition_of(group_id: GroupId, server: McpServer) -> Json:
    """Return exactly what a yes is for."""
    return build_question(group_id, server).payload
