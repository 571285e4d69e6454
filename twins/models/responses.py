"""OpenAI's Responses API: a request's conversation, a turn's answer. Pure; errors are those of chat completions.

Shapes from the public API reference (responses, streaming events). Nothing is stored: a request for what was
(`previous_response_id`) is refused, as the service does with `store: false`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from twins.models.anthropic import words
from twins.models.openai import error_body
from twins.models.script import Conversation, Turn, argument_pieces

_DONE = {"length": "max_output_tokens", "refused": "content_filter"}


def read_conversation(body: dict[str, Any]) -> Conversation:
    """Return what the script needs; raise KeyError, TypeError or ValueError on a body that is no such request."""
    if body.get("previous_response_id"):
        raise ValueError(f"Previous response with id '{body['previous_response_id']}' not found.")
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    outputs: list[str] = []
    said, turns_since = "", 0
    unanswered: list[str] = []
    is_in_turn = False
    for item in items:
        kind = item.get("type", "message")
        is_own = kind in ("reasoning", "function_call") or item.get("role") == "assistant"
        turns_since += is_own and not is_in_turn
        is_in_turn = is_own
        if kind == "function_call_output":
            outputs.append(_text_of(item["output"]))
        elif kind == "reasoning":
            base64.b64decode(item["encrypted_content"], validate=True)
        elif item.get("role") == "user":
            said, turns_since, outputs = _text_of(item["content"]), 0, []
            unanswered.append(said)
        elif item.get("role") == "assistant":
            unanswered = []
    return Conversation(
        model=body["model"],
        said=said,
        unanswered=tuple(unanswered),
        turns_since=turns_since,
        outputs=tuple(outputs),
        tools=frozenset(name for tool in body.get("tools", ()) for name in _tool_names(tool)),
    )


def _tool_names(tool: dict[str, Any]) -> Iterator[str]:
    """Yield what a script calls the tool: `name`, or `namespace.name` of what stands in one. What the service runs
    itself (`web_search`) has no name, and is called by nobody here."""
    if tool["type"] == "namespace":
        yield from (f"{tool['name']}.{inner['name']}" for inner in tool["tools"])
    elif tool["type"] in ("function", "custom"):
        yield tool["name"]


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] in ("input_text", "output_text"))


def whole_answer(turn: Turn, conversation: Conversation, number: int, request_bytes: int) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    reason = _DONE.get(turn.stop)
    return {
        "id": f"resp_twin_{number}",
        "object": "response",
        "created_at": 0,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "error": None,
        "model": conversation.model,
        "output": list(_items(turn, number)),
        "usage": _usage(turn, request_bytes),
    }


def stream_events(turn: Turn, conversation: Conversation, number: int, request_bytes: int) -> Iterator[bytes]:
    """Yield the server-sent events of a streamed answer, one at a time. There is no `[DONE]`."""
    whole = whole_answer(turn, conversation, number, request_bytes)
    begun = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    events = [("response.created", {"response": begun}), ("response.in_progress", {"response": begun})]
    for index, item in enumerate(whole["output"]):
        events += _item_events(index, item)
    events.append((f"response.{whole['status']}", {"response": whole}))
    for sequence, (kind, fields) in enumerate(events):
        value = {"type": kind, "sequence_number": sequence, **fields}
        yield f"event: {kind}\ndata: {json.dumps(value)}\n\n".encode()


def error_event(message: str) -> bytes:
    """Return what a stream says when the service fails in the middle of it."""
    response = {"object": "response", "status": "failed", "error": {"code": "server_error", "message": message}}
    return f"event: response.failed\ndata: {json.dumps({'type': 'response.failed', 'response': response})}\n\n".encode()


def _item_events(index: int, item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    at = {"output_index": index, "item_id": item["id"]}
    emptied: dict[str, dict[str, Any]] = {"message": {"content": []}, "function_call": {"arguments": ""}}
    empty = emptied.get(item["type"], {})
    opened = {**item, **empty, "status": "in_progress"}
    yield "response.output_item.added", {"output_index": index, "item": opened}
    if item["type"] == "message":
        for word in words(item["content"][0]["text"]):
            yield "response.output_text.delta", {**at, "content_index": 0, "delta": word, "logprobs": []}
    elif item["type"] == "function_call":
        for piece in argument_pieces(item["arguments"]):
            yield "response.function_call_arguments.delta", {**at, "delta": piece}
        yield "response.function_call_arguments.done", {**at, "arguments": item["arguments"]}
    yield "response.output_item.done", {"output_index": index, "item": item}


def _items(turn: Turn, number: int) -> Iterator[dict[str, Any]]:
    if turn.think:
        sealed = base64.b64encode(turn.think.encode()).decode("ascii")
        yield {"type": "reasoning", "id": f"rs_twin_{number}", "summary": [], "encrypted_content": sealed}
    if turn.text:
        content = [{"type": "output_text", "text": turn.text, "annotations": []}]
        message = {"type": "message", "id": f"msg_twin_{number}", "role": "assistant", "content": content}
        yield {**message, "status": "completed"}
    for index, call in enumerate(turn.calls):
        namespace, _, name = call.tool.rpartition(".") if call.raw is None else ("", "", call.tool)
        yield {
            "type": "function_call",
            "id": f"fc_twin_{number}_{index}",
            "call_id": f"call_twin_{number}_{index}",
            "name": name,
            **({"namespace": namespace} if namespace else {}),
            "arguments": call.text,
            "status": "completed",
        }


def _usage(turn: Turn, request_bytes: int) -> dict[str, Any]:
    said = len(turn.text) + sum(len(call.text) for call in turn.calls)
    thought = len(turn.think) // 4
    read, written = request_bytes // 4, max(1, said // 4) + thought
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": turn.cached},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": read + written,
    }


__all__ = ["error_body", "error_event", "read_conversation", "stream_events", "whole_answer"]
