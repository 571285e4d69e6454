"""Claude Code as a harness: how its command is started, what it is given, and what it asks of its starter. Pure.

It runs as `claude -p` with JSON lines both ways and the control requests of its own SDK: `initialize` with hooks, of
which one asks before each tool, `interrupt`, `side_question`. What its lines about the conversation mean is in
`claude_reader.py`. Facts are of version 2.1; what it calls at its start is kept quiet by `_QUIET`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from agents.harness.claude_reader import OWN, Object, Reader, at, text_at, tools_to_have
from agents.harness.frame import Awaits, Brief, Event, Launch, Prompt, Ready, Write, model_address
from agents.places import Places
from agents.providers.failure import Failure, plain
from protocol.link import McpServer, SteerMessage

PROGRAM = "/usr/local/bin/claude"
_CONFIG = "/tmp/claude-code"
"""Fresh in every container, since settings, hooks and commands that a tool may leave there would be the next task's
instructions. Only the sessions lead into HOME."""
_SESSIONS = "/home/agent/.claude/projects"
_TOOL_HOOK, _PROMPT_HOOK, _OUTPUT_HOOK = "tool", "prompt", "output"
_START, _QUESTION, _STOP = "start", "question", "stop"
_WARM = "[a first run of what every turn does; nobody said this]"
_PATIENCE_S = 3_600
"""For a hook and for a call of ours: a person may be asked, and how long that may take is the host's business."""
_MAX_RETRIES, _MAX_RETRIES_BEFORE_THE_NEXT = 6, 4
"""Half a minute of waiting in all, ten seconds where another model can be asked; its own ten would be five minutes."""

_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_GROWTHBOOK": "1",
    "CLAUDE_CODE_DISABLE_FEATURE_FLAGS": "1",
    "CLAUDE_CODE_DISABLE_TERMINAL_TITLE": "1",
    # One container, one task: what would go on after the answer would be ended with it.
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_DISABLE_CRON": "1",
    "CLAUDE_CODE_DISABLE_WORKFLOWS": "1",
    "CLAUDE_CODE_DISABLE_AGENT_VIEW": "1",
    # Memory, instructions and undo are ours.
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",
    "CLAUDE_CODE_DISABLE_FILE_CHECKPOINTING": "1",
    "CLAUDE_CODE_DISABLE_BUNDLED_SKILLS": "1",
    "ENABLE_TOOL_SEARCH": "0",
    # A container may be killed at any moment: what is in the session is on disk at once.
    "CLAUDE_CODE_EAGER_FLUSH": "1",
    "MCP_TIMEOUT": "30000",
    "MCP_TOOL_TIMEOUT": str(_PATIENCE_S * 1000),
    # It refuses to go without asking for permissions as root, unless it is told that it sits in a sandbox.
    "IS_SANDBOX": "1",
}
_LEAN = {
    # Its engine (Bun's JavaScriptCore) compiles no JavaScript, and collects garbage each 32 MB. Measured with 2.1.330
    # and forty calls of a tool: 199 MB where it held 243, 14 MB less while it waits, and a fifth less CPU. Without any
    # compiler (useJIT=0) another 5 MB go, and its start takes half as long again.
    "BUN_JSC_useBaselineJIT": "0",
    "BUN_JSC_gcMaxHeapSize": "32000000",
}
_SETTINGS = {"attribution": {"commit": "", "pr": ""}, "cleanupPeriodDays": 3650}
"""No line about itself in people's commits; and the sessions are the host's to forget, not its."""


_HOOKS: Object = {
    "PreToolUse": [{"hookCallbackIds": [_TOOL_HOOK], "timeout": _PATIENCE_S}],
    "PostToolUse": [{"matcher": "Bash", "hookCallbackIds": [_OUTPUT_HOOK]}],
    "PostToolUseFailure": [{"matcher": "Bash", "hookCallbackIds": [_OUTPUT_HOOK]}],
}


