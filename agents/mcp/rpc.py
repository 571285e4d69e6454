"""JSON-RPC 2.0 as the Model Context Protocol speaks it: messages to bytes and back. Pure.

https://modelcontextprotocol.io/specification/2025-06-18/basic: over stdio one message a line, no newline inside. What
comes from the other side is taken for nothing but JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from protocol.codec import Json, ShapeError, check_json

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Those we speak, the newest first. They differ in what we do not use."""
MAX_MESSAGE_BYTES = 8 << 20
"""Of one message, from either side: an image of the largest size in base64 fits."""
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602

Message = Mapping[str, object]


class BadMessage(Exception):
    """A line that is no message."""

    def __init__(self, code: int, problem: str) -> None:
        super().__init__(code, problem)
        self.code = code
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


class MessageTooLarge(Exception):
    """More bytes than one message may have."""


class LineDecoder:
    """Cuts a byte stream into lines, however the bytes are split."""

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max = max_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield each line that is now whole and not empty; raise MessageTooLarge."""
        start = len(self._buffer)
        self._buffer += chunk
        while (end := self._buffer.find(b"\n", start)) >= 0:
            line, start = bytes(self._buffer[:end]).strip(), 0
            del self._buffer[: end + 1]
            if len(line) > self._max:
                raise MessageTooLarge
            if line:
                yield line
        if len(self._buffer) > self._max:
            raise MessageTooLarge


def parse(data: bytes) -> tuple[Message, ...]:
    """Return the message of a line or a body, or those of a batch; raise BadMessage."""
    try:
        value: object = check_json(json.loads(data), "message")
    except (ValueError, RecursionError, ShapeError) as error:  # a ShapeError is half a character, or an endless number
        raise BadMessage(PARSE_ERROR, f"this is not JSON: {str(error)[:200]}") from error
    found = value if isinstance(value, list) else [value]
    messages = tuple(each for each in found if isinstance(each, dict) and each.get("jsonrpc") == "2.0")
    if not found or len(messages) != len(found):
        raise BadMessage(INVALID_REQUEST, "this is not a JSON-RPC 2.0 message")
    return messages


def request(request_id: int | str, method: str, params: Message | None = None) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, **({"params": params} if params is not None else {})}


def notification(method: str, params: Message | None = None) -> Message:
    return {"jsonrpc": "2.0", "method": method, **({"params": params} if params is not None else {})}


def result(request_id: Json, value: Message) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def failure(request_id: Json, code: int, message: str) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


def encode(message: Message) -> bytes:
    """Return a message as one line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def object_at(message: Message, name: str) -> Message:
    """Return an object inside another, empty where there is none."""
    value = message.get(name)
    return value if isinstance(value, dict) else {}


def text_at(message: Message, name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""
