"""Codex (OpenAI), as `codex app-server`: JSON-RPC in lines, an open stdin, a waiting process, steering. Pure.

What it says and takes was learnt from the program itself, version 0.169 (docs/harnesses.md). One of its threads is one
session of ours, one of its turns one task. What it tells of a turn is `codex_reader.py`'s, its files are
`codex_config.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from agents import VERSION
from agents.harness.codex_config import APPROVALS, SANDBOX, build_launch
from agents.harness.codex_items import command_of
from agents.harness.codex_reader import Reader
from agents.harness.fit import fit_call, fit_output
from agents.harness.frame import Began, Brief, Broke, Event, Launch, Opened, Prompt, Ran, Ready, Took, Write
from agents.places import Places
from agents.providers.failure import Failure, plain
from agents.providers.shape import JsonObject, object_at, text_at
from protocol.link import McpServer, SteerMessage

_INITIALIZE, _SKILLS, _RESUME, _START, _TURN = 1, 2, 3, 4, 5
_FIRST_TELL = 100
_NOT_HERE = {"code": -32601, "message": "nobody is here to be asked that; the tool ask_user asks people"}
_REFUSED = "The call that you wanted to make was refused:"


class Codex:
    """One started `codex app-server`."""

    def __init__(self) -> None:
        self._reader = Reader()
        self._session = ""
        self._place: Mapping[str, object] = {}
        self._skills = ""
        self._thread = ""
        self._turn = ""
        self._prompt_id = ""
        self._next_id = _FIRST_TELL
        self._early: list[SteerMessage] = []
        """Told before the turn had its id."""
        self._writing: dict[str, str] = {}
        """Request id → the call that writes to a running command."""

    def launch(self, brief: Brief, places: Places, own_server: McpServer, new_session: str) -> Launch:  # noqa: ARG002
        self._reader.model = brief.model
        self._session = brief.session
        # A session keeps what it was begun with, unless it is told anew.
        model = {"model": brief.model.model, "approvalPolicy": APPROVALS, "sandbox": SANDBOX}
        self._place = {"cwd": places.workspace, **model}
        self._skills = places.skills
        return build_launch(brief, places, own_server)

    def opening(self) -> bytes:
        client = {"name": "nightyard", "version": VERSION}
        lines = [
            _request(_INITIALIZE, "initialize", {"clientInfo": client, "capabilities": {"experimentalApi": True}}),
            _line({"method": "initialized"}),
            _request(_SKILLS, "skills/extraRoots/set", {"extraRoots": [self._skills]}),
        ]
        if self._session:
            given = {"threadId": self._session, "excludeTurns": True, **self._place}
            lines.append(_request(_RESUME, "thread/resume", given))
        else:
            lines.append(_request(_START, "thread/start", self._place))
        return b"".join(lines)

    def warm_up(self) -> bytes:
        return b""  # its first turn is as quick as its second

    def begin(self, prompt: Prompt) -> bytes:
        parts: list[object] = [{"type": "text", "text": prompt.text}]
        for media_type, data in prompt.images:
            if media_type.startswith("image/"):  # it takes no PDF
                parts.append({"type": "image", "url": f"data:{media_type};base64,{data}"})
        self._prompt_id = prompt.message_id
        given = {"threadId": self._thread, "input": parts, "clientUserMessageId": prompt.message_id}
        return _request(_TURN, "turn/start", given)

    def tell(self, message: SteerMessage) -> bytes | None:
        if not self._turn:
            self._early.append(message)
            return b""
        return self._steer(message.text, message.message_id)

    def answer(self, gate: str, refusal: str) -> bytes:
        kind, _, number = gate.partition(" ")
        if kind == "mcp":
            result: JsonObject = {"action": "decline" if refusal else "accept", "content": {}}
        else:
            result = {"decision": "decline" if refusal else "accept"}
        answered = _line({"id": int(number), "result": result})
        # Codex tells the model only that it was refused; the reason is a message.
        return answered + self._steer(f"{_REFUSED} {refusal}") if refusal else answered

    def comment(self, gate: str, words: str) -> bytes:  # noqa: ARG002
        return self._steer(words) if words else b""

    def stop(self) -> bytes:
        return self._ask("turn/interrupt", {"turnId": self._turn}) if self._turn else b""

    def take(self, line: bytes) -> Sequence[Event]:
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError("a line that is no object")
        method, params = text_at(value, "method"), object_at(value, "params")
        if method and "id" in value:
            return tuple(self._take_question(value["id"], method, params))
        if method:
            return tuple(self._take_notice(method, params))
        return tuple(self._take_answer(value))

    def ended(self, exit_code: int, stderr: str) -> Failure:
        lines = stderr.strip().splitlines()
        said = plain(lines[-1]) if lines else "it said nothing"
        return Failure(code="harness_ended", reason=f"Codex ended by itself (exit code {exit_code}): {said}")

    # -- what it answers

    def _take_answer(self, value: JsonObject) -> Iterator[Event]:
        number, result = value.get("id"), object_at(value, "result")
        said = plain(text_at(object_at(value, "error"), "message"))
        if number in (_INITIALIZE, _RESUME, _START, _TURN) and "error" in value:
            yield Broke(failure=Failure(code="harness_refused", reason=f"Codex cannot begin: {said}"))
        elif number in (_RESUME, _START):
            self._thread = text_at(object_at(result, "thread"), "id")
            yield Ready()
        elif number == _TURN:
            yield from self._begin_turn(text_at(object_at(result, "turn"), "id"))

    def _begin_turn(self, turn: str) -> Iterator[Event]:
        if self._turn or not self._prompt_id:
            return
        self._turn = turn
        yield Opened(session=self._thread)
        early, self._early = self._early, []
        if early:
            yield Write(data=b"".join(self._steer(message.text, message.message_id) for message in early))

    # -- what it asks

    def _take_question(self, number: object, method: str, params: JsonObject) -> Iterator[Event]:
        item_id = text_at(params, "itemId")
        if method == "item/commandExecution/requestApproval":
            if text_at(params, "kind") in ("", "command") and self._reader.knows(item_id):
                yield from self._reader.begin(item_id, f"item {number}")
            else:
                yield from self._begin_writing(number, params)
        elif method == "item/fileChange/requestApproval" and self._reader.knows(item_id):
            yield from self._reader.begin(item_id, f"item {number}")
        elif method == "mcpServer/elicitation/request" and (found := self._reader.asked_tool(params)):
            yield from self._reader.begin(found, f"mcp {number}")
        else:
            yield Write(data=_line({"id": number, "error": _NOT_HERE}))

    def _begin_writing(self, number: object, params: JsonObject) -> Iterator[Event]:
        """What is written to a command that runs is a command too."""
        call_id = text_at(params, "approvalId") or f"write_{number}"
        call = fit_call(call_id, "shell", {"command": command_of(text_at(params, "command"))})
        self._writing[str(number)] = call_id
        yield self._reader.turned(call)
        yield Began(call=call, gate=f"item {number}")

    # -- what it tells

    def _take_notice(self, method: str, params: JsonObject) -> Iterator[Event]:
        turn = text_at(params, "turnId") or text_at(object_at(params, "turn"), "id")
        if text_at(params, "threadId") != self._thread:
            return
        if method == "turn/started":
            yield from self._begin_turn(turn)
        elif method == "serverRequest/resolved":
            if call_id := self._writing.pop(str(params.get("requestId")), ""):
                yield Ran(output=fit_output(call_id, "written"))
        elif turn == self._turn and self._turn:  # a session that goes on tells of the turn before it first
            message_id = text_at(object_at(params, "item"), "clientId")
            if method == "item/completed" and message_id:
                yield from self._reader.flush()
                if message_id != self._prompt_id:
                    yield Took(message_id=message_id)
            else:
                yield from self._reader.take(method, params)

    # -- what we ask

    def _steer(self, text: str, message_id: str = "") -> bytes:
        given: JsonObject = {"expectedTurnId": self._turn, "input": [{"type": "text", "text": text}]}
        return self._ask("turn/steer", {**given, "clientUserMessageId": message_id} if message_id else given)

    def _ask(self, method: str, params: Mapping[str, object]) -> bytes:
        self._next_id += 1
        return _request(self._next_id - 1, method, {"threadId": self._thread, **params})


def _request(number: int, method: str, params: Mapping[str, object]) -> bytes:
    return _line({"id": number, "method": method, "params": params})


def _line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
