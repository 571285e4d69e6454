"""A result with a shape that was asked for: the tool by which the model gives it. Pure.

Whether it fits the schema is checked by the host; here it is only taken.
"""

from __future__ import annotations

from agents.providers.provider import ToolCard, Turn
from protocol.codec import Json
from protocol.task import TaskResult, TaskStatus

RESULT_TOOL = "give_result"


def result_card(schema: Json) -> ToolCard:
    """Return the tool as the model sees it. What the schema's references name moves to where they look for it."""
    shape: dict[str, object] = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    if isinstance(schema, dict) and "$defs" in schema:
        shape["properties"] = {"result": {name: part for name, part in schema.items() if name != "$defs"}}
        shape["$defs"] = schema["$defs"]
    description = "Give the result of your task and end it: call this once, when the work is done. Words are not read."
    return ToolCard(name=RESULT_TOOL, description=description, schema=shape)


def find_result(turn: Turn) -> TaskResult | None:
    """Return the end of the task if the model has given its result in this turn."""
    call = next((call for call in turn.entry.calls if call.name == RESULT_TOOL), None)
    if call is None:
        return None
    arguments = call.arguments
    if call.call_id in turn.faulty_calls or not isinstance(arguments, dict) or "result" not in arguments:
        reason = turn.faulty_calls.get(call.call_id) or "the result is missing in the call that was to give it"
        return TaskResult(status=TaskStatus.FAILED, code="result_not_json", reason=reason)
    return TaskResult(status=TaskStatus.STRUCTURED, structured=arguments["result"], text=turn.entry.text)
