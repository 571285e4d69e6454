"""The Anthropic Messages API, streamed. Pure.

Request, events and errors after https://docs.anthropic.com/en/api/messages-streaming; the key and the host are the
proxy's. The whole conversation is marked for prompt caching: each round of tools sends it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from agents.providers.failure import failure_of_error_event
from agents.providers.provider import ModelRequest, Question, StopReason, StreamFault, ToolCard, Turn
from agents.providers.shape import JsonObject, count_at, object_at, parse_event, text_at
from agents.providers.turn_builder import TurnBuilder
from agents.sse import ServerEvent
from protocol.task import ModelRoute
from protocol.transcript import Entry

_CACHE = {"type": "ephemeral"}
_STOPS: dict[str, StopReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}


class Anthropic:
    """A Provider (`provider.py`)."""

    def __init__(self, route: ModelRoute) -> None:
        self._route = route

    def request(self, question: Question) -> ModelRequest:
        body: JsonObject = {
            "model": self._route.model,
            "max_tokens": self._route.max_output_tokens,
            "stream": True,
            "messages": _messages(question.entries),
        }
        if question.instructions:
            body["system"] = [{"type": "text", "text": question.instructions, "cache_control": _CACHE}]
        if question.tools:
            body["tools"] = [_tool(card) for card in question.tools]
        return ModelRequest(path=f"/m/{self._route.route}/v1/messages", body=_json_bytes(body))

    def reader(self) -> AnthropicReader:
        return AnthropicReader(self._route)


class AnthropicReader:
    """A TurnReader (`provider.py`)."""

    def __init__(self, route: ModelRoute) -> None:
        self._route = route
        self._turn = TurnBuilder(route.route)
        self._inputs: dict[int, JsonObject] = {}
        self._complete = False

    def take(self, event: ServerEvent) -> str:
        value = parse_event(event.data, self._route.route)
        match value.get("type"):
            case "message_start":
                self._read_usage(object_at(object_at(value, "message"), "usage"))
            case "content_block_start":
                return self._begin_block(count_at(value, "index"), object_at(value, "content_block"))
            case "content_block_delta":
                return self._add(count_at(value, "index"), object_at(value, "delta"))
            case "message_delta":
                self._read_usage(object_at(value, "usage"))
                self._turn.stop = _STOPS.get(text_at(object_at(value, "delta"), "stop_reason"), "end")
            case "message_stop":
                self._complete = True
            case "error":
                error = object_at(value, "error")
                kind, message = text_at(error, "type"), text_at(error, "message")
                raise StreamFault(failure_of_error_event(self._route.route, self._route.model, kind, message))
        return ""  # ping, content_block_stop, thinking, and what later versions add

    def is_complete(self) -> bool:
        return self._complete

    def turn(self) -> Turn:
        for index, given in self._inputs.items():
            self._turn.add_arguments(index, json.dumps(given))
        return self._turn.turn()

    def _begin_block(self, index: int, block: JsonObject) -> str:
        if block.get("type") == "text":
            return self._turn.add_text(text_at(block, "text"))
        if block.get("type") == "tool_use":
            self._turn.begin_call(index, text_at(block, "id"), text_at(block, "name"))
            if given := object_at(block, "input"):  # some compatible servers give it whole, with no deltas
                self._inputs[index] = given
        return ""

    def _add(self, index: int, delta: JsonObject) -> str:
        if delta.get("type") == "text_delta":
            return self._turn.add_text(text_at(delta, "text"))
        if delta.get("type") == "input_json_delta":
            self._inputs.pop(index, None)
            self._turn.add_arguments(index, text_at(delta, "partial_json"))
        return ""

    def _read_usage(self, usage: JsonObject) -> None:
        """Keep the highest counts: later events repeat and complete the first one's."""
        read = sum(count_at(usage, key) for key in _INPUT_COUNTS)
        self._turn.input_tokens = max(self._turn.input_tokens, read)
        self._turn.output_tokens = max(self._turn.output_tokens, count_at(usage, "output_tokens"))


_INPUT_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _tool(card: ToolCard) -> JsonObject:
    return {"name": card.name, "description": card.description, "input_schema": card.schema}


def _messages(entries: Sequence[Entry]) -> list[JsonObject]:
    messages: list[JsonObject] = []
    for entry in entries:
        role, blocks = "assistant" if entry.role == "assistant" else "user", list(_blocks(entry))
        if blocks and messages and messages[-1]["role"] == role:  # servers want the roles in turn
            _content(messages[-1]).extend(blocks)
        elif blocks:
            messages.append({"role": role, "content": blocks})
    if messages:
        _content(messages[-1])[-1]["cache_control"] = _CACHE
    return messages


def _content(message: JsonObject) -> list[JsonObject]:
    content = message["content"]
    assert isinstance(content, list)  # made in _messages
    return content


def _blocks(entry: Entry) -> Iterator[JsonObject]:
    for output in entry.outputs:
        block: JsonObject = {"type": "tool_result", "tool_use_id": output.call_id, "content": output.text or "(empty)"}
        if output.is_error:
            block["is_error"] = True
        yield block
    if entry.text.strip():
        # The API refuses an assistant's text that ends in white space.
        yield {"type": "text", "text": entry.text.rstrip() if entry.role == "assistant" else entry.text}
    for call in entry.calls:
        yield {"type": "tool_use", "id": call.call_id, "name": call.name, "input": call.arguments}


def _json_bytes(value: JsonObject) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
