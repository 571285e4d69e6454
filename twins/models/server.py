"""The twin's server: three APIs, faults on demand, a log of what arrived.

Beside the providers' paths it has a side for tests and bench: POST /twin/script (a script for the model `scripted`),
POST /twin/fault, GET and DELETE /twin/log.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from twins.http_server import Exchange, Request, serve_http
from twins.models import anthropic, embeddings, openai, responses, transcription
from twins.models.script import Conversation, Rule, ScriptError, Turn, decide_turn, parse_script

WALKTHROUGH = Path(__file__).parent / "walkthrough.json"
LOG_LENGTH = 10_000
SILENCE_S = 3600.0
FAULT_KINDS = ("status", "reset", "half_stream", "error_event", "silence", "delay", "garbage")
APIS = {"/v1/messages": anthropic, "/v1/chat/completions": openai, "/v1/responses": responses}


@dataclass(slots=True, kw_only=True)
class Fault:
    """What the next `times` model calls suffer instead of, or before, an answer."""

    kind: str
    """status, reset (before any byte), half_stream (reset in the middle), error_event (an error in the middle, in the
    API's own way), silence, delay, garbage."""
    times: int = 1
    status: int = 500
    retry_after: str | None = None
    seconds: float = 0.0
    message: str = "the twin was told to fail"


@dataclass(slots=True, kw_only=True)
class ModelTwin:
    """The twin's state, shared by its connections."""

    required_key: str | None = None
    """The key that callers must bring; None: any or none."""
    scripts: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))
    calls: int = 0

    async def handle(self, request: Request, exchange: Exchange) -> None:
        """Answer one request of a provider's client or of a test."""
        if request.path.startswith("/twin/"):
            await self._handle_side(request, exchange)
        elif request.path == "/v1/models":
            await exchange.answer_json(200, {"object": "list", "data": [{"id": name} for name in self.scripts]})
        elif request.path == "/v1/embeddings" and request.method == "POST":
            await self._handle_embeddings(request, exchange)
        elif request.path == "/v1/audio/transcriptions" and request.method == "POST":
            await self._handle_transcription(request, exchange)
        elif request.path in APIS and request.method == "POST":
            await self._handle_model_call(request, exchange)
        else:
            await exchange.answer_json(404, anthropic.error_body(404, f"no such path: {request.path}"))

    async def _handle_model_call(self, request: Request, exchange: Exchange) -> None:
        api = APIS[request.path]
        key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            body = request.json()
            conversation = replace(api.read_conversation(body), request=request.body.decode())
        except (ValueError, KeyError, TypeError) as error:
            await exchange.answer_json(400, api.error_body(400, f"not a valid request: {error!r}"))
            return
        self.calls += 1
        number = self.calls
        seen = {"path": request.path, "model": conversation.model, "key": key, "said": conversation.said}
        self.log.append({"number": number, "arrived": request.arrived, "bytes": len(request.body), **seen})
        if self.required_key is not None and key != self.required_key:
            await exchange.answer_json(401, api.error_body(401, "invalid x-api-key"))
            return
        if conversation.model not in self.scripts:
            await exchange.answer_json(404, api.error_body(404, f"model: {conversation.model}"))
            return
        fault = self._next_fault()
        if fault is not None and await self._suffer(fault, api.error_body, exchange):
            return
        turn = decide_turn(self.scripts[conversation.model], conversation)
        await asyncio.sleep(turn.delay_s)
        if not body.get("stream"):
            await exchange.answer_json(200, api.whole_answer(turn, conversation, number, len(request.body)))
            return
        pieces = list(api.stream_events(turn, conversation, number, len(request.body)))
        if fault is not None and fault.kind == "error_event":
            pieces = [*pieces[: len(pieces) // 2], api.error_event(fault.message)]
        await _stream(pieces, turn, fault, exchange)

    async def _handle_embeddings(self, request: Request, exchange: Exchange) -> None:
        try:
            model, texts = embeddings.read_texts(request.json())
        except (ValueError, KeyError, TypeError) as error:
            await exchange.answer_json(400, openai.error_body(400, f"not a valid request: {error!r}"))
            return
        seen = {"model": model, "said": "\n".join(texts), "texts": len(texts)}
        await self._answer_at_once(request, exchange, seen, embeddings.build_answer(model, texts))

    async def _handle_transcription(self, request: Request, exchange: Exchange) -> None:
        try:
            content_type = request.headers.get("content-type", "")
            model, file_name, recording = transcription.read_form(content_type, request.body)
        except ValueError as error:
            await exchange.answer_json(400, openai.error_body(400, str(error)))
            return
        answer = transcription.build_answer(model, recording)
        await self._answer_at_once(request, exchange, {"model": model, "file": file_name, **answer}, answer)

    async def _answer_at_once(
        self, request: Request, exchange: Exchange, seen: dict[str, Any], answer: dict[str, Any]
    ) -> None:
        """Answer a call that is no conversation."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.calls += 1
        seen = {"path": request.path, "key": key, **seen}
        self.log.append({"number": self.calls, "arrived": request.arrived, "bytes": len(request.body), **seen})
        if self.required_key is not None and key != self.required_key:
            await exchange.answer_json(401, openai.error_body(401, "invalid api key"))
            return
        fault = self._next_fault()
        if fault is None or not await self._suffer(fault, openai.error_body, exchange):
            await exchange.answer_json(200, answer)

    def _next_fault(self) -> Fault | None:
        if not self.faults:
            return None
        fault = self.faults[0]
        fault.times -= 1
        if fault.times <= 0:
            self.faults.popleft()
        return fault

    async def _suffer(self, fault: Fault, error_body: Any, exchange: Exchange) -> bool:
        """Do what the fault says; return whether that was the whole answer."""
        if fault.kind == "status":
            headers = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
            await exchange.answer_json(fault.status, error_body(fault.status, fault.message), headers)
        elif fault.kind == "reset":
            exchange.reset()
        elif fault.kind == "silence":
            await asyncio.sleep(fault.seconds or SILENCE_S)
            exchange.reset()
        elif fault.kind == "garbage":
            await exchange.answer(200, b"<html>a gateway's error page</html>", content_type="text/html")
        elif fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        return fault.kind not in ("delay", "half_stream", "error_event")

    async def _handle_side(self, request: Request, exchange: Exchange) -> None:
        try:
            await exchange.answer_json(200, self._side(request))
        except (ScriptError, ValueError, TypeError) as error:
            await exchange.answer_json(400, {"error": str(error)})

    def _side(self, request: Request) -> object:
        if request.path == "/twin/script" and request.method == "POST":
            self.scripts["scripted"] = parse_script(request.body.decode())
        elif request.path == "/twin/fault" and request.method == "POST":
            fault = Fault(**request.json())
            if fault.kind not in FAULT_KINDS:
                raise ValueError(f"kind is one of {', '.join(FAULT_KINDS)}")
            self.faults.append(fault)
        elif request.path == "/twin/fault" and request.method == "DELETE":
            self.faults.clear()
        elif request.path == "/twin/log" and request.method == "GET":
            return list(self.log)
        elif request.path == "/twin/log" and request.method == "DELETE":
            self.log.clear()
        else:
            raise ValueError(f"the twin has no {request.method} {request.path}")
        return {"ok": True}


async def _stream(pieces: list[bytes], turn: Turn, fault: Fault | None, exchange: Exchange) -> None:
    await exchange.start(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    if fault is not None and fault.kind == "half_stream":
        for piece in pieces[: len(pieces) // 2]:
            await exchange.send(piece)
        exchange.reset()
        return
    if turn.pace_s == 0:
        await exchange.send(b"".join(pieces))
    else:
        for piece in pieces:
            await exchange.send(piece)
            await asyncio.sleep(turn.pace_s)
    await exchange.end()


def load_scripts(extra: Path | None = None) -> dict[str, tuple[Rule, ...]]:
    """Return the twin's models: `guide` (a walk through the product), `echo`, and `scripted` if a file is given."""
    echo = json.dumps({"rules": [{"when": r"(?s)(.*)", "turns": [{"text": "{1}"}]}]})
    scripts = {"guide": parse_script(WALKTHROUGH.read_text("utf-8")), "echo": parse_script(echo)}
    if extra is not None:
        scripts["scripted"] = parse_script(extra.read_text("utf-8"))
    return scripts


@asynccontextmanager
async def serve_models(
    *, port: int = 0, script: Path | None = None, required_key: str | None = None
) -> AsyncIterator[tuple[int, ModelTwin]]:
    """Serve the twin on loopback; yields its port and its state."""
    twin = ModelTwin(required_key=required_key, scripts=load_scripts(script))
    async with serve_http(twin.handle, port=port) as bound:
        yield bound, twin


__all__ = ["Conversation", "Fault", "ModelTwin", "load_scripts", "serve_models"]
