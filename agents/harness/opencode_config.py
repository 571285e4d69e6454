"""What OpenCode is started with: its configuration, in the environment, and how it is kept quiet. Pure.

Nothing of it is a file: what lies in HOME or in the workspace is not read for settings, so that an earlier task cannot
leave any. Keys as of OpenCode 1.18.
"""

from __future__ import annotations

import json

from agents.harness.frame import Brief, Launch, model_address
from agents.mcp.session import SERVER_NAME
from agents.places import Places
from protocol.link import McpServer
from protocol.task import ModelRoute

COMMAND = ("/usr/bin/python3", "-I", "-S", "/opt/agent", "opencode")
PROVIDER = "nightyard"
_NO_KEY = "added-by-the-proxy"
_SETTINGS = "home/agent/.config/opencode"
_PACKAGES = {"anthropic": "@ai-sdk/anthropic", "openai": "@ai-sdk/openai-compatible", "responses": "@ai-sdk/openai"}
"""Those that speak each API; they are inside the program."""
TOOLS = {
    "bash": "shell",
    "read": "read_file",
    "write": "write_file",
    "edit": "edit_file",
    "glob": "glob",
    "grep": "grep",
    "apply_patch": "apply_patch",
    "skill": "skill",
}
"""Its tools that are ours by another name."""
_TOOL_TIMEOUT_MS = 86_400_000
"""Some of our tools wait for a person."""
QUIET = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    # Settings, instructions and skills of the workspace's and of another program's: what tools write there.
    "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
    "OPENCODE_DISABLE_EMBEDDED_WEB_UI": "1",
    "OPENCODE_DISABLE_TERMINAL_TITLE": "1",
}


def build_launch(brief: Brief, places: Places, own_server: McpServer) -> Launch:
    """Return how an OpenCode server is started for a brief."""
    settings = f"{places.root}/{_SETTINGS}"
    return Launch(
        command=COMMAND,
        environment={**QUIET, "OPENCODE_CONFIG_CONTENT": json.dumps(build_config(brief, places, own_server))},
        # It would fetch the library for writing plugins into this folder; so it takes it for fetched.
        files={
            f"{settings}/package-lock.json": json.dumps(
                {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}
            ),
            f"{settings}/node_modules/.keep": "",
        },
        gone=(settings, f"{places.root}/home/agent/.opencode"),
    )


def build_config(brief: Brief, places: Places, own_server: McpServer) -> dict[str, object]:
    """Return the configuration."""
    model = f"{PROVIDER}/{brief.model.model}"
    return {
        "model": model,
        "small_model": model,
        "enabled_providers": [PROVIDER],
        "provider": {PROVIDER: _provider(brief.model, places.forwarder_port)},
        "autoupdate": False,
        "share": "disabled",
        # Undo by git commits of its own, of files that may not be the agent's to commit.
        "snapshot": False,
        "lsp": False,
        "formatter": False,
        # A second model call for a name that nobody reads.
        "agent": {"title": {"disable": True}},
        "skills": {"paths": [places.skills]},
        "permission": _permissions(brief),
        # A call that is refused is the model's to live with; the turn goes on.
        "experimental": {"continue_loop_on_deny": True},
        "mcp": {server.name: _server(server) for server in (own_server, *brief.servers)},
    }


def _permissions(brief: Brief) -> dict[str, str]:
    """Every call is asked about, and answered by us: so that it is stored before it runs, and constraints hold."""
    return {
        "*": "ask",
        # Asked beside the call's own question.
        "external_directory": "allow",
        "doom_loop": "allow",
        "todowrite": "allow",
        # Announced where they run.
        f"{SERVER_NAME}_*": "allow",
        # People are asked by `ask_user`; the web is ours to open: read by grants, marked as a stranger's.
        "question": "deny",
        "webfetch": "deny",
        "websearch": "deny",
        # What its sub-agents say and do would be nobody's.
        "task": "deny",
        **{theirs: "deny" for theirs, ours in TOOLS.items() if ours in brief.without},
        # One permission stands for all ways to change a file.
        **({"edit": "deny"} if {"write_file", "edit_file"} & {*brief.without} else {}),
    }


def _provider(model: ModelRoute, forwarder_port: int) -> dict[str, object]:
    sees = [*(kind for kind in model.sees if kind in ("image", "pdf"))]
    options = {"reasoningEffort": model.effort} if model.effort else {}
    return {
        "npm": _PACKAGES[model.api],
        "name": PROVIDER,
        "options": {"baseURL": f"{model_address(forwarder_port, model)}/v1", "apiKey": _NO_KEY},
        "models": {
            model.model: {
                "name": model.model,
                "tool_call": True,
                "reasoning": model.thinks != "never",
                "attachment": bool(sees),
                "modalities": {"input": ["text", *sees], "output": ["text"]},
                "limit": {"context": model.context_tokens, "output": model.max_output_tokens},
                "options": options,
            }
        },
    }


def _server(server: McpServer) -> dict[str, object]:
    common: dict[str, object] = {"enabled": True, "timeout": _TOOL_TIMEOUT_MS}
    if server.url:
        return {"type": "remote", "url": server.url, "headers": dict(server.headers), "oauth": False, **common}
    command = [server.command, *server.args]
    return {"type": "local", "command": command, "environment": dict(server.env), **common}
