"""What Claude Code's lines about its conversation mean: turns, calls, outputs, what was taken in, the end. Pure.

A turn comes as stream events and, block by block, as `assistant` lines of the same message id; it is whole with
`message_stop`, which also brings the output's tokens. Its tools ask by a hook as soon as their block is there: they
are let go when the turn is whole, so that it is stored before anything happens. A sub-agent's turns come without
stream events; each is what came up to its next call's end.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence

from agents.harness.frame import Began, Broke, Ended, Event, Noted, Opened, Ran, Said, Took, Turned
from agents.providers.failure import Failure, failure_of_answer, failure_of_connection, misbehaved
from agents.tools.toolbox import storable
from protocol.codec import ShapeError, check_json
from protocol.task import ModelRoute, Usage
from protocol.transcript import Entry, ToolCall, ToolOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agents.harness.frame import Stop

Object = dict[str, object]

MAX_TEXT_CHARS = 200_000
"""Of one turn's text, as it is stored."""
MAX_CALLS = 64
_LONGEST_WAIT_S = 60.0
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
OWN = "mcp__nightyard__"
"""What its model calls our tools by."""
_SYNTHETIC = "<synthetic>"
_SUMS_UP = "The conversation fills the model's window, and is summed up"
_STATUS = re.compile(r"API Error:? (\d{3})\b")
_TOOLS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "Bash": ("shell", {}),
    "Read": ("read_file", {"file_path": "path"}),
    "Write": ("write_file", {"file_path": "path"}),
    "Edit": ("edit_file", {"file_path": "path"}),
    "NotebookEdit": ("edit_file", {"notebook_path": "path"}),
    "Glob": ("glob", {}),
    "Grep": ("grep", {}),
    "Skill": ("skill", {"skill": "name"}),
    "Agent": ("sub_agent", {"prompt": "task"}),
    "Task": ("sub_agent", {"prompt": "task"}),
}
"""Its tools that are ours by another name: constraints, tool sets and what people are shown know ours."""
_HAD = ("Bash", "Read", "Write", "Edit", "NotebookEdit", "Glob", "Grep", "Skill", "Agent", "TodoWrite")
"""What it has of its own. The web is read by our tools: by grants, and marked as strangers' words."""
_TOO_LONG = ("prompt_too_long", "blocking_limit")
"""Of its reasons to end: the service says so, or it does not even ask."""
_NAMESPACE = uuid.UUID("6f1f0f0e-3b0a-4f5e-9a52-5d6f5d0a7c11")


def tools_to_have(without: Sequence[str]) -> tuple[str, ...]:
    """Return its tools for an agent that does not have these of ours."""
    return tuple(name for name in _HAD if _TOOLS.get(name, (name,))[0] not in without)


