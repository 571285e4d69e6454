"""The Anthropic Messages API: a request's conversation, a turn's answer, errors. Pure.

Shapes from the public API reference (Messages, streaming, extended thinking, errors). As the service does, it refuses
a call's result whose turn has lost its thinking, and thinking that somebody has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from twins.models.script import Call, Conversation, Turn, argument_pieces


def read_conversation(body: dict[str, Any]) -> Conversation:
    """Return what the script needs; raise KeyError or TypeError on a body that is no Messages request."""
    messages = body["messages"]
    outputs: list[str] = []
    said, turns_since = "", 0
    unanswered: list[str] = []
    for number, message in enumerate(messages):
        if message["role"] == "system":
            # Instructions in the middle of a conversation: nobody's prompt, but what was said meanwhile stands in them.
            unanswered.append(_text_of(message["content"]))
            continue
        if message["role"] == "assistant":
            turns_since += 1
            _check_thinking(message["content"], number, is_last=number == len(messages) - 2, body=body)
            if not _blocks(message["content"], "tool_use"):
                unanswered = []
            continue
        text = _text_of(message["content"])
        if text:
            said, turns_since, outputs = text, 0, []
            unanswered.append(text)
        outputs += [_text_of(block.get("content", "")) for block in _blocks(message["content"], "tool_result")]
    return Conversation(
        model=body["model"],
        said=said,
        unanswered=tuple(unanswered),
        turns_since=turns_since,
        outputs=tuple(outputs),
        tools=frozenset(tool["name"] for tool in body.get("tools", ())),
    )


def _check_thinking(content: Any, number: int, *, is_last: bool, body: dict[str, Any]) -> None:
    """Raise ValueError for thinking that is missing or not what the model thought."""
    for index, block in enumerate(_blocks(content, "thinking")):
        if block["signature"] != _signature(block["thinking"]):
            raise ValueError(f"messages.{number}.content.{index}: Invalid `signature` in `thinking` block")
    thinks = body.get("thinking", {}).get("type") == "enabled"  # else the model decides whether it does
    if thinks and is_last and _blocks(content, "tool_use") and content[0]["type"] != "thinking":
        raise ValueError(
            f"messages.{number}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{content[0]['type']}`. When `thinking` is enabled, a final `assistant` message must start with a "
            "thinking block."
        )


def _signature(thought: str) -> str:
    return f"twin-{hashlib.sha256(thought.encode()).hexdigest()}"


def _blocks(content: Any, kind: str) -> list[dict[str, Any]]:
    return [block for block in content if block["type"] == kind] if isinstance(content, list) else []


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in _blocks(content, "text"))


def whole_answer(turn: Turn, conversation: Conversation, number: int, request_bytes: int) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    content: list[dict[str, Any]] = []
    if turn.think:
        content.append({"type": "thinking", "thinking": turn.think, "signature": _signature(turn.think)})
    content += [{"type": "text", "text": turn.text}] if turn.text else []
    content += [
        {"type": "tool_use", "id": _call_id(number, index), "name": call.tool, "input": dict(call.arguments)}
        for index, call in enumerate(turn.calls)
    ]
    return {
        "id": f"msg_twin_{number}",
        "type": "message",
        "role": "assistant",
        "model": conversation.model,
        "content": content,
        "stop_reason": _STOPS.get(turn.stop) or ("tool_use" if turn.calls else "end_turn"),
        "stop_sequence": None,
        "usage": {**_input_usage(turn, request_bytes), "output_tokens": _output_tokens(turn)},
    }


def _input_usage(turn: Turn, request_bytes: int) -> dict[str, int]:
    """Return the tokens of the prompt: what was read from the cache is not among `input_tokens`."""
    rest = max(0, request_bytes // 4 - turn.cached)
    return {"input_tokens": rest, "cache_read_input_tokens": turn.cached, "cache_creation_input_tokens": 0}


_STOPS = {"length": "max_tokens", "refused": "refusal"}


def stream_events(turn: Turn, conversation: Conversation, number: int, request_bytes: int) -> Iterator[bytes]:
    """Yield the server-sent events of a streamed answer, one at a time."""
    message = whole_answer(turn, conversation, number, request_bytes)
    stop_reason, content = message["stop_reason"], message["content"]
    start_usage = {**_input_usage(turn, request_bytes), "output_tokens": 1}
    before_calls = len(content) - len(turn.calls)
    yield _event(
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": start_usage}}
    )
    yield _event({"type": "ping"})
    for index, block in enumerate(content[:before_calls]):
        yield from _block_events(index, block)
    for index, call in enumerate(turn.calls, start=before_calls):
        yield from _call_events(index, content[index], call)
    usage = {"output_tokens": _output_tokens(turn)}
    yield _event(
        {"type": "message_delta", "delta": {"stop_reason": stop_reason, "stop_sequence": None}, "usage": usage}
    )
    yield _event({"type": "message_stop"})


def _block_events(index: int, block: dict[str, Any]) -> Iterator[bytes]:
    if block["type"] == "text":
        yield _event({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}})
        for word in words(block["text"]):
            yield _delta(index, {"type": "text_delta", "text": word})
    elif block["type"] == "thinking":
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        yield _event({"type": "content_block_start", "index": index, "content_block": empty})
        for word in words(block["thinking"]):
            yield _delta(index, {"type": "thinking_delta", "thinking": word})
        yield _delta(index, {"type": "signature_delta", "signature": block["signature"]})
    yield _event({"type": "content_block_stop", "index": index})


def _call_events(index: int, block: dict[str, Any], call: Call) -> Iterator[bytes]:
    yield _event({"type": "content_block_start", "index": index, "content_block": {**block, "input": {}}})
    for piece in argument_pieces(call.text):
        yield _delta(index, {"type": "input_json_delta", "partial_json": piece})
    yield _event({"type": "content_block_stop", "index": index})


def error_body(status: int, message: str) -> dict[str, Any]:
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


def error_event(message: str) -> bytes:
    """Return what a stream says when the service fails in the middle of it."""
    return _event(error_body(529, message))


def words(text: str) -> Iterator[str]:
    """Yield a text in pieces of a word and the space before it, as models stream it."""
    start = 0
    while start < len(text):
        end = text.find(" ", start + 1)
        end = len(text) if end == -1 else end
        yield text[start:end]
        start = end


def _output_tokens(turn: Turn) -> int:
    return max(1, (len(turn.text) + sum(len(call.text) for call in turn.calls)) // 4)


def _call_id(number: int, index: int) -> str:
    return f"toolu_twin_{number}_{index}"


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return _event({"type": "content_block_delta", "index": index, "delta": delta})


def _event(value: dict[str, Any]) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()
