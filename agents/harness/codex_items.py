"""What Codex does, its `items`, as calls and outputs under our tools' names. Pure."""

from __future__ import annotations

import re
import shlex

from agents.harness.fit import fit_call, fit_output
from agents.mcp.session import SERVER_NAME
from agents.providers.shape import JsonObject, object_at, objects_at, text_at
from protocol.transcript import ToolCall, ToolOutput

_SHELL = re.compile(r"(?s)(?:/\S*/)?(?:ba)?sh -l?c (.*)")


def call_of(item: JsonObject) -> ToolCall | None:
    """Return the call that an item is, None for one that is no tool's."""
    call_id = text_at(item, "id")
    match text_at(item, "type"):
        case "commandExecution":
            return fit_call(call_id, "shell", {"command": command_of(text_at(item, "command"))})
        case "fileChange":
            return fit_call(call_id, "apply_patch", {"input": _changes(item)})
        case "mcpToolCall":
            name = f"mcp__{text_at(item, 'server')}__{text_at(item, 'tool')}"
            return fit_call(call_id, name, item.get("arguments"))
        case "imageView":
            return fit_call(call_id, "view_image", {"path": text_at(item, "path")})
        case "dynamicToolCall" | "collabAgentToolCall" | "imageGeneration" | "sleep" | "webSearch" as kind:
            return fit_call(call_id, text_at(item, "tool") or str(kind), {})
    return None


def is_ours(call: ToolCall) -> bool:
    """Return whether a call is of one of our own tools, which are announced where they run."""
    return call.name.startswith(f"mcp__{SERVER_NAME}__")


def waits(item: JsonObject) -> bool:
    """Return whether Codex asks before it lets such an item run."""
    return text_at(item, "type") in ("commandExecution", "fileChange", "mcpToolCall")


def output_of(item: JsonObject) -> ToolOutput:
    """Return what an ended item gave."""
    status = text_at(item, "status")
    is_error = status in ("failed", "declined")
    text = "refused" if status == "declined" else status
    match text_at(item, "type"):
        case "commandExecution" if status != "declined":
            text, code = text_at(item, "aggregatedOutput"), item.get("exitCode")
            text = f"{text}\n[exit code {code}]".lstrip() if code not in (0, None) else text
        case "mcpToolCall":
            error = text_at(object_at(item, "error"), "message")
            parts = objects_at(object_at(item, "result"), "content")
            text = error or "\n".join(text_at(part, "text") or f"[{text_at(part, 'type')}]" for part in parts)
    return fit_output(text_at(item, "id"), text, is_error=is_error)


def command_of(line: str) -> str:
    """Return the command that a model wrote, out of the shell's that Codex runs it with."""
    match = _SHELL.fullmatch(line)
    if match is None:
        return line
    try:
        words = shlex.split(match.group(1))
    except ValueError:
        return line
    return words[0] if len(words) == 1 else match.group(1)


def _changes(item: JsonObject) -> str:
    changes = []
    for change in objects_at(item, "changes"):
        kind = text_at(object_at(change, "kind"), "type") or "update"
        changes.append(f"*** {kind.capitalize()} File: {text_at(change, 'path')}\n{text_at(change, 'diff')}")
    return "\n".join(changes)
