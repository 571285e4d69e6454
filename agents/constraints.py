"""Calls that a constraint names: asked about before they are made, or never made.

The host checks what an agent announces; this is where the asking begins. Where a person takes long, a no comes as the
call's output to a later attempt, and after a yes that attempt makes the very call (`Assignment.approved`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from agents.host_link import HostLink
from agents.places import Places
from agents.tools.opened_file import opened_for_reading
from agents.tools.tool import ToolError
from protocol.codec import Json
from protocol.link import Ask, approval_id
from protocol.tool_rules import ToolRule, find_rule
from protocol.transcript import ToolCall, ToolOutput

APPROVED = "approved"
"""What the answer begins with that lets a call through."""
_PATIENCE_S = 30 * 86_400.0
"""The constraint's own deadline is the host's business."""
_PIECE_BYTES = 256 << 10
_NEVER = "A constraint of your owner's rules this call out. It was not made; do not try it in another way."


def refusal_of(call: ToolCall, rules: Sequence[ToolRule], link: HostLink, places: Places) -> ToolOutput | None:
    """Return the output that stands in the call's place, None where it may be made; raise Interrupted, HostGone. May
    take as long as a person does."""
    rule = find_rule(rules, call.name, call.arguments)
    if rule is None:
        return None
    if rule.then == "deny":
        return ToolOutput(call_id=call.call_id, text=_NEVER, is_error=True)
    payload: dict[str, Json] = {"tool": call.name, "arguments": call.arguments}
    arguments = call.arguments if isinstance(call.arguments, dict) else {}
    if call.name == "send_file":
        from agents.tools.send_file import MAX_FILES as MOST_SENT  # late: few calls are asked about

        paths = arguments.get("paths", [arguments.get("path")])
        found = [_file_at(path, places) for path in paths[:MOST_SENT]] if isinstance(paths, list) else []
        payload |= {"files": [*found]} if len(found) > 1 else {"file": found[0]} if found and found[0] else {}
    elif call.name == "delegate" and isinstance(paths := arguments.get("files"), list) and paths:
        from agents.tools.delegate import MAX_FILES  # late: few agents have it

        payload["files"] = [_file_at(path, places) for path in paths[:MAX_FILES]]
    question = Ask(call_id=approval_id(call.call_id), kind="approval", timeout_s=_PATIENCE_S, payload=payload)
    answered = link.ask(question)
    if not answered.is_error and answered.answer.startswith(APPROVED):
        return None
    return ToolOutput(call_id=call.call_id, text=answered.answer, is_error=True)


def _file_at(path: Json, places: Places) -> dict[str, Json]:
    """Return what a file is now: the host takes no other with a yes. One that cannot be read is not sent either."""
    import hashlib  # late: few agents ask about files

    sha256, size = hashlib.sha256(), 0
    try:
        with opened_for_reading(places, path if isinstance(path, str) else "") as descriptor:
            while piece := os.pread(descriptor, _PIECE_BYTES, size):
                sha256.update(piece)
                size += len(piece)
    except (ToolError, OSError):
        return {}
    return {"bytes": size, "sha256": sha256.hexdigest()}
