"""The Anthropic Messages API, streamed. Pure.

Request, events and errors after https://docs.anthropic.com/en/api/messages-streaming; the key and the host are the
proxy's. Three places are marked for prompt caching: the instructions, the last thing a person said and the end. A round
of tools sends everything again, and finds it in the cache up to where the last round ended.
Thinking after https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking: a turn's blocks go back as they
came, ahead of its calls, while the same model goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from agents.providers.failure import failure_of_error_event
from agents.providers.past import can_see, not_shown, thoughts_by_place
from agents.providers.provider import ModelRequest, Question, StopReason, StreamFault, ToolCard, Turn
from agents.providers.shape import JsonObject, count_at, object_at, parse_event, text_at
from agents.providers.turn_builder import MAX_THOUGHT_BYTES, TurnBuilder
from agents.sse import ServerEvent
from protocol.task import ModelRoute
from protocol.transcript import Entry, SeenFile

_CACHE = {"type": "ephemeral"}
_THINKING_TOKENS = {"low": 2_048, "medium": 8_192, "high": 24_576}
"""Of models that think by a budget; at least 1,024, and inside `max_tokens`."""
_LEAST_THINKING_TOKENS = 1_024
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
            **_thinking(self._route),
            "messages": _messages(question, self._route),
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
        self._turn = TurnBuilder(route)
        self._inputs: dict[int, JsonObject] = {}
        self._thoughts: dict[int, JsonObject] = {}
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
            case "content_block_stop":
                if thought := self._thoughts.pop(count_at(value, "index"), None):
                    self._turn.add_thought(thought)
            case "message_delta":
                self._read_usage(object_at(value, "usage"))
                self._turn.stop = _STOPS.get(text_at(object_at(value, "delta"), "stop_reason"), "end")
            case "message_stop":
                self._complete = True
            case "error":
                error = object_at(value, "error")
                kind, message = text_at(error, "type"), text_at(error, "message")
                raise StreamFault(failure_of_error_event(self._route.route, self._route.model, kind, message))
        return ""  # ping, and what later versions add

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
        elif block.get("type") in ("thinking", "redacted_thinking"):
            self._thoughts[index] = dict(block)
        return ""

    def _add(self, index: int, delta: JsonObject) -> str:
        if delta.get("type") == "text_delta":
            return self._turn.add_text(text_at(delta, "text"))
        if delta.get("type") == "input_json_delta":
            self._inputs.pop(index, None)
            self._turn.add_arguments(index, text_at(delta, "partial_json"))
        elif index in self._thoughts:
            self._think(self._thoughts[index], delta)
        return ""

    def _think(self, thought: JsonObject, delta: JsonObject) -> None:
        """Add to a block of thinking. Its size is looked at here too: nothing may grow without a limit."""
        for kind, key in _THOUGHT_DELTAS.items():
            if delta.get("type") == kind:
                thought[key] = text_at(thought, key) + text_at(delta, key)
                if len(text_at(thought, key)) > MAX_THOUGHT_BYTES:
                    self._turn.add_thought(thought)

    def _read_usage(self, usage: JsonObject) -> None:
        read, written = count_at(usage, "cache_read_input_tokens"), count_at(usage, "cache_creation_input_tokens")
        self._turn.use.at_least(
            input=count_at(usage, "input_tokens") + read + written,
            output=count_at(usage, "output_tokens"),
            cache_read=read,
            cache_write=written,
        )


_THOUGHT_DELTAS = {"thinking_delta": "thinking", "signature_delta": "signature"}


def _thinking(route: ModelRoute) -> JsonObject:
    """Return how the request asks for thinking, if it does."""
    if not route.effort:
        return {}
    if route.thinks == "adaptive":
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": route.effort}}
    budget = min(_THINKING_TOKENS[route.effort], route.max_output_tokens // 2)
    if route.thinks == "budget" and budget >= _LEAST_THINKING_TOKENS:
        return {"thinking": {"type": "enabled", "budget_tokens": budget}}
    return {}


def _tool(card: ToolCard) -> JsonObject:
    return {"name": card.name, "description": card.description, "input_schema": card.schema}


def _messages(question: Question, route: ModelRoute) -> list[JsonObject]:
    messages: list[JsonObject] = []
    said: JsonObject | None = None
    for entry in question.entries:
        role = "assistant" if entry.role == "assistant" else "user"
        blocks = list(_blocks(entry, route, question.files))
        if blocks and messages and messages[-1]["role"] == role:  # servers want the roles in turn
            _content(messages[-1]).extend(blocks)
        elif blocks:
            messages.append({"role": role, "content": blocks})
        if blocks and entry.role == "user":
            said = blocks[-1]
    for block in (said, _content(messages[-1])[-1] if messages else None):
        if block is not None:
            block["cache_control"] = _CACHE
    return messages


def _content(message: JsonObject) -> list[JsonObject]:
    content = message["content"]
    assert isinstance(content, list)  # made in _messages
    return content


def _blocks(entry: Entry, route: ModelRoute, files: Mapping[str, str]) -> Iterator[JsonObject]:
    for output in entry.outputs:
        block: JsonObject = {"type": "tool_result", "tool_use_id": output.call_id, "content": output.text or "(empty)"}
        if output.files:
            seen = [_file_block(file, route, files) for file in output.files]
            block["content"] = [{"type": "text", "text": output.text or "(empty)"}, *seen]
        if output.is_error:
            block["is_error"] = True
        yield block
    yield from (_file_block(file, route, files) for file in entry.files)
    thoughts = thoughts_by_place(entry, route)
    yield from thoughts.get(0, ())
    if entry.text.strip():
        # The API refuses an assistant's text that ends in white space.
        yield {"type": "text", "text": entry.text.rstrip() if entry.role == "assistant" else entry.text}
    for number, call in enumerate(entry.calls, start=1):
        yield from thoughts.get(number, ())
        yield {"type": "tool_use", "id": call.call_id, "name": call.name, "input": call.arguments}


def _file_block(file: SeenFile, route: ModelRoute, files: Mapping[str, str]) -> JsonObject:
    data = files.get(file.sha256)
    if data is None or not can_see(file, route):
        return {"type": "text", "text": not_shown(file, route)}
    source: JsonObject = {"type": "base64", "media_type": file.media_type, "data": data}
    return {"type": "image" if file.is_image else "document", "source": source}


def _json_bytes(value: JsonObject) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
