"""A result with a shape that was asked for: the tool by which the model gives it. Pure.

Whether it fits the schema, says why and rests on what was fetched is checked by the host; here it is only taken.
"""

from __future__ import annotations

from agents.providers.provider import ToolCard, Turn
from protocol.codec import Json
from protocol.task import TaskResult, TaskStatus

RESULT_TOOL = "task_result"
_DESCRIPTION = (
    "Give the result of your task and end it: call this once, when the work is done. Words are not read. "
    "Give `found`, or `abstain` if you cannot know; and always how sure you are and what it rests on."
)
_TEXT = {"type": "string"}


def result_card(schema: Json) -> ToolCard:
    """Return the tool as the model sees it. What the schema's references name moves to where they look for it."""
    found, parts = schema, None
    if isinstance(schema, dict) and "$defs" in schema:
        found, parts = {name: part for name, part in schema.items() if name != "$defs"}, schema["$defs"]
    shape: dict[str, object] = {
        "type": "object",
        "properties": {
            "found": found,
            "abstain": {**_TEXT, "description": "instead of found: why you cannot say"},
            "why": _TEXT,
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "alternatives": _rows({"what": _TEXT, "rejected_because": _TEXT}),
            "no_alternatives": {**_TEXT, "description": "if there were none: why"},
            "evidence": _rows(
                {
                    "claim": _TEXT,
                    "source": {**_TEXT, "description": "URL that you fetched, file path, or input"},
                    "span": {**_TEXT, "description": "where in it, or its words"},
                }
            ),
        },
        "required": ["why", "confidence", "evidence"],
    }
    if parts is not None:
        shape["$defs"] = parts
    return ToolCard(name=RESULT_TOOL, description=_DESCRIPTION, schema=shape)


def _rows(properties: dict[str, object]) -> dict[str, object]:
    return {"type": "array", "items": {"type": "object", "properties": properties, "required": list(properties)}}


def find_result(turn: Turn) -> TaskResult | None:
    """Return the end of the task if the model has given its result in this turn."""
    call = next((call for call in turn.entry.calls if call.name == RESULT_TOOL), None)
    if call is None:
        return None
    if call.call_id in turn.faulty_calls or not isinstance(call.arguments, dict) or not call.arguments:
        reason = turn.faulty_calls.get(call.call_id) or "the result is missing in the call that was to give it"
        return TaskResult(status=TaskStatus.FAILED, code="result_not_json", reason=reason)
    return TaskResult(status=TaskStatus.STRUCTURED, structured=dict(call.arguments), text=turn.entry.text)