class _Turn:
    """One model turn as it grows."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.texts: list[str] = []
        self.calls: dict[str, ToolCall] = {}
        self.counts: dict[str, int] = {}

    def usage(self) -> Usage:
        given = self.counts.get
        read, written = given("cache_read_input_tokens", 0), given("cache_creation_input_tokens", 0)
        return Usage(
            model_calls=1,
            input_tokens=given("input_tokens", 0) + read + written,
            output_tokens=given("output_tokens", 0),
            cache_read_tokens=read,
            cache_write_tokens=written,
        )

    def count(self, usage: Object) -> None:
        for name, value in usage.items():
            if type(value) is int and 0 <= value < 1 << 40:
                self.counts[name] = max(self.counts.get(name, 0), value)


class Reader:
    """The lines of one started program."""

    def __init__(self) -> None:
        self._model = ModelRoute(route="", api="anthropic", model="")
        self._turns: dict[str, _Turn] = {}
        """By branch: the turn that is not whole yet."""
        self._branches: dict[str, str] = {}
        """Call → the branch whose call it is."""
        self._held: list[Began] = []
        self._told: dict[str, str] = {}
        self._own: set[str] = set()
        """Calls of our tools, whose steps are not told here."""
        self._outputs: set[str] = set()
        self._is_summing_up = False
        self._why_not_summed_up = ""

    def begin_on(self, model: ModelRoute) -> None:
        self._model = model

    def name_told(self, message_id: str) -> str:
        """Return the UUID under which a message is written; it comes back when the model has it."""
        name = str(uuid.uuid5(_NAMESPACE, message_id))
        self._told[name] = message_id
        return name

    def take(self, kind: str, value: Object) -> Iterator[Event]:
        branch = text_at(value, "parent_tool_use_id")
        match kind:
            case "stream_event" if not branch:
                yield from self._stream(at(value, "event"))
            case "assistant":
                yield from self._assistant(at(value, "message"), branch)
            case "user":
                yield from self._user(value, branch)
            case "system":
                yield from self._system(text_at(value, "subtype"), value)
            case "result":
                yield from self._close_all()
                yield self._end(value)

    def before_tool(self, call_id: str, name: str, arguments: object, gate: str) -> Iterator[Event]:
        """Hold a call until its turn is stored."""
        call = _call(call_id, name, arguments)
        branch = self._branches.get(call.call_id, "")
        self._held.append(Began(call=call, gate=gate, branch=branch))
        if branch or "" not in self._turns:
            yield from self._close(branch)

    def before_own_tool(self, call_id: str) -> Iterator[Event]:
        """Have the turn of a call of ours stored: its steps follow from elsewhere."""
        yield from self._close(self._branches.get(call_id_of(call_id), ""))

    def _stream(self, event: Object) -> Iterator[Event]:
        match text_at(event, "type"):
            case "message_start":
                yield from self._close("")  # one that broke off is answered anew
                message = at(event, "message")
                self._turns[""] = turn = _Turn(text_at(message, "id"))
                turn.count(at(message, "usage"))
            case "content_block_delta":
                text = text_at(at(event, "delta"), "text")
                if text:
                    yield Said(text=text)
            case "message_delta" if "" in self._turns:
                self._turns[""].count(at(event, "usage"))
            case "message_stop":
                yield from self._close("")

    def _assistant(self, message: Object, branch: str) -> Iterator[Event]:
        if message.get("model") == _SYNTHETIC:
            return  # its own words about an error: the result says them too
        message_id = text_at(message, "id")
        turn = self._turns.get(branch)
        if turn is None or turn.message_id != message_id:
            yield from self._close(branch)
            turn = self._turns[branch] = _Turn(message_id)
        turn.count(at(message, "usage"))
        for block in blocks(message):
            if block.get("type") == "text":
                turn.texts.append(text_at(block, "text"))
            elif block.get("type") == "tool_use" and len(turn.calls) < MAX_CALLS:
                call = _call(text_at(block, "id"), text_at(block, "name"), block.get("input"))
                turn.calls[call.call_id] = call
                self._branches[call.call_id] = branch
                if call.name.startswith(OWN):
                    self._own.add(call.call_id)
        if message.get("stop_reason") is not None:  # not streamed: it is whole
            yield from self._close(branch)

    def _user(self, value: Object, branch: str) -> Iterator[Event]:
        if value.get("isReplay") is True:
            message_id = self._told.pop(text_at(value, "uuid"), "")
            if message_id:
                yield Took(message_id=message_id)
            return
        for block in blocks(at(value, "message")):
            call_id = call_id_of(text_at(block, "tool_use_id"))
            if block.get("type") != "tool_result" or call_id in self._outputs:
                continue
            yield from self._close(branch)
            self._outputs.add(call_id)
            if call_id not in self._own:
                output = ToolOutput(call_id=call_id, text=_output_text(block), is_error=block.get("is_error") is True)
                yield Ran(output=output, branch=branch)

    def _system(self, subtype: str, value: Object) -> Iterator[Event]:
        match subtype:
            case "init":
                yield Opened(session=text_at(value, "session_id"))
            case "status" if value.get("status") == "compacting":
                if not self._is_summing_up:  # it says so again every half minute
                    yield Noted(kind="note", text=_SUMS_UP)
                self._is_summing_up, self._why_not_summed_up = True, ""
            case "status" if "compact_result" in value:
                # What the service refuses it here is asked again without a word, for half a minute.
                self._is_summing_up, self._why_not_summed_up = False, text_at(value, "compact_error")
            case "api_retry":
                yield from self._close_all()
                yield self._retry(value)
            case "compact_boundary":
                yield Noted(kind="note", text="The conversation was summed up, since it filled the model's window")

    def _retry(self, value: Object) -> Event:
        status, delay = value.get("error_status"), value.get("retry_delay_ms")
        wait_s = delay / 1000 if isinstance(delay, int | float) else 0.0
        said = text_at(value, "error").replace("_", " ")
        failure = self._failure(status if isinstance(status, int) else None, said)
        if failure.retry == "never":  # it asks again with the same key all the same
            return Broke(failure=failure)
        if wait_s > _LONGEST_WAIT_S:
            reason = f"{failure.reason}; it is to be asked again in {round(wait_s / 60)} min"
            return Broke(failure=Failure(code=failure.code, reason=reason))
        return Noted(kind="retry", text=f"{failure.reason}. Asking again in {max(1, round(wait_s))} s.")

    def _end(self, value: Object) -> Event:
        said, status = text_at(value, "result"), value.get("api_error_status")
        if value.get("is_error") is not True:
            stops: Mapping[object, Stop] = {"max_tokens": "length", "refusal": "refused"}
            return Ended(text=said[:MAX_TEXT_CHARS], stop=stops.get(value.get("stop_reason"), "end"))
        if value.get("terminal_reason") in _TOO_LONG:
            given = _STATUS.search(self._why_not_summed_up)
            if given is None:
                status, said = 413, said.partition(" · ")[0]
            else:
                status, said = int(given[1]), self._why_not_summed_up
        return Broke(failure=self._failure(status if isinstance(status, int) else None, said or _errors(value)))

    def _failure(self, status: int | None, said: str) -> Failure:
        route, name = self._model.route, self._model.model
        detail = re.sub(r"^(Failed to authenticate\. )?(API Error:? ?)?(Request rejected \(\d+\) · |\d{3} )?", "", said)
        if status is not None:
            return failure_of_answer(route, name, status, {}, json.dumps({"error": {"message": detail}}))
        if "malformed response" in detail:
            return misbehaved(route, detail)
        return failure_of_connection(route, "broken", detail)

    def _close_all(self) -> Iterator[Event]:
        for branch in tuple(self._turns):
            yield from self._close(branch)
        yield from self._let_go()

    def _close(self, branch: str) -> Iterator[Event]:
        """Say what the turn is, if one is open, then which of its calls begin."""
        turn = self._turns.pop(branch, None)
        if turn is not None and (turn.texts or turn.calls):
            text = "\n\n".join(text for text in turn.texts if text.strip())[:MAX_TEXT_CHARS]
            entry = Entry(role="assistant", text=text, calls=tuple(turn.calls.values()))
            yield Turned(entry=entry, usage=turn.usage(), branch=branch)
        yield from self._let_go()

    def _let_go(self) -> Iterator[Event]:
        """Begin the calls whose turns have been said."""
        ready = [held for held in self._held if held.branch not in self._turns]
        self._held = [held for held in self._held if held.branch in self._turns]
        yield from ready


def at(value: Object, name: str) -> Object:
    """Return an object inside another, empty where there is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def text_at(value: Object, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def blocks(message: Object) -> Iterator[Object]:
    """Yield the blocks of a message's content."""
    content = message.get("content")
    yield from (block for block in content if isinstance(block, dict)) if isinstance(content, list) else ()


def call_id_of(given: str) -> str:
    """Return a call's id as every store takes it."""
    return given if _CALL_ID.fullmatch(given) else f"call_{uuid.uuid5(_NAMESPACE, given).hex}"


def _call(call_id: str, name: str, arguments: object) -> ToolCall:
    """Return a call by our tools' names."""
    ours, renamed = _TOOLS.get(name, (name[:200], {}))
    given = arguments if isinstance(arguments, dict) else {}
    try:
        checked = check_json({renamed.get(key, key): value for key, value in given.items()}, "arguments")
    except ShapeError:
        checked = {}
    return ToolCall(call_id=call_id_of(call_id), name=ours, arguments=checked)


def _output_text(block: Object) -> str:
    content = block.get("content")
    if isinstance(content, str):
        return storable(content)
    parts = (
        text_at(part, "text") if part.get("type") == "text" else f"[{text_at(part, 'type')[:40]}]"
        for part in blocks(block)
    )
    return storable("\n".join(parts))


def _errors(value: Object) -> str:
    errors = value.get("errors")
    found = [error for error in errors if isinstance(error, str)] if isinstance(errors, list) else []
    return "; ".join(found) or text_at(value, "subtype") or "no reason was given"
