"""OpenCode, as `opencode serve` behind `opencode_bridge.py`: requests and events in lines. Pure.

What it says and takes was learnt from the program itself, version 1.18 (docs/harnesses.md). One of its sessions is one
of ours. What its events mean is `opencode_reader.py`'s, its settings are `opencode_config.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from agents.harness.frame import Brief, Broke, Event, Launch, Opened, Prompt, Ready, Write
from agents.harness.opencode_config import build_launch
from agents.harness.opencode_reader import Reader
from agents.places import Places
from agents.providers.failure import Failure, plain
from agents.providers.shape import JsonObject, object_at, text_at
from protocol.link import McpServer, SteerMessage

_NEW, _OLD, _PROMPT, _STOP, _ANSWER, _SERVERS, _WARM = "new", "old", "prompt", "stop", "answer", "mcp", "warm"
_TITLE = "Nightyard"
"""Given, it is not asked of a model."""
_WARM_PATHS = ("/config/providers", "/agent")


class OpenCode:
    """One started server."""

    def __init__(self) -> None:
        self._reader = Reader()
        self._wanted = ""
        self._session = ""
        self._instructions = ""
        self._warming = 0

    def launch(self, brief: Brief, places: Places, own_server: McpServer, new_session: str) -> Launch:  # noqa: ARG002
        self._reader.model = brief.model
        self._reader.servers = tuple(server.name for server in brief.servers)
        self._wanted = brief.session
        self._instructions = brief.instructions
        return build_launch(brief, places, own_server)

    def opening(self) -> bytes:
        return b""  # it speaks first

    def warm_up(self) -> bytes:
        """Have it read its settings."""
        self._warming = len(_WARM_PATHS)
        return b"".join(_request(_WARM, "GET", path) for path in _WARM_PATHS)

    def begin(self, prompt: Prompt) -> bytes:
        files: list[JsonObject] = [
            {"type": "file", "mime": media_type, "filename": f"{number}", "url": f"data:{media_type};base64,{data}"}
            for number, (media_type, data) in enumerate(prompt.images, start=1)
        ]
        return self._prompt(_PROMPT, prompt.text, files)

    def tell(self, message: SteerMessage) -> bytes | None:
        self._reader.tell(message.message_id)
        return self._prompt(f"tell {message.message_id}", message.text)

    def answer(self, gate: str, refusal: str) -> bytes:
        body: JsonObject = {"reply": "reject", "message": refusal} if refusal else {"reply": "once"}
        return _request(_ANSWER, "POST", f"/permission/{gate}/reply", body)

    def comment(self, gate: str, words: str) -> bytes:  # noqa: ARG002
        if not words:
            return b""
        self._reader.tell("")
        return self._prompt("tell ", words)

    def stop(self) -> bytes:
        return _request(_STOP, "POST", f"/session/{self._session}/abort") if self._session else b""

    def take(self, line: bytes) -> Sequence[Event]:
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError("a line that is no object")
        if value.get("up") is True:
            path = f"/session/{self._wanted}"
            return (Write(data=_request(_OLD, "GET", path) if self._wanted else self._new_session()),)
        if "answer" in value:
            return tuple(self._answered(text_at(value, "answer"), value.get("status"), object_at(value, "body")))
        kind, given = text_at(value, "type"), object_at(value, "properties")
        if not self._session or text_at(given, "sessionID") != self._session:
            return ()
        if kind == "permission.asked":
            call_id = text_at(object_at(given, "tool"), "callID")
            if not call_id or self._reader.has_begun(call_id):  # a second question about one call
                return (Write(data=self.answer(text_at(given, "id"), "")),)
        return tuple(self._reader.take(kind, given))

    def ended(self, exit_code: int, stderr: str) -> Failure:
        lines = stderr.strip().splitlines()
        said = plain(lines[-1]) if lines else "it said nothing"
        return Failure(code="harness_ended", reason=f"OpenCode ended by itself (exit code {exit_code}): {said}")

    def _answered(self, request: str, status: object, body: JsonObject) -> Iterator[Event]:
        is_taken = isinstance(status, int) and 200 <= status < 300
        said = plain(text_at(object_at(body, "data"), "message") or text_at(body, "message") or f"HTTP {status}")
        if request in (_NEW, _OLD) and is_taken:
            self._session = text_at(body, "id")
            yield Write(data=_request(_SERVERS, "GET", "/mcp"))  # it starts them when somebody asks
        elif request == _SERVERS:
            yield Ready()
        elif request in (_NEW, _OLD, _PROMPT) and not is_taken:
            yield Broke(failure=Failure(code="harness_refused", reason=f"OpenCode cannot begin: {said}"))
        elif request == _PROMPT:
            yield Opened(session=self._session)
        elif request == _WARM:
            self._warming -= 1
            if self._warming == 0:
                yield Ready()
        elif request.startswith("tell ") and not is_taken:
            yield from self._reader.untell(request.partition(" ")[2])

    def _new_session(self) -> bytes:
        return _request(_NEW, "POST", "/session", {"title": _TITLE})

    def _prompt(self, request: str, text: str, files: Sequence[JsonObject] = ()) -> bytes:
        parts = [*files, {"type": "text", "text": text}]
        path = f"/session/{self._session}/prompt_async"
        return _request(request, "POST", path, {"system": self._instructions, "parts": parts})


def _request(request: str, method: str, path: str, body: JsonObject | None = None) -> bytes:
    value = {"id": request, "method": method, "path": path, "body": body}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
