"""The files that Codex is started with: its configuration, our instructions, the way to its own memory. Pure.

Its own home (CODEX_HOME) is fresh in every container: settings, hooks and instructions that an earlier task may leave
there would be the next one's, and two of a group's tasks at once have each their own. Only what has to last leads into
HOME: the sessions, the databases. Keys as of Codex 0.169; `--strict-config` refuses one that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from agents.harness.frame import Brief, Launch, model_address
from agents.mcp.session import SERVER_NAME
from agents.places import Places
from protocol.link import McpServer

PROGRAM = "/usr/local/bin/codex"
PROVIDER = "nightyard"
APPROVALS = "untrusted"
"""Every call is asked about, and answered by us: so that it is stored before it runs, and constraints hold. Said
with each session: as a setting Codex does not take it any more."""
SANDBOX = "danger-full-access"
"""The container is the sandbox."""
_HOME = "/tmp/codex"
KEPT = "home/agent/.codex"
"""Below the root: what lasts from task to task."""
MAX_INSTRUCTIONS_BYTES = 1 << 20
"""Codex reads 32 KiB of an AGENTS.md by itself."""
TOOL_TIMEOUT_S = 86_400
"""Some of our tools wait for a person."""

_OFF = (
    # What calls its maker, or another, at a start or beside a task.
    "apps",
    "plugins",
    "remote_plugin",
    "plugin_sharing",
    "tool_suggest",
    "skill_search",
    # What needs a person at a screen, or an account.
    "browser_use",
    "computer_use",
    "in_app_browser",
    "image_generation",
    # Commands out of the workspace's files, which an earlier task may have written.
    "hooks",
    "goals",
    # The proxy reads requests to count them.
    "enable_request_compression",
    # Without an end is how it would wait for a service that is away.
    "unbounded_connection_retries",
)


def build_launch(brief: Brief, places: Places, own_server: McpServer) -> Launch:
    """Return how a Codex is started for a brief."""
    folder = f"{places.root}{_HOME}"
    kept = f"{places.root}/{KEPT}"
    return Launch(
        command=(f"{places.root}{PROGRAM}", "app-server", "--strict-config"),
        environment={"CODEX_HOME": folder, "RUST_LOG": "error", "RUST_BACKTRACE": "0"},
        files={
            f"{folder}/config.toml": build_config(brief, places, own_server),
            f"{folder}/AGENTS.md": brief.instructions,
            f"{kept}/sessions/.keep": "",
        },
        links={f"{folder}/sessions": f"{kept}/sessions"},
        # The last is a folder that it would take skills from which the group does not list.
        gone=(folder, f"{places.root}/home/agent/.agents/skills"),
    )


def build_config(brief: Brief, places: Places, own_server: McpServer) -> str:
    """Return config.toml."""
    model = brief.model
    top: dict[str, object] = {
        "model": model.model,
        "model_provider": PROVIDER,
        "model_context_window": model.context_tokens,
        "model_reasoning_summary": "none" if model.thinks == "never" else "auto",
        "sandbox_mode": SANDBOX,
        "check_for_update_on_startup": False,
        "web_search": "disabled",
        "cli_auth_credentials_store": "file",
        "project_doc_max_bytes": MAX_INSTRUCTIONS_BYTES,
        "sqlite_home": f"{places.root}/{KEPT}",
    }
    if model.effort:
        top["model_reasoning_effort"] = model.effort
    features = dict.fromkeys(_OFF, False)
    if "shell" in brief.without:
        features["shell_tool"] = False
    if "view_image" in brief.without or "image" not in model.sees:
        features["view_image"] = False
    tables: dict[str, Mapping[str, object]] = {
        "history": {"persistence": "none"},
        "analytics": {"enabled": False},
        "feedback": {"enabled": False},
        "agents": {"enabled": False},
        "features": features,
        "skills.bundled": {"enabled": False},
        # Its commands see what a tool sees in this container: there are only placeholders for keys in here.
        "shell_environment_policy": {"inherit": "all", "ignore_default_excludes": True},
        f"model_providers.{PROVIDER}": {
            "name": PROVIDER,
            "base_url": f"{model_address(places.forwarder_port, model)}/v1",
            "wire_api": "responses",
            "supports_websockets": False,
            # Twice inside each of the others.
            "request_max_retries": 2,
            "stream_max_retries": 4,
        },
    }
    for server in (own_server, *brief.servers):
        name, table = server_table(server, brief.variables)
        tables[f"mcp_servers.{name}"] = table
    return "\n".join([*_pairs(top), *(line for name, table in tables.items() for line in _table(name, table)), ""])


def server_table(server: McpServer, variables: Sequence[str]) -> tuple[str, Mapping[str, object]]:
    """Return how Codex names an MCP server, and what it is told of it. `variables`: those of the container, of which it
    would pass on a handful, and neither the proxy's nor the placeholders for keys."""
    # Ours look after themselves; a call of another one's is asked about like every call.
    mode = "approve" if server.name == SERVER_NAME else "prompt"
    common = {"default_tools_approval_mode": mode, "tool_timeout_sec": TOOL_TIMEOUT_S, "startup_timeout_sec": 30}
    if server.url:
        return server.name, {"url": server.url, "http_headers": dict(server.headers), **common}
    passed_on = [name for name in variables if name not in server.env]
    command = {"command": server.command, "args": list(server.args), "env": dict(server.env), "env_vars": passed_on}
    return server.name, {**command, **common}


def _table(name: str, table: Mapping[str, object]) -> Iterator[str]:
    yield f"[{name}]"
    yield from _pairs(table)


def _pairs(table: Mapping[str, object]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{key} = {_toml(value)}"


def _toml(value: object) -> str:
    """Return a value as TOML writes it: its strings are JSON's."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
