"""A model service behind proxy.sock that answers with the bytes a test gives it: real socket, real HTTP."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WAIT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class SeenRequest:
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """The open connection, for an answer that is given piece by piece."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def wait_closed(self) -> bool:
        """Return True when the other side has hung up."""
        self._connection.settimeout(WAIT_S)
        with suppress(ConnectionResetError):
            return self._connection.recv(1) == b""
        return True


Reply = bytes | Callable[[Line], None]


class ScriptedModel:
    """Gives the scripted replies in order, one a connection, and the last one again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._replies: list[Reply] = []
        self.requests: list[SeenRequest] = []
        self._seen: queue.Queue[SeenRequest] = queue.Queue()
        self._listener: socket.socket | None = None
        self.connections = 0
        self._connected = threading.Condition()

    def will(self, *replies: Reply) -> None:
        self._replies = list(replies)

    def next_request(self) -> SeenRequest:
        return self._seen.get(timeout=WAIT_S)

    def wait_connections(self, number: int) -> None:
        """Return when so many connections were made."""
        with self._connected:
            assert self._connected.wait_for(lambda: self.connections >= number, WAIT_S)

    def listen(self) -> None:
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def vanish(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._connected:
                self.connections += 1
                self._connected.notify_all()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            seen = _read_request(connection)
            if seen is None:
                return
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
            self.requests.append(seen)
            self._seen.put(seen)
            if isinstance(reply, bytes):
                connection.sendall(reply)
            else:
                reply(Line(connection))


def _read_request(connection: socket.socket) -> SeenRequest | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(1 << 16)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    request_line, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(1 << 16)
    return SeenRequest(path=request_line.split(" ")[1], headers=headers, body=body)


@contextmanager
def serving(path: Path) -> Iterator[ScriptedModel]:
    model = ScriptedModel(path)
    model.listen()
    try:
        yield model
    finally:
        model.vanish()


# -- what a service sends -------------------------------------------------------------------------------------------


def event(value: object) -> bytes:
    name = value.get("type", "message") if isinstance(value, dict) else "message"
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()


def data(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    kind = "text/event-stream" if status == 200 else "application/json"
    given = {"content-type": kind, **(headers or {})}
    lines = [f"HTTP/1.1 {status} Word", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(*pieces: bytes, end: bool = True) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + (b"0\r\n\r\n" if end else b"")


CHUNKED = {"transfer-encoding": "chunked"}


def stream(*events: bytes, end: bool = True) -> bytes:
    """A whole 200 answer; without `end` it breaks off."""
    return head(200, CHUNKED) + chunked(*events, end=end)


def error(status: int, message: str = "no", *, headers: Mapping[str, str] | None = None) -> bytes:
    body = json.dumps({"type": "error", "error": {"type": "some_error", "message": message}}).encode()
    return head(status, {"content-length": str(len(body)), **(headers or {})}) + body


def opening(input_tokens: int = 10) -> bytes:
    usage = {"input_tokens": input_tokens, "output_tokens": 1}
    return event({"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": usage}})


def closing(stop_reason: str = "end_turn", output_tokens: int = 5) -> bytes:
    delta = {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": output_tokens}}
    return event(delta) + event({"type": "message_stop"})


def text_events(*pieces: str, index: int = 0) -> bytes:
    start = event({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}})
    deltas = [
        event({"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}})
        for piece in pieces
    ]
    return start + b"".join(deltas) + event({"type": "content_block_stop", "index": index})


def call_events(call_id: str, name: str, arguments: str, index: int = 1) -> bytes:
    block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    start = event({"type": "content_block_start", "index": index, "content_block": block})
    pieces = [arguments[at : at + 4096] for at in range(0, len(arguments), 4096)]
    deltas = [
        event(
            {
                "type": "content_block_delta",
                "index": index,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }
        )
        for piece in pieces
    ]
    return start + b"".join(deltas) + event({"type": "content_block_stop", "index": index})


def says(*pieces: str) -> bytes:
    """A whole answer in words."""
    return stream(opening(), event({"type": "ping"}), text_events(*pieces), closing())


def calls(name: str, arguments: object, call_id: str = "toolu_1") -> bytes:
    """A whole answer that calls one tool; `arguments` as JSON text or as a value."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return stream(opening(), call_events(call_id, name, text), closing("tool_use"))
