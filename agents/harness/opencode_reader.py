"""What the events of an OpenCode server tell of a session: messages, their parts, questions, the end. Pure.

A message of the model's is one model call; its parts come whole again with each change. A message of a person's that
comes while it works is taken in by the model's next message, which names it as its parent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from agents.harness.fit import add_usage, fit_call, fit_entry, fit_output
from agents.harness.frame import Awaits, Began, Broke, Ended, Event, Noted, Ran, Said, Took, Turned
from agents.harness.opencode_config import TOOLS
from agents.mcp.session import SERVER_NAME
from agents.providers.failure import Failure, failure_of_answer, failure_of_connection, misbehaved, plain
from agents.providers.shape import JsonObject, count_at, object_at, text_at
from protocol.task import ModelRoute, Usage
from protocol.transcript import ToolCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agents.harness.frame import Stop

_STOPS: dict[str, Stop] = {"length": "length", "content-filter": "refused"}
_ARGUMENTS = {"filePath": "path", "oldString": "old", "newString": "new", "patchText": "input"}
_UNASKED = ("todowrite", "invalid")
_CUT_OFF = ("socket connection was closed", "Connection reset", "Cannot connect")


class Reader:
    """One turn of a session: from a task's prompt until the session is idle."""

    def __init__(self) -> None:
        self.model = ModelRoute(route="", api="openai", model="")
        self.servers: tuple[str, ...] = ()
        """The names of the MCP servers that are not ours."""
        self._kinds: dict[str, str] = {}
        """Part → `text`, `reasoning`, …"""
        self._people: list[str] = []
        """Messages of people's, in order: the prompt, then those told meanwhile."""
        self._told: list[str] = []
        """Our names of those told, in order."""
        self._taken = 0
        self._calls: dict[str, ToolCall] = {}
        """Begun or waiting to, by their own id."""
        self._waiting: dict[str, str] = {}
        """Call → the question that is asked about it."""
        self._begun: set[str] = set()
        self._text: dict[str, str] = {}
        """Part → what it says, of those that no turn has held yet."""
        self._given: set[str] = set()
        """The other texts' parts."""
        self._answer: list[str] = []
        self._usage: Usage | None = None
        self._finish = ""
        self._failure: Failure | None = None
        self._is_idle = False

    # -- what is told

    def tell(self, message_id: str) -> None:
        """Know that a message was handed over; without a name nobody asks whether it was taken in."""
        self._told.append(message_id)

    def untell(self, message_id: str) -> Iterator[Event]:
        """Know that the server did not take it."""
        if message_id in self._told:
            self._told.remove(message_id)
        yield from self._end_if_over()

    def has_begun(self, call_id: str) -> bool:
        return call_id in self._begun

    # -- what it tells

    def take(self, kind: str, given: JsonObject) -> Iterator[Event]:
        match kind:
            case "message.updated":
                yield from self._message(object_at(given, "info"))
            case "message.part.updated":
                yield from self._part(object_at(given, "part"))
            case "message.part.delta" if text_at(given, "field") == "text":
                part_id = text_at(given, "partID")
                if self._kinds.get(part_id) == "text":
                    self._text[part_id] = self._text.get(part_id, "") + text_at(given, "delta")
                    yield Said(text=text_at(given, "delta"))
            case "permission.asked":
                yield from self._asked(text_at(given, "id"), text_at(object_at(given, "tool"), "callID"))
            case "session.status" if text_at(object_at(given, "status"), "type") == "retry":
                why = plain(text_at(object_at(given, "status"), "message"))
                yield Noted(kind="retry", text=f"The model service does not answer: {why}. Asking again.")
            case "session.compacted":
                yield Noted(kind="note", text="OpenCode sums up the conversation, which fills the model's window")
            case "session.error":
                self._fail(object_at(given, "error"))
            case "session.idle":
                self._is_idle = True
                yield from self._end_if_over()

    def _message(self, info: JsonObject) -> Iterator[Event]:
        message_id = text_at(info, "id")
        if text_at(info, "role") == "user":
            if message_id not in self._people:
                self._people.append(message_id)
            return
        parent = text_at(info, "parentID")
        self._finish = text_at(info, "finish") or self._finish
        if parent in self._people:
            taken = self._people.index(parent)  # the prompt is the first
            while self._taken < taken and self._told:
                self._taken += 1
                name = self._told.pop(0)
                if name:
                    yield from self._flush()
                    yield Took(message_id=name)

    def _part(self, part: JsonObject) -> Iterator[Event]:
        part_id, kind = text_at(part, "id"), text_at(part, "type")
        is_new = part_id not in self._kinds
        if text_at(part, "messageID") in self._people:
            return
        self._kinds[part_id] = kind
        match kind:
            case "step-start":
                self._is_idle = False
                if self._finish != "stop":  # else it has answered, and a message came that it answers too
                    self._answer = []
                self._finish = ""
            case "reasoning" if is_new:
                yield Noted(kind="thinking", text="Thinking")
            case "text" if "end" in object_at(part, "time"):
                self._answer.append(text_at(part, "text"))
                if part_id not in self._given:  # with a call that began before the text was closed
                    self._text[part_id] = text_at(part, "text")
            case "tool":
                yield from self._tool(part, object_at(part, "state"))
            case "step-finish":
                self._usage = add_usage(self._usage, _usage(object_at(part, "tokens")))

    def _tool(self, part: JsonObject, state: JsonObject) -> Iterator[Event]:
        call_id, name, status = text_at(part, "callID"), text_at(part, "tool"), text_at(state, "status")
        if status == "pending":
            return
        if call_id not in self._calls:
            call = self._call(call_id, name, state.get("input"))
            self._calls[call_id] = call
            yield self._turned(call)
            if call_id in self._waiting or name in _UNASKED:
                yield from self._begin(call_id)
        if status in ("completed", "error") and not self._is_ours(name):
            yield from self._begin(call_id)
            metadata = object_at(state, "metadata")
            code = metadata.get("exit")
            text = text_at(state, "output") if status == "completed" else text_at(state, "error")
            text = f"{text}\n[exit code {code}]".lstrip() if code not in (0, None) else text
            yield Ran(output=fit_output(call_id, text, is_error=status == "error" or code not in (0, None)))
            if self._calls[call_id].name == "shell":
                yield Awaits(gate="")

    def _asked(self, question: str, call_id: str) -> Iterator[Event]:
        """A question may come before the call's arguments."""
        self._waiting[call_id] = question
        if call_id in self._calls:
            yield from self._begin(call_id)

    def _begin(self, call_id: str) -> Iterator[Event]:
        if call_id not in self._begun:
            self._begun.add(call_id)
            yield Began(call=self._calls[call_id], gate=self._waiting.pop(call_id, ""))

    def _call(self, call_id: str, name: str, arguments: object) -> ToolCall:
        given = arguments if isinstance(arguments, dict) else {}
        named = {_ARGUMENTS.get(key, key): value for key, value in given.items()} if name in TOOLS else given
        return fit_call(call_id, self._name(name), named)

    def _name(self, name: str) -> str:
        for server in (SERVER_NAME, *self.servers):
            if name.startswith(f"{server}_"):
                return f"mcp__{server}__{name[len(server) + 1 :]}"
        return TOOLS.get(name, name)

    def _is_ours(self, name: str) -> bool:
        return name.startswith(f"{SERVER_NAME}_")

    # -- the end

    def _fail(self, error: JsonObject) -> None:
        name, data = text_at(error, "name"), object_at(error, "data")
        message, status = text_at(data, "message"), data.get("statusCode")
        route, model = self.model.route, self.model.model
        if name == "MessageAbortedError":
            return
        if name == "MessageOutputLengthError":
            self._finish = "length"
        elif name == "ContentFilterError":
            self._finish = "content-filter"
        elif isinstance(status, int) and status != 200:
            headers = {
                key: value for key, value in object_at(data, "responseHeaders").items() if isinstance(value, str)
            }
            body = text_at(data, "responseBody") or message
            self._failure = failure_of_answer(route, model, status, headers, body)
        elif name == "ContextOverflowError":
            body = json.dumps({"error": {"message": message}})
            self._failure = failure_of_answer(route, model, 413, {}, body)
        elif any(mark in message for mark in _CUT_OFF):
            self._failure = failure_of_connection(route, "broken", plain(message))
        else:
            self._failure = misbehaved(route, plain(message) or name)

    def _end_if_over(self) -> Iterator[Event]:
        """End, unless a message that was handed over in the last moment is still to be taken in."""
        if not self._is_idle or (self._told and self._failure is None):
            return
        answer = "\n\n".join(self._answer)
        yield from self._flush()
        if self._failure is not None:
            yield Broke(failure=self._failure)
        elif self._finish in _STOPS:
            yield Ended(text=answer, stop=_STOPS[self._finish])
        elif not answer and self._finish in ("unknown", "other", "error"):
            yield Broke(failure=misbehaved(self.model.route, "an answer without a word and without an end"))
        else:
            yield Ended(text=answer)

    def _flush(self) -> Iterator[Event]:
        if self._text:
            yield self._turned()

    def _turned(self, *calls: ToolCall) -> Turned:
        """Return the part of the model's turn that ends here."""
        texts, usage, self._text, self._usage = tuple(self._text.values()), self._usage, {}, None
        self._given.update(self._kinds)
        return Turned(entry=fit_entry(texts, *calls), usage=usage)


def _usage(tokens: JsonObject) -> Usage:
    cache = object_at(tokens, "cache")
    read, written = count_at(cache, "read"), count_at(cache, "write")
    reasoning = count_at(tokens, "reasoning")
    return Usage(
        model_calls=1,
        input_tokens=count_at(tokens, "input") + read + written,
        output_tokens=count_at(tokens, "output") + reasoning,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )
