"""Canvases: documents beside the talk, made of sections of Markdown: `canvases.*`."""

from __future__ import annotations

import re

from twins.slack.methods.method import Call, Json, Method
from twins.slack.refusal import Refusal

_SECTION = re.compile(r"\n(?=#)|\n\n+")
OPERATIONS = ("insert_after", "insert_before", "insert_at_start", "insert_at_end", "replace", "delete", "rename")


def create(call: Call) -> Json:
    """Make a canvas, free or a channel's own."""
    if call.arguments.text("channel_id"):
        conversation = call.joined("channel_id")
        if "canvas_id" in conversation.info:
            raise Refusal("free_team_canvas_tab_already_exists")
        conversation.info["canvas_id"] = _new(call)
        return {"canvas_id": conversation.info["canvas_id"]}
    return {"canvas_id": _new(call)}


def edit(call: Call) -> Json:
    """Do one change: at an end, before or after a section, in its place."""
    sections = _sections(call)
    changes = call.arguments.nested("changes", "invalid_arguments")
    if not isinstance(changes, list) or len(changes) != 1 or changes[0].get("operation") not in OPERATIONS:
        raise Refusal("invalid_arguments")
    wanted = changes[0]
    given = _split(call, (wanted.get("document_content") or {}).get("markdown", ""))
    at = next((n for n, section in enumerate(sections) if section["id"] == wanted.get("section_id")), None)
    if wanted.get("section_id") and at is None:
        raise Refusal("canvas_editing_failed")
    match wanted["operation"]:
        case "insert_at_start":
            sections[:0] = given
        case "insert_after" if at is not None:
            sections[at + 1 : at + 1] = given
        case "insert_before" if at is not None:
            sections[at:at] = given
        case "delete" if at is not None:
            del sections[at]
        case "replace":
            sections[slice(None) if at is None else slice(at, at + 1)] = given
        case "insert_at_end":
            sections += given
    return {}


def lookup(call: Call) -> Json:
    criteria = call.arguments.nested("criteria", "invalid_arguments") or {}
    words = str(criteria.get("contains_text", ""))
    found = [section for section in _sections(call) if words in section["text"]]
    return {"sections": [{"id": section["id"]} for section in found]}


def set_access(call: Call) -> Json:
    _sections(call)
    if call.arguments.text("access_level") not in ("read", "write", "owner"):
        raise Refusal("invalid_arguments")
    return {}


def delete_access(call: Call) -> Json:
    _sections(call)
    return {}


def delete(call: Call) -> Json:
    _sections(call)
    del call.world.canvases[call.arguments.text("canvas_id")]
    return {}


def _new(call: Call) -> str:
    content = call.arguments.nested("document_content", "invalid_arguments") or {}
    canvas_id = call.world.new_id("F")
    call.world.canvases[canvas_id] = _split(call, str(content.get("markdown", "")))
    return canvas_id


def _split(call: Call, markdown: str) -> list[Json]:
    pieces = [piece for piece in _SECTION.split(markdown) if piece.strip()]
    return [{"id": call.world.new_id("temp:C:"), "text": piece} for piece in pieces]


def _sections(call: Call) -> list[Json]:
    found = call.world.canvases.get(call.arguments.text("canvas_id"))
    if found is None:
        raise Refusal("canvas_not_found")
    return found


READS, WRITES = ("canvases:read",), ("canvases:write",)
METHODS = {
    "canvases.create": Method(function=create, tier=2, scopes=WRITES),
    "canvases.edit": Method(function=edit, scopes=WRITES),
    "canvases.delete": Method(function=delete, scopes=WRITES),
    "canvases.sections.lookup": Method(function=lookup, scopes=READS),
    "canvases.access.set": Method(function=set_access, scopes=WRITES),
    "canvases.access.delete": Method(function=delete_access, scopes=WRITES),
    "conversations.canvases.create": Method(function=create, tier=2, scopes=WRITES),
}