class ClaudeCode:
    """One started `claude`."""

    def __init__(self) -> None:
        self._reader = Reader()
        self._is_warming = False

    def launch(self, brief: Brief, places: Places, own_server: McpServer, new_session: str) -> Launch:
        self._reader.begin_on(brief.model)
        model, config = brief.model, f"{places.root}{_CONFIG}"
        servers = {server.name: _server(server) for server in (*brief.servers, own_server)}
        session = ("--resume", brief.session) if brief.session else ("--session-id", new_session)
        command = (
            f"{places.root}{PROGRAM}",
            *("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
            *("--include-partial-messages", "--replay-user-messages", "--dangerously-skip-permissions"),
            *("--setting-sources", "user", "--settings", f"{config}/settings.json"),
            *("--strict-mcp-config", "--mcp-config", f"{config}/servers.json"),
            *("--append-system-prompt-file", f"{config}/instructions.md"),
            *("--tools", ",".join(tools_to_have(brief.without))),
            *session,
        )
        environment = {
            **_QUIET,
            **_LEAN,
            "CLAUDE_CONFIG_DIR": config,
            "ANTHROPIC_BASE_URL": model_address(places.forwarder_port, model),
            # One model for all that it asks, small questions too: the route names one.
            **dict.fromkeys(_MODEL_VARIABLES, model.model),
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(model.max_output_tokens),
            "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(model.context_tokens),
            "CLAUDE_CODE_MAX_RETRIES": str(_MAX_RETRIES if brief.is_last_model else _MAX_RETRIES_BEFORE_THE_NEXT),
        }
        if model.effort:
            environment["CLAUDE_CODE_EFFORT_LEVEL"] = model.effort
        files = {
            f"{config}/settings.json": json.dumps(_SETTINGS),
            f"{config}/servers.json": json.dumps({"mcpServers": servers}),
            f"{config}/instructions.md": brief.instructions,
        }
        links = {f"{config}/skills/{card.name}": f"{places.skills}/{card.name}" for card in brief.skills}
        sessions = f"{places.root}{_SESSIONS}"
        links[f"{config}/projects"] = sessions
        return Launch(
            command=command, environment=environment, files=files, links=links, folders=(sessions,), gone=(config,)
        )

    def opening(self) -> bytes:
        return _initialize(_HOOKS)

    def warm_up(self) -> bytes:
        """A question on the side goes through all that makes a request, a prompt that is blocked through all that comes
        before it; neither enters the conversation. Measured: the first request 40 ms after the prompt, and not 130."""
        self._is_warming = True
        question = _control(_QUESTION, {"subtype": "side_question", "question": _WARM})
        return _initialize({**_HOOKS, "UserPromptSubmit": [{"hookCallbackIds": [_PROMPT_HOOK]}]}) + question

    def begin(self, prompt: Prompt) -> bytes:
        files: list[Object] = [
            {
                "type": "document" if media_type == "application/pdf" else "image",
                "source": {"type": "base64", "media_type": media_type, "data": data},
            }
            for media_type, data in prompt.images
        ]
        return _user([*files, {"type": "text", "text": prompt.text}] if files else prompt.text, prompt.message_id)

    def tell(self, message: SteerMessage) -> bytes | None:
        return _user(message.text, self._reader.name_told(message.message_id))

    def answer(self, gate: str, refusal: str) -> bytes:
        decision = {
            "hookEventName": "PreToolUse",
            "permissionDecision": "deny" if refusal else "allow",
            **({"permissionDecisionReason": refusal} if refusal else {}),
        }
        return _response(gate, {"hookSpecificOutput": decision} if refusal else {})

    def comment(self, gate: str, words: str) -> bytes:
        event, _, request_id = gate.partition(" ")
        added: Object = {"hookSpecificOutput": {"hookEventName": event, "additionalContext": words}}
        return _response(request_id, added if words else {})

    def stop(self) -> bytes:
        return _control(_STOP, {"subtype": "interrupt"})

    def take(self, line: bytes) -> Sequence[Event]:
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError("a line that is no object")
        kind = text_at(value, "type")
        if kind == "control_response":
            return tuple(self._responded(text_at(at(value, "response"), "request_id")))
        if kind == "control_request":
            return tuple(self._asked(text_at(value, "request_id"), at(value, "request")))
        if self._is_warming:
            # Once more without the hook that blocks prompts: each costs its starter a round trip.
            self._is_warming = kind != "result"
            return () if self._is_warming else (Write(data=_initialize(_HOOKS)),)
        return tuple(self._reader.take(kind, value))

    def ended(self, exit_code: int, stderr: str) -> Failure:
        said = plain(stderr.strip().splitlines()[-1]) if stderr.strip() else "it said nothing"
        return Failure(code="harness_ended", reason=f"Claude Code ended by itself (exit code {exit_code}): {said}")

    def _responded(self, request_id: str) -> Iterator[Event]:
        if request_id == _START and not self._is_warming:
            yield Ready()
        elif request_id == _QUESTION:
            yield Write(data=_user(_WARM, ""))

    def _asked(self, request_id: str, request: Object) -> Iterator[Event]:
        if text_at(request, "subtype") != "hook_callback":
            error = {"subtype": "error", "request_id": request_id, "error": "not offered here"}
            yield Write(data=_line({"type": "control_response", "response": error}))
            return
        given = at(request, "input")
        if text_at(request, "callback_id") == _PROMPT_HOOK:
            yield Write(data=_response(request_id, {"decision": "block", "reason": "warm"}))
            return
        if text_at(request, "callback_id") == _OUTPUT_HOOK:
            yield Awaits(gate=f"{text_at(given, 'hook_event_name')} {request_id}")
            return
        call_id, name = text_at(given, "tool_use_id"), text_at(given, "tool_name")
        if name.startswith(OWN):  # announced where it runs
            yield from self._reader.before_own_tool(call_id)
            yield Write(data=_response(request_id, {}))
            return
        yield from self._reader.before_tool(call_id, name, given.get("tool_input"), request_id)


_MODEL_VARIABLES = (
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
)


def _server(server: McpServer) -> Object:
    if server.url:
        return {"type": "http", "url": server.url, "headers": dict(server.headers)}
    return {"type": "stdio", "command": server.command, "args": list(server.args), "env": dict(server.env)}


def _user(content: object, message_id: str) -> bytes:
    message = {"role": "user", "content": content}
    value: Object = {"type": "user", "message": message, "parent_tool_use_id": None, "session_id": ""}
    return _line({**value, "uuid": message_id} if message_id else value)


def _initialize(hooks: Object) -> bytes:
    return _control(_START, {"subtype": "initialize", "hooks": hooks})


def _control(request_id: str, request: Object) -> bytes:
    return _line({"type": "control_request", "request_id": request_id, "request": request})


def _response(request_id: str, response: Object) -> bytes:
    inner = {"subtype": "success", "request_id": request_id, "response": response}
    return _line({"type": "control_response", "response": inner})


def _line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
