"""The MCP twin over streamable HTTP: sessions, answers as JSON or as a stream, streams that break and are taken up.

`McpTwin` of `stdio.py` answers. Tests reach in by the fields of `HttpTwin`.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from twins.http_server import Exchange, Request, serve_http
from twins.mcp.stdio import McpTwin, Message


@dataclass
class HttpTwin:
    twin: McpTwin = field(default_factory=McpTwin)
    is_streaming: bool = True
    """Whether requests are answered with a stream of events."""
    has_ids: bool = True
    """Whether events have ids, so that a broken stream can be taken up."""
    breaks_after: int | None = None
    """Break each stream after so many events."""
    refuses_with: int | None = None
    wants_header: tuple[str, str] | None = None
    """Refuse whoever does not send this."""
    sessions: set[str] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    _kept: dict[str, list[Message]] = field(default_factory=dict)
    """What is still to be said, by the id of the last event that was."""

    def forget(self) -> None:
        """Lose all sessions, as a server does that was started anew."""
        self.sessions.clear()

    async def handle(self, request: Request, exchange: Exchange) -> None:
        self.requests.append(request)
        session = request.headers.get("mcp-session-id", "")
        if self.refuses_with is not None:
            await exchange.answer(self.refuses_with, b"the twin refuses")
        elif self.wants_header and request.headers.get(self.wants_header[0].lower()) != self.wants_header[1]:
            await exchange.answer(401, b"the twin wants a key")
        elif request.method == "GET":
            await self._take_up(request, exchange)
        elif request.method != "POST" or "text/event-stream" not in request.headers.get("accept", ""):
            await exchange.answer(405, b"")
        else:
            message = request.json()
            self.methods.append(message.get("method", "answer"))
            if message.get("method") != "initialize" and session not in self.sessions:
                await exchange.answer_json(404, {"error": "no such session"})
            else:
                await self._answer(message, exchange, session)

    async def _answer(self, message: Message, exchange: Exchange, session: str) -> None:
        if "id" not in message or "method" not in message:
            await asyncio.to_thread(list, self.twin.take(message))
            await exchange.answer(202)
            return
        if message["method"] == "initialize":
            session = uuid.uuid4().hex
            self.sessions.add(session)
        headers = {"mcp-session-id": session}
        if self.is_streaming:
            await self._stream(self.twin.take(message), exchange, headers)
            return
        said = await asyncio.to_thread(list, self.twin.take(message))
        await exchange.answer_json(200, said[-1], headers)

    async def _stream(self, said: Iterator[Message], exchange: Exchange, headers: dict[str, str]) -> None:
        await exchange.start(200, {**headers, "content-type": "text/event-stream", "transfer-encoding": "chunked"})
        sent, last_id = 0, uuid.uuid4().hex
        if self.has_ids:
            await exchange.send(f"id: {last_id}\ndata:\n\n".encode())
        while (each := await asyncio.to_thread(next, said, None)) is not None:
            if sent == self.breaks_after:
                self._kept[last_id] = [each, *await asyncio.to_thread(list, said)]
                exchange.reset()
                return
            last_id = uuid.uuid4().hex
            await exchange.send(self._event(each, last_id))
            sent += 1
        await exchange.end()

    async def _take_up(self, request: Request, exchange: Exchange) -> None:
        kept = self._kept.pop(request.headers.get("last-event-id", ""), None)
        if kept is None:
            await exchange.answer(405, b"")
            return
        self.breaks_after = None
        await self._stream(iter(kept), exchange, {})

    def _event(self, message: Message, event_id: str) -> bytes:
        head = f"id: {event_id}\n" if self.has_ids else ""
        return f"{head}event: message\ndata: {json.dumps(message)}\n\n".encode()


@asynccontextmanager
async def serve_mcp(
    twin: HttpTwin | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[int, HttpTwin]]:
    """Serve until the block is left; yields the port and the twin. Any path is the server's."""
    served = twin or HttpTwin()
    async with serve_http(served.handle, host=host, port=port) as used:
        yield used, served
