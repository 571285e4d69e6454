"""OpenAI's Responses API, streamed. Pure.

After https://platform.openai.com/docs/api-reference/responses-streaming. Nothing is stored at the provider: the whole
conversation goes along each time, with what the model thought, encrypted, where it came from the same model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from agents.providers.failure import failure_of_error_event
from agents.providers.past import can_see, not_shown, thoughts_by_place
from agents.providers.provider import ModelRequest, Question, StopReason, StreamFault, ToolCard, Turn
from agents.providers.shape import JsonObject, count_at, object_at, parse_event, text_at
from agents.providers.turn_builder import TurnBuilder
from agents.sse import ServerEvent
from protocol.task import ModelRoute
from protocol.transcript import Entry, SeenFile

_STOPS: dict[str, StopReason] = {"max_output_tokens": "length", "content_filter": "refused"}


class Responses:
    """A Provider (`provider.py`)."""

    def __init__(self, route: ModelRoute) -> None:
        self._route = route

    def request(self, question: Question) -> ModelRequest:
        items = [item for entry in question.entries for item in _items(entry, self._route, question.files)]
        body: JsonObject = {
            "model": self._route.model,
            "max_output_tokens": self._route.max_output_tokens,
            "stream": True,
            "store": False,
            "instructions": question.instructions,
            "input": items,
        }
        if self._route.thinks == "effort":
            body["include"] = ["reasoning.encrypted_content"]
            if self._route.effort:
                body["reasoning"] = {"effort": self._route.effort}
        if question.tools:
            body["tools"] = [_tool(card) for card in question.tools]
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        return ModelRequest(path=f"/m/{self._route.route}/v1/responses", body=data)

    def reader(self) -> ResponsesReader:
        return ResponsesReader(self._route)


class ResponsesReader:
    """A TurnReader (`provider.py`)."""

    def __init__(self, route: ModelRoute) -> None:
        self._route = route
        self._turn = TurnBuilder(route)
        self._with_deltas: set[int] = set()
        self._complete = False

    def take(self, event: ServerEvent) -> str:
        if event.data.strip() == "[DONE]":  # some compatible servers
            return ""
        value = parse_event(event.data, self._route.route)
        match value.get("type"):
            case "response.output_text.delta" | "response.refusal.delta":
                return self._turn.add_text(text_at(value, "delta"))
            case "response.output_item.added":
                self._begin(count_at(value, "output_index"), object_at(value, "item"))
            case "response.function_call_arguments.delta":
                index = count_at(value, "output_index")
                self._with_deltas.add(index)
                self._turn.add_arguments(index, text_at(value, "delta"))
            case "response.output_item.done":
                self._end(count_at(value, "output_index"), object_at(value, "item"))
            case "response.completed" | "response.incomplete":
                self._finish(object_at(value, "response"))
            case "response.failed":
                raise self._fault(object_at(object_at(value, "response"), "error"))
            case "error":
                raise self._fault(object_at(value, "error") or value)
        return ""

    def is_complete(self) -> bool:
        return self._complete

    def turn(self) -> Turn:
        return self._turn.turn()

    def _begin(self, index: int, item: JsonObject) -> None:
        if item.get("type") == "function_call":
            self._turn.begin_call(index, text_at(item, "call_id"), text_at(item, "name"))

    def _end(self, index: int, item: JsonObject) -> None:
        if item.get("type") == "reasoning":
            self._turn.add_thought(item)
        elif item.get("type") == "function_call":
            self._begin(index, item)
            if index not in self._with_deltas:
                self._turn.add_arguments(index, text_at(item, "arguments"))

    def _finish(self, response: JsonObject) -> None:
        usage = object_at(response, "usage")
        self._turn.use.at_least(
            input=count_at(usage, "input_tokens"),
            output=count_at(usage, "output_tokens"),
            cache_read=count_at(object_at(usage, "input_tokens_details"), "cached_tokens"),
            reasoning=count_at(object_at(usage, "output_tokens_details"), "reasoning_tokens"),
        )
        why = text_at(object_at(response, "incomplete_details"), "reason")
        if response.get("status") == "incomplete":
            self._turn.stop = _STOPS.get(why, "length")
        self._complete = True

    def _fault(self, error: JsonObject) -> StreamFault:
        kind, message = text_at(error, "code") or text_at(error, "type"), text_at(error, "message")
        return StreamFault(failure_of_error_event(self._route.route, self._route.model, kind, message))


def _tool(card: ToolCard) -> JsonObject:
    # `strict` is on by default there, and wants schemas of a shape that ours need not have.
    schema: JsonObject = {"parameters": card.schema, "strict": False}
    return {"type": "function", "name": card.name, "description": card.description, **schema}


def _items(entry: Entry, route: ModelRoute, files: Mapping[str, str]) -> Iterator[JsonObject]:
    for output in entry.outputs:
        text = f"Error: {output.text}" if output.is_error else output.text
        seen = [_file_part(file, route, files) for file in output.files]
        content = [{"type": "input_text", "text": text}, *seen] if seen else text
        yield {"type": "function_call_output", "call_id": output.call_id, "output": content}
    if entry.role == "user":
        parts = [_file_part(file, route, files) for file in entry.files]
        parts += [{"type": "input_text", "text": entry.text}] if entry.text else []
        if parts:
            yield {"role": "user", "content": parts}
    elif entry.role == "assistant":
        yield from _turn_items(entry, route)


def _turn_items(entry: Entry, route: ModelRoute) -> Iterator[JsonObject]:
    thoughts = thoughts_by_place(entry, route)
    yield from thoughts.get(0, ())
    if entry.text:
        yield {"role": "assistant", "content": [{"type": "output_text", "text": entry.text}]}
    for number, call in enumerate(entry.calls, start=1):
        yield from thoughts.get(number, ())
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        yield {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": arguments}


def _file_part(file: SeenFile, route: ModelRoute, files: Mapping[str, str]) -> JsonObject:
    data = files.get(file.sha256)
    if data is None or not can_see(file, route):
        return {"type": "input_text", "text": not_shown(file, route)}
    address = f"data:{file.media_type};base64,{data}"
    if file.is_image:
        return {"type": "input_image", "image_url": address}
    return {"type": "input_file", "filename": file.path.rpartition("/")[2], "file_data": address}
