"""One client's conversation with our tools: what comes in, and what is said to it. Pure; the waiting is `server.py`'s.

https://modelcontextprotocol.io/specification/2025-06-18/server/tools
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agents import VERSION
from agents.mcp import rpc
from agents.mcp.rpc import Message, object_at, text_at
from agents.providers.provider import ToolCard
from protocol.codec import Json
from protocol.record import Record

SERVER_NAME = "nightyard"
CALL_ID_KEYS = ("claudecode/toolUseId", "callId")
"""Where in a call's `_meta` a harness says which call of its model it is: Claude Code, Codex."""


class Reply(Record):
    """Say this to the client."""

    message: Message


class Wanted(Record):
    """The client wants a tool to be called."""

    request_id: Json
    name: str
    arguments: Json
    call_id: str = ""
    """The harness's own id of the call; empty: it said none."""
    progress_token: Json = None


class Cancelled(Record):
    """The client does not wait for this any more."""

    request_id: Json


Event = Reply | Wanted | Cancelled


class Session:
    """Judges a client's messages, one after another."""

    def __init__(self, cards: Callable[[], Sequence[ToolCard]]) -> None:
        """`cards`: the tools that there are at the moment."""
        self._cards = cards
        self.is_ready = False
        """Whether the client has said that it may be spoken to."""
        self.listed: tuple[ToolCard, ...] | None = None
        """The tools that it was told of last."""

    def take(self, line: bytes) -> Iterator[Event]:
        """Yield what a line leads to."""
        try:
            messages = rpc.parse(line)
        except rpc.BadMessage as bad:
            yield Reply(message=rpc.failure(None, bad.code, bad.problem))
            return
        for message in messages:
            event = self._event(message)
            if event is not None:
                yield event

    def _event(self, message: Message) -> Event | None:
        method, request_id = text_at(message, "method"), message.get("id")
        params = object_at(message, "params")
        if "id" not in message:
            return self._heard(method, params)
        if not method:
            return None  # an answer to a question that was never put: we ask the client nothing
        if not isinstance(request_id, str | int) or isinstance(request_id, bool):
            return Reply(message=rpc.failure(None, rpc.INVALID_REQUEST, "the id of a request is text or a number"))
        match method:
            case "initialize":
                return Reply(message=rpc.result(request_id, _welcome(params)))
            case "ping":
                return Reply(message=rpc.result(request_id, {}))
            case "tools/list":
                self.listed = tuple(self._cards())
                return Reply(message=rpc.result(request_id, {"tools": [shown_card(card) for card in self.listed]}))
            case "tools/call":
                return _wanted(request_id, params)
        problem = f"this server has tools, and nothing behind {method[:60]!r}"
        return Reply(message=rpc.failure(request_id, rpc.METHOD_NOT_FOUND, problem))

    def _heard(self, method: str, params: Message) -> Event | None:
        if method == "notifications/initialized":
            self.is_ready = True
        if method == "notifications/cancelled" and "requestId" in params:
            return Cancelled(request_id=params["requestId"])
        return None


def shown_card(card: ToolCard) -> Message:
    return {"name": card.name, "description": card.description, "inputSchema": card.schema}


def _welcome(params: Message) -> Message:
    """Return who we are, in the client's version if we speak it."""
    wanted = text_at(params, "protocolVersion")
    return {
        "protocolVersion": wanted if wanted in rpc.VERSIONS else rpc.VERSIONS[0],
        "capabilities": {"tools": {"listChanged": True}},
        "serverInfo": {"name": SERVER_NAME, "title": "Nightyard", "version": VERSION},
    }


def _wanted(request_id: str | int, params: Message) -> Event:
    name, arguments, meta = text_at(params, "name"), params.get("arguments"), object_at(params, "_meta")
    if not name or not isinstance(arguments, dict | None):
        problem = "a call has a `name` that is text, and `arguments` that are an object"
        return Reply(message=rpc.failure(request_id, rpc.INVALID_PARAMS, problem))
    token = meta.get("progressToken")
    return Wanted(
        request_id=request_id,
        name=name,
        arguments=arguments or {},
        call_id=next((found for key in CALL_ID_KEYS if (found := text_at(meta, key))), ""),
        progress_token=token if isinstance(token, str | int) else None,
    )
