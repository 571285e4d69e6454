"""OpenAI-compatible chat completions, streamed. Pure.

After https://platform.openai.com/docs/api-reference/chat-streaming, and forgiving towards servers that leave out
usage, call ids, indexes or `[DONE]`; the key and the host are the proxy's.
Thoughts come as `reasoning_content` (vLLM, DeepSeek, Nemotron) or `reasoning_details` (OpenRouter). Where a turn called
tools they go back with it: such models lose their thread without, and some refuse the conversation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from agents.providers.failure import failure_of_error_event, misbehaved
from agents.providers.past import can_see, not_shown, thoughts_by_place
from agents.providers.provider import ModelRequest, Question, StopReason, StreamFault, ToolCard, Turn
from agents.providers.shape import JsonObject, count_at, object_at, objects_at, parse_event, text_at
from agents.providers.turn_builder import MAX_THOUGHT_BYTES, TurnBuilder
from agents.sse import ServerEvent
from protocol.task import ModelRoute
from protocol.transcript import Entry, SeenFile

_STOPS: dict[str, StopReason] = {"length": "length", "content_filter": "refused"}


class OpenAi:
    """A Provider (`provider.py`)."""

    def __init__(self, route: ModelRoute) -> None:
        self._route = route

    def request(self, question: Question) -> ModelRequest:
        messages: list[JsonObject] = []
        if question.instructions:
            messages.append({"role": "system", "content": question.instructions})
        for entry in question.entries:
            messages.extend(_messages(entry, self._route, question.files))
        body: JsonObject = {
            "model": self._route.model,
            # Not `max_tokens`: OpenAI's newer models refuse that name; servers that know only it have a limit anyway.
            "max_completion_tokens": self._route.max_output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": messages,
        }
        if self._route.effort and self._route.thinks == "effort":
            body["reasoning_effort"] = self._route.effort
        if question.tools:
            body["tools"] = [_tool(card) for card in question.tools]
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        return ModelRequest(path=f"/m/{self._route.route}/v1/chat/completions", body=data)

    def reader(self) -> OpenAiReader:
        return OpenAiReader(self._route)


class OpenAiReader:
    """A TurnReader (`provider.py`)."""

    def __init__(self, route: ModelRoute) -> None:
        self._route = route
        self._turn = TurnBuilder(route)
        self._complete = False
        self._last_index = -1
        self._thought = _Thinking()

    def take(self, event: ServerEvent) -> str:
        if event.data.strip() == "[DONE]":
            self._complete = True
            return ""
        value = parse_event(event.data, self._route.route)
        if value.get("error"):
            error = object_at(value, "error")
            kind, message = text_at(error, "type") or text_at(error, "code"), text_at(error, "message")
            raise StreamFault(failure_of_error_event(self._route.route, self._route.model, kind, message))
        usage = object_at(value, "usage")
        self._turn.use.at_least(
            input=count_at(usage, "prompt_tokens"),
            output=count_at(usage, "completion_tokens"),
            cache_read=count_at(object_at(usage, "prompt_tokens_details"), "cached_tokens"),
            reasoning=count_at(object_at(usage, "completion_tokens_details"), "reasoning_tokens"),
        )
        return "".join(self._take_choice(choice) for choice in objects_at(value, "choices")[:1])

    def is_complete(self) -> bool:
        return self._complete

    def turn(self) -> Turn:
        if fields := self._thought.fields():
            self._turn.add_thought(fields)
        return self._turn.turn()

    def _take_choice(self, choice: JsonObject) -> str:
        delta = object_at(choice, "delta")
        if not self._thought.add(delta):
            raise StreamFault(misbehaved(self._route.route, f"thoughts of more than {MAX_THOUGHT_BYTES} bytes"))
        for fragment in objects_at(delta, "tool_calls"):
            self._take_fragment(fragment)
        finish = text_at(choice, "finish_reason")
        if finish:
            self._complete = True
            self._turn.stop = _STOPS.get(finish, "end")
        text = text_at(delta, "content") or text_at(delta, "refusal")
        return self._turn.add_text(text) if text else ""

    def _take_fragment(self, fragment: JsonObject) -> None:
        function = object_at(fragment, "function")
        call_id, name = text_at(fragment, "id"), text_at(function, "name")
        if type(fragment.get("index")) is int:
            index = count_at(fragment, "index")
        else:  # a server without indexes: a name begins the next call
            index = self._last_index + 1 if name or self._last_index < 0 else self._last_index
        self._last_index = index
        self._turn.begin_call(index, call_id, name)
        self._turn.add_arguments(index, text_at(function, "arguments"))


class _Thinking:
    """A turn's thoughts, joined: the words, and OpenRouter's details (fragments of a text are told by their index)."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._details: dict[object, JsonObject] = {}
        self._chars = 0

    def add(self, delta: JsonObject) -> bool:
        """Add what a delta holds of them; return whether they are of a sane size still."""
        if words := text_at(delta, "reasoning_content"):
            self._words.append(words)
            self._chars += len(words)
        for number, detail in enumerate(objects_at(delta, "reasoning_details")):
            self._chars += sum(len(value) for value in detail.values() if isinstance(value, str)) + 8
            held = self._details.setdefault((detail.get("type"), detail.get("index", number)), {})
            for key, value in detail.items():
                joined = isinstance(value, str) and key in _JOINED and isinstance(held.get(key), str)
                held[key] = text_at(held, key) + text_at(detail, key) if joined else value
        return self._chars <= MAX_THOUGHT_BYTES

    def fields(self) -> JsonObject:
        """Return the fields of the message that go back with it."""
        fields: JsonObject = {"reasoning_content": "".join(self._words)} if self._words else {}
        return fields | ({"reasoning_details": list(self._details.values())} if self._details else {})


