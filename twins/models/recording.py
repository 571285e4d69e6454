"""A model service's traffic, written down and played back: what was asked, what was answered, piece by piece.

A Recorder stands in front of a service and passes everything on as it comes; no key is written down. A Replayer stands
in the service's place, gives the recorded answers in order, cut where they were cut, and insists on the recorded
requests, byte for byte: what differs is refused and told (`differences`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h11

from twins.http_server import Exchange, Request

READ_BYTES = 64 << 10
SHOWN_BYTES = 60
"""Of each side, where two requests differ."""
_PASSED_ON = ("content-type", "accept", "authorization", "x-api-key", "anthropic-version", "openai-beta")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One question and its answer."""

    path: str
    request: str
    """The body. Bytes that are no UTF-8 are kept as lone surrogates, here and in the pieces."""
    status: int
    content_type: str
    pieces: Sequence[str]
    """The answer's body as it came: one for each chunk."""
    is_whole: bool
    """False: it broke off."""


def load_recording(value: object) -> list[Recorded]:
    """Return what `dump_recording` gave; raise ValueError."""
    if not isinstance(value, list):
        raise ValueError("a recording is a list of questions with their answers")
    try:
        return [Recorded(**each) for each in value]
    except TypeError as error:
        raise ValueError(f"this is no recording of a model service: {error}") from error


def dump_recording(recorded: Sequence[Recorded]) -> list[dict[str, Any]]:
    return [asdict(each) for each in recorded]


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Passes questions on to the service at `upstream`."""

    upstream: str
    file: Path | None = None
    """Where it is written down after each answer."""
    recorded: list[Recorded] = field(default_factory=list)

    async def handle(self, request: Request, exchange: Exchange) -> None:
        at = urlsplit(self.upstream)
        port = at.port or (443 if at.scheme == "https" else 80)
        reader, writer = await asyncio.open_connection(at.hostname, port, ssl=at.scheme == "https" or None)
        try:
            await self._pass_on(request, exchange, _Service(reader, writer), at.netloc)
        finally:
            writer.close()

    async def _pass_on(self, request: Request, exchange: Exchange, service: _Service, host: str) -> None:
        head = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        status, headers = await service.ask(request.path, {"host": host, **head}, request.body)
        kind = headers.get("content-type", "text/plain")
        await exchange.start(status, {"content-type": kind, "transfer-encoding": "chunked"})
        pieces = []
        async for piece in service.pieces():
            pieces.append(_text(piece))
            await exchange.send(piece)
        self.recorded.append(
            Recorded(
                path=request.path,
                request=_text(request.body),
                status=status,
                content_type=kind,
                pieces=pieces,
                is_whole=service.is_whole,
            )
        )
        if self.file is not None:
            self.file.write_text(json.dumps(dump_recording(self.recorded), indent=1), "utf-8")
        if service.is_whole:
            await exchange.end()


@dataclass(slots=True, kw_only=True)
class Replayer:
    """Answers as it was answered before."""

    recorded: Sequence[Recorded]
    asked: int = 0
    differences: list[str] = field(default_factory=list)

    async def handle(self, request: Request, exchange: Exchange) -> None:
        number, self.asked = self.asked, self.asked + 1
        if number >= len(self.recorded):
            await self._refuse(exchange, f"question {number + 1} was never asked: {_text(request.body)[:SHOWN_BYTES]}")
            return
        was = self.recorded[number]
        if (request.path, request.body) != (was.path, _bytes(was.request)):
            await self._refuse(exchange, f"question {number + 1} is another one: {_difference(was, request)}")
            return
        await exchange.start(was.status, {"content-type": was.content_type, "transfer-encoding": "chunked"})
        for piece in was.pieces:
            await exchange.send(_bytes(piece))
        if was.is_whole:
            await exchange.end()

    async def _refuse(self, exchange: Exchange, why: str) -> None:
        self.differences.append(why)
        await exchange.answer_json(400, {"error": {"type": "not_recorded", "message": why}})


class _Service:
    """One connection to the service, for one question."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT)
        self.is_whole = False

    async def ask(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        given = [*headers.items(), ("content-length", str(len(body))), ("connection", "close")]
        for part in (h11.Request(method="POST", target=path, headers=given), h11.Data(data=body), h11.EndOfMessage()):
            self._writer.write(self._protocol.send(part) or b"")
        await self._writer.drain()
        while not isinstance(event := await self._next(), h11.Response):
            if event is None:
                raise ConnectionError("the service closed the connection without an answer")
        return event.status_code, {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the answer's chunks, each whole."""
        chunk = b""
        while isinstance(event := await self._next(), h11.Data):
            chunk += bytes(event.data)
            if event.chunk_end or not event.chunk_start:
                yield chunk
                chunk = b""
        if chunk:
            yield chunk
        self.is_whole = isinstance(event, h11.EndOfMessage)

    async def _next(self) -> h11.Event | None:
        """Return the next event, None where the connection broke off."""
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                self._protocol.receive_data(await self._reader.read(READ_BYTES))
        except (ConnectionError, h11.RemoteProtocolError):
            return None
        return event if isinstance(event, h11.Event) else None


def _difference(was: Recorded, request: Request) -> str:
    """Say where a request leaves the recorded one."""
    if request.path != was.path:
        return f"it goes to {request.path}, and went to {was.path}"
    before, now = _bytes(was.request), request.body
    at = next((at for at, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now)))
    first = max(0, at - SHOWN_BYTES // 2)
    shown = (each[first : first + SHOWN_BYTES].decode("utf-8", "replace") for each in (before, now))
    return "from byte {} on it was {!r} and is {!r}".format(at, *shown)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
