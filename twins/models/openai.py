"""OpenAI-compatible chat completions: a request's conversation, a turn's answer, errors. Pure.

Shapes from the public API reference (chat completions, streaming, errors); thoughts as vLLM and DeepSeek stream them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twins.models.anthropic import words
from twins.models.script import Conversation, Turn, argument_pieces


def read_conversation(body: dict[str, Any]) -> Conversation:
    """Return what the script needs; raise KeyError or TypeError on a body that is no chat completion request."""
    outputs: list[str] = []
    said, turns_since = "", 0
    unanswered: list[str] = []
    for message in body["messages"]:
        if message["role"] == "user" and (text := _text_of(message["content"])):
            said, turns_since, outputs = text, 0, []
            unanswered.append(said)
        elif message["role"] == "assistant":
            turns_since += 1
            if not message.get("tool_calls"):
                unanswered = []
        elif message["role"] == "tool":
            outputs.append(_text_of(message["content"]))
    return Conversation(
        model=body["model"],
        said=said,
        unanswered=tuple(unanswered),
        turns_since=turns_since,
        outputs=tuple(outputs),
        tools=frozenset(tool["function"]["name"] for tool in body.get("tools", ())),
    )


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def whole_answer(turn: Turn, conversation: Conversation, number: int, request_bytes: int) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
    if turn.think:
        message["reasoning_content"] = turn.think
    if turn.calls:
        message["tool_calls"] = _tool_calls(turn, number)
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(turn)}
    return {
        "id": f"chatcmpl-twin-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": conversation.model,
        "choices": [choice],
        "usage": _usage(turn, request_bytes),
    }


def stream_events(turn: Turn, conversation: Conversation, number: int, request_bytes: int) -> Iterator[bytes]:
    """Yield the server-sent events of a streamed answer, one at a time, with usage last and then [DONE]."""

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
        return _event({**head, "choices": choices, "usage": None})

    head = {
        "id": f"chatcmpl-twin-{number}",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": conversation.model,
    }
    yield chunk({"role": "assistant", "content": ""})
    for word in words(turn.think):
        yield chunk({"reasoning_content": word})
    for word in words(turn.text):
        yield chunk({"content": word})
    for index, (call, opened) in enumerate(zip(turn.calls, _tool_calls(turn, number), strict=True)):
        yield chunk({"tool_calls": [{"index": index, **opened, "function": {"name": call.tool, "arguments": ""}}]})
        for piece in argument_pieces(call.text):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, _finish_reason(turn))
    yield _event({**head, "choices": [], "usage": _usage(turn, request_bytes)})
    yield b"data: [DONE]\n\n"


def error_body(status: int, message: str) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    kind = "rate_limit_exceeded" if status == 429 else kind
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_event(message: str) -> bytes:
    """Return what a stream says when the service fails in the middle of it."""
    return _event(error_body(500, message))


def _tool_calls(turn: Turn, number: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_twin_{number}_{index}",
            "type": "function",
            "function": {"name": call.tool, "arguments": call.text},
        }
        for index, call in enumerate(turn.calls)
    ]


def _finish_reason(turn: Turn) -> str:
    stop = {"length": "length", "refused": "content_filter"}.get(turn.stop)
    return stop or ("tool_calls" if turn.calls else "stop")


def _usage(turn: Turn, request_bytes: int) -> dict[str, Any]:
    said = len(turn.text) + sum(len(call.text) for call in turn.calls)
    thought = len(turn.think) // 4
    prompt, completion = request_bytes // 4, max(1, said // 4) + thought
    return {
        "prompt_tokens": prompt,
        "prompt_tokens_details": {"cached_tokens": turn.cached},
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": prompt + completion,
    }


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()