_JOINED = frozenset(("text", "summary", "data", "signature"))


def _tool(card: ToolCard) -> JsonObject:
    return {
        "type": "function",
        "function": {"name": card.name, "description": card.description, "parameters": card.schema},
    }


def _messages(entry: Entry, route: ModelRoute, files: Mapping[str, str]) -> Iterator[JsonObject]:
    looked_at = list(entry.files)
    for output in entry.outputs:
        text = f"Error: {output.text}" if output.is_error else output.text
        shown = [file for file in output.files if file.sha256 in files and can_see(file, route)]
        hidden = [not_shown(file, route) for file in output.files if file not in shown]
        yield {"role": "tool", "tool_call_id": output.call_id, "content": "\n".join([text, *hidden])}
        looked_at += shown  # by themselves: a tool's message holds text alone
    if entry.role == "assistant":
        message: JsonObject = {"role": "assistant", "content": entry.text or None}
        if entry.calls:
            for thoughts in thoughts_by_place(entry, route).values():
                message.update({key: value for thought in thoughts for key, value in thought.items()})
            message["tool_calls"] = [
                {
                    "id": call.call_id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
                }
                for call in entry.calls
            ]
        yield message
    elif looked_at:
        parts = [_file_part(file, route, files) for file in looked_at]
        yield {"role": "user", "content": parts + ([{"type": "text", "text": entry.text}] if entry.text else [])}
    elif entry.text:
        yield {"role": "user", "content": entry.text}


def _file_part(file: SeenFile, route: ModelRoute, files: Mapping[str, str]) -> JsonObject:
    data = files.get(file.sha256)
    if data is None or not can_see(file, route):
        return {"type": "text", "text": not_shown(file, route)}
    address = f"data:{file.media_type};base64,{data}"
    if file.is_image:
        return {"type": "image_url", "image_url": {"url": address}}
    return {"type": "file", "file": {"filename": file.path.rpartition("/")[2], "file_data": address}}
