"""An MCP server with an address: streamable HTTP, over the proxy's socket and nothing else.

https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#streamable-http. Each message is a POST; its
answer is JSON or a stream of events, which is taken up again where it broke if the server gives its events ids. What
grants allow is the proxy's to say, and keys are added there. The older transport with two addresses is not spoken.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agents.http import Answer, Doorstep, HttpFault, Patience, build_head, exchange
from agents.interrupt import Interrupt, Interrupted
from agents.mcp import rpc
from agents.mcp.rpc import Message
from agents.mcp.transport import MAX_EXCHANGE_BYTES, ServerFailed, SessionLost
from agents.places import Places
from agents.refusals import read_refusal
from agents.sse import EventDecoder, EventTooLarge
from protocol.link import McpServer
from protocol.mcp import SERVER_URL

MAX_RESUMPTIONS = 5
_CONNECT_S = 10.0
_TELL_S = 3.0
_LAST_WORD_S = 0.3
"""For a word to a server while the agent is being stopped."""
_PAUSE_S = 0.5
_MAX_ERROR_BYTES = 2_000
_SESSION_ID = re.compile(r"[!-~]{1,512}")


class Streamable:
    """A Transport (`transport.py`)."""

    def __init__(self, server: McpServer, places: Places, interrupt: Interrupt) -> None:
        self._server = server
        self._interrupt = interrupt
        self._doorstep = Doorstep(places.proxy_socket)
        matched = SERVER_URL.fullmatch(server.url)
        assert matched is not None  # the host has checked it
        self._is_secure, self._host = matched[1] == "https", matched[2]
        self._port = int(matched[3] or (443 if self._is_secure else 80))
        self._path = matched[4] or "/"

    def open(self) -> None:
        self._session = ""
        self._version = ""

    def use(self, version: str) -> None:
        self._version = version

    def ask(self, message: Message, deadline: float) -> Iterator[Message]:
        body, last_id, tries, heard = rpc.encode(message), "", 0, 0
        while True:
            method = "GET" if tries else "POST"
            more = {"last-event-id": last_id} if tries else {}
            decoder = EventDecoder(rpc.MAX_MESSAGE_BYTES)
            try:
                with self._asked(method, b"" if tries else body, more, deadline) as answer:
                    if not self._is_stream(answer):
                        yield from _parsed(self._whole(answer, deadline))
                        return
                    for piece in answer.body():
                        heard += len(piece)
                        _check(heard, deadline)
                        for event in decoder.feed(piece):
                            if event.data.strip():
                                yield from _parsed(event.data.encode("utf-8"))
            except HttpFault as fault:
                if fault.kind == "silent":
                    raise TimeoutError from fault
                if not (last_id or decoder.last_id):
                    raise ServerFailed(f"gave no whole answer: {fault}") from fault
            except EventTooLarge as error:
                raise ServerFailed(f"sent a message of more than {rpc.MAX_MESSAGE_BYTES >> 20} MiB") from error
            last_id, tries = decoder.last_id or last_id, tries + 1
            if not last_id or tries > MAX_RESUMPTIONS:
                return
            self._interrupt.wait(min(_PAUSE_S * tries, max(0.0, deadline - time.monotonic())))

    def tell(self, message: Message) -> None:
        is_ending = self._interrupt.is_tripped()
        interrupt = Interrupt() if is_ending else self._interrupt
        deadline = time.monotonic() + (_LAST_WORD_S if is_ending else _TELL_S)
        with (
            suppress(HttpFault, ServerFailed, TimeoutError, Interrupted),
            self._asked("POST", rpc.encode(message), {}, deadline, interrupt),
        ):
            return

    def overheard(self) -> list[Message]:
        return []  # only what belongs to a request is listened to

    def close(self) -> None:
        self._session = ""

    # --- One request

    @contextmanager
    def _asked(
        self, method: str, body: bytes, more: dict[str, str], deadline: float, interrupt: Interrupt | None = None
    ) -> Iterator[Answer]:
        """Send a request and give its answer if it is one to a message; raise ServerFailed for any other."""
        interrupt = interrupt or self._interrupt
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        patience = Patience(connect_s=min(_CONNECT_S, left_s), first_byte_s=left_s, idle_s=left_s)
        with self._connected(patience, interrupt) as connection:
            answer = exchange(connection, self._request(method, body, more), patience, interrupt)
            self._check(answer, method)
            if answer.status == 200 and not self._session:
                given = answer.headers.get("mcp-session-id", "")
                self._session = given if _SESSION_ID.fullmatch(given) else ""
            yield answer

    def _request(self, method: str, body: bytes, more: dict[str, str]) -> bytes:
        authority = self._host if self._port in (80, 443) else f"{self._host}:{self._port}"
        headers = {
            "host": authority,
            "connection": "close",
            "user-agent": "nightyard-agent",
            "accept": "text/event-stream" if method == "GET" else "application/json, text/event-stream",
            **({"content-type": "application/json", "content-length": str(len(body))} if body else {}),
            **({"mcp-session-id": self._session} if self._session else {}),
            **({"mcp-protocol-version": self._version} if self._version else {}),
            **more,
            **self._server.headers,
        }
        target = self._path if self._is_secure else f"http://{authority}{self._path}"
        return build_head(method, target, headers) + body

    @contextmanager
    def _connected(self, patience: Patience, interrupt: Interrupt) -> Iterator[socket.socket]:
        """Give a connection to the server through the proxy; raise ServerFailed where the proxy refuses it."""
        with self._doorstep.connect(patience.connect_s, interrupt) as plain:
            watched = plain.dup()  # what a stop shuts down: the TLS socket must not be touched by another thread
            with watched, interrupt.guard(watched):
                if not self._is_secure:
                    yield plain
                    return
                where = f"{self._host}:{self._port}"
                answer = exchange(plain, build_head("CONNECT", where, {"host": where}), patience, interrupt)
                if answer.status != 200:
                    raise ServerFailed(_refused(answer))
                plain.settimeout(patience.first_byte_s)
                with _secured(plain, self._host) as connection:
                    yield connection

    def _check(self, answer: Answer, method: str) -> None:
        if answer.status in (200, 202):
            return
        if answer.status == 404 and self._session and "x-nightyard" not in answer.headers:
            raise SessionLost("has forgotten the session")
        if method == "GET":
            raise ServerFailed(f"broke off its answer, and cannot go on with it (status {answer.status})")
        raise ServerFailed(_refused(answer))

    @staticmethod
    def _is_stream(answer: Answer) -> bool:
        return answer.headers.get("content-type", "").lower().startswith("text/event-stream")

    @staticmethod
    def _whole(answer: Answer, deadline: float) -> bytes:
        body = bytearray()
        for piece in answer.body():
            body += piece
            _check(len(body), deadline)
            if len(body) > rpc.MAX_MESSAGE_BYTES:
                raise ServerFailed(f"sent a message of more than {rpc.MAX_MESSAGE_BYTES >> 20} MiB")
        return bytes(body)


def _check(heard_bytes: int, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError
    if heard_bytes > MAX_EXCHANGE_BYTES:
        raise ServerFailed(f"said more than {MAX_EXCHANGE_BYTES >> 20} MiB to one request")


def _parsed(data: bytes) -> tuple[Message, ...]:
    try:
        return rpc.parse(data) if data.strip() else ()
    except rpc.BadMessage as bad:
        raise ServerFailed(f"answered what is no JSON-RPC message ({bad})") from bad


def _refused(answer: Answer) -> str:
    """Say why a request was not answered: the proxy's own refusal with what would help, or what the server said."""
    code, words = answer.headers.get("x-nightyard", ""), answer.text(_MAX_ERROR_BYTES)
    if code:
        raw = f"HTTP/1.1 {answer.status} \r\nx-nightyard: {code}\r\n\r\n{words}".encode("utf-8", "replace")
        refusal = read_refusal(raw)
        if refusal is not None:
            return f"was not reached. {refusal.message} {refusal.advice}".rstrip()
    return f"answered with status {answer.status}: {words.strip() or '(nothing)'}"


@contextmanager
def _secured(plain: socket.socket, host: str) -> Iterator[socket.socket]:
    """Give a TLS connection over one to the proxy, whose own authority signs for every host."""
    import ssl  # late: it costs megabytes, and few groups have such a server

    try:
        context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None)
        connection = context.wrap_socket(plain, server_hostname=host.strip("[]"))
    except TimeoutError as error:
        raise HttpFault("silent", "the handshake was not answered") from error
    except OSError as error:  # an ssl.SSLError is one
        raise ServerFailed(f"was not reached: TLS failed: {error}") from error
    with connection:
        yield connection
