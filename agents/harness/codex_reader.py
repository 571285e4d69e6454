"""What Codex tells of a turn: what is said, which items run, what is used, how it ends. Pure.

An item comes twice, started and completed; in between Codex asks whether it may run (`codex.py` takes the question).
What a model call has used is told when the call's tools have ended: it goes with the next part of the turn.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents.harness.codex_failure import failure_of_error, stop_of_error
from agents.harness.codex_items import call_of, is_ours, output_of, waits
from agents.harness.fit import add_usage, fit_entry, fit_output
from agents.harness.frame import Awaits, Began, Broke, Ended, Event, Noted, Ran, Said, Turned
from agents.providers.failure import plain
from agents.providers.shape import JsonObject, count_at, object_at, text_at
from protocol.task import ModelRoute, Usage
from protocol.transcript import ToolCall


class Reader:
    """One turn."""

    def __init__(self) -> None:
        self.model = ModelRoute(route="", api="responses", model="")
        self._running: dict[str, tuple[JsonObject, ToolCall]] = {}
        """By the item's id."""
        self._begun: set[str] = set()
        self._text: list[str] = []
        self._answers: list[str] = []
        """What was answered before a message came that is answered too."""
        self._usage: Usage | None = None

    def take(self, method: str, params: JsonObject) -> Iterator[Event]:
        match method:
            case "item/agentMessage/delta":
                yield Said(text=text_at(params, "delta"))
            case "item/started":
                yield from self._start(object_at(params, "item"))
            case "item/completed":
                yield from self._complete(object_at(params, "item"))
            case "thread/tokenUsage/updated":
                used = _usage(object_at(object_at(params, "tokenUsage"), "last"))
                self._usage = add_usage(self._usage, used)
            case "error" if params.get("willRetry") is True:
                error = object_at(params, "error")
                why = plain(text_at(error, "additionalDetails") or text_at(error, "message"))
                yield Noted(kind="retry", text=f"The model service does not answer: {why}. Asking again.")
            case "turn/completed":
                yield from self._end(object_at(params, "turn"))

    def begin(self, item_id: str, gate: str) -> Iterator[Event]:
        """Begin an item that asks whether it may run."""
        if item_id in self._running and item_id not in self._begun:
            self._begun.add(item_id)
            yield Began(call=self._running[item_id][1], gate=gate)

    def knows(self, item_id: str) -> bool:
        return item_id in self._running

    def asked_tool(self, params: JsonObject) -> str:
        """Return the item of the MCP call that a question is about, which does not name it; empty for none."""
        wanted = (text_at(params, "serverName"), text_at(object_at(params, "_meta"), "tool_name"))
        for item_id, (item, _) in self._running.items():
            if (text_at(item, "server"), text_at(item, "tool")) == wanted and item_id not in self._begun:
                return item_id
        return ""

    def turned(self, *calls: ToolCall) -> Turned:
        """Return the part of the model's turn that ends here."""
        texts, usage, self._text, self._usage = self._text, self._usage, [], None
        return Turned(entry=fit_entry(texts, *calls), usage=usage)

    def flush(self) -> Iterator[Event]:
        """Give what was said since the last call: an answer, since no call is part of it."""
        if self._text:
            self._answers.append(self._text[-1])
            yield self.turned()

    def _start(self, item: JsonObject) -> Iterator[Event]:
        if text_at(item, "type") == "reasoning":
            yield Noted(kind="thinking", text="Thinking")
        call = call_of(item)
        if call is None:
            return
        yield self.turned(call)
        if is_ours(call):
            return
        item_id = text_at(item, "id")
        self._running[item_id] = item, call
        if not waits(item):
            yield from self.begin(item_id, "")

    def _complete(self, item: JsonObject) -> Iterator[Event]:
        item_id = text_at(item, "id")
        match text_at(item, "type"):
            case "agentMessage":
                self._text.append(text_at(item, "text"))
            case "contextCompaction":
                yield Noted(kind="note", text="Codex sums up the conversation, which fills the model's window")
        if item_id in self._running:
            yield from self.begin(item_id, "")
            del self._running[item_id]
            yield Ran(output=output_of(item))
            if text_at(item, "type") == "commandExecution":
                yield Awaits(gate="")

    def _end(self, turn: JsonObject) -> Iterator[Event]:
        is_cut_off = text_at(turn, "status") == "interrupted"
        for item_id in self._running:
            if item_id in self._begun and not is_cut_off:
                yield Ran(output=fit_output(item_id, "[goes on in the background, until the task ends]"))
        self._running.clear()
        yield from self.flush()
        answer = "\n\n".join(self._answers)
        error = object_at(turn, "error")
        stop = stop_of_error(error)
        if text_at(turn, "status") != "failed":
            yield Ended(text=answer)
        elif stop is not None:
            yield Ended(text=answer, stop=stop)
        else:
            yield Broke(failure=failure_of_error(self.model, error))


def _usage(used: JsonObject) -> Usage:
    return Usage(
        model_calls=1,
        input_tokens=count_at(used, "inputTokens"),
        output_tokens=count_at(used, "outputTokens"),
        cache_read_tokens=count_at(used, "cachedInputTokens"),
        cache_write_tokens=count_at(used, "cacheWriteInputTokens"),
        reasoning_tokens=count_at(used, "reasoningOutputTokens"),
    )
