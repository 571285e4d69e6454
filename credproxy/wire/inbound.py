"""The container's leg: one HTTP/1.1 connection, read strictly, one request after another.

What is answered, and whether, is `exchange.py`'s business; which door it belongs to, `door.py`'s.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import h11

from credproxy.wire.answer import Answer
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.expiry import Limit
from credproxy.wire.heads import MAX_HEAD_BYTES, BadHead, Headers, check_framing, find_header, head_end
from credproxy.wire.plain import Request, plain_end, read_plain_request, write_response
from credproxy.wire.stream import Stream, StreamBroken
from credproxy.wire.websocket import is_upgrade

MAX_DISCARDED_BYTES = 1 << 20
MAX_KNOWN_BYTES = 4 << 10
"""A longer head is not kept for the next one."""
NO_CONTENT = 204
_PARSERS_WORDS = (
    ("illegal request line", "the request line is none (what is not ASCII is percent-encoded, in a host as xn--)"),
    ("illegal header line", "a header line is none"),
    ("illegal", "the request's head is malformed"),
)


@dataclass(slots=True)
class _Plain:
    """How far a plain request and its response have come. h11 knows nothing of them."""

    unread_bytes: int
    """Of the request's body."""
    arrived: bytes
    """Read from the connection, and not passed on."""
    unsent_bytes: int | None = None
    """Of the response's body; None: it is sent in chunks."""
    has_begun: bool = False
    """A response has: another one would be read as a part of it."""
    is_answered: bool = False


class Inbound:
    """Reads requests and writes responses on one connection from a container: plain ones itself, others with h11."""

    def __init__(self, stream: Stream, deadlines: Deadlines) -> None:
        self.stream = stream
        self.limit = Limit(deadlines.whole_s)
        """For one exchange after another."""
        self._deadlines = deadlines
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._plain: _Plain | None = None
        self._known: tuple[bytes, Request] | None = None
        """The last plain head, and what it says: the same bytes are the same object."""
        self._is_head = False
        """The request is a HEAD: its answer has no body, nor has ours."""

    async def read_request(self) -> Request | None:
        """Return the next request, None if the container has nothing more to ask.

        Raises heads.BadHead, TimeoutError inside a head, StreamBroken.
        """
        try:
            wire = await self.stream.read(self._deadlines.idle_s)
        except TimeoutError:
            return None
        if not wire:
            return None
        end = plain_end(wire)
        request = self._take_plain(wire, end) if end else None
        if request is None:
            request = await self._read_odd(wire)
        self._is_head = request.method == "HEAD"
        return request

    async def _read_odd(self, wire: bytes) -> Request:
        """Return a request that is not plain, or whose head came in pieces."""
        buffer = bytearray(wire)
        end = head_end(buffer)
        if not end:
            async with asyncio.timeout(self._deadlines.head_s):
                end = await self._read_whole_head(buffer)
        wire = bytes(buffer)
        return self._take_plain(wire, end) or self._parse(wire)

    async def _read_whole_head(self, buffer: bytearray) -> int:
        scanned = 0
        while not (end := head_end(buffer, scanned)):
            scanned = len(buffer)
            chunk = await self.stream.read()
            if not chunk:
                raise StreamBroken("the request ended inside its head")
            buffer += chunk
        return end

    def _take_plain(self, wire: bytes, end: int) -> Request | None:
        head, known = wire[:end], self._known
        if known is not None and known[0] == head:
            request: Request | None = known[1]
        else:
            request = read_plain_request(head)
            self._known = (head, request) if request is not None and end <= MAX_KNOWN_BYTES else None
        if request is not None:
            self._plain = _Plain(request.body_bytes, wire[end:])
        return request

    async def read_body(self) -> bytes | None:
        """Return the next piece of the request's body, None after its end.

        Raises h11.RemoteProtocolError, TimeoutError, StreamBroken.
        """
        if self._plain is not None:
            return await self._read_plain_body(self._plain)
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                return None
            if event is not h11.NEED_DATA:
                raise StreamBroken("the request ended inside its body")
            if self._http.they_are_waiting_for_100_continue:
                go_on = self._http.send(h11.InformationalResponse(status_code=100, headers=[]))
                self.stream.write(go_on or b"")
            chunk = await self.stream.read(self._deadlines.body_pause_s)
            if not chunk:
                raise StreamBroken("the request ended inside its body")
            self._http.receive_data(chunk)

    async def _read_plain_body(self, plain: _Plain) -> bytes | None:
        if plain.unread_bytes == 0:
            return None
        if not plain.arrived:
            plain.arrived = await self.stream.read(self._deadlines.body_pause_s)
            if not plain.arrived:
                raise StreamBroken("the request ended inside its body")
        piece, plain.arrived = plain.arrived[: plain.unread_bytes], plain.arrived[plain.unread_bytes :]
        plain.unread_bytes -= len(piece)
        return piece

    def begin_response(self, status: int, headers: Headers, reason: bytes = b"") -> bytes:
        """Return the bytes of a response's head; the caller writes them, perhaps with the first of the body."""
        if status == NO_CONTENT:  # of no body no length is said, whatever the upstream did
            headers = [header for header in headers if header[0] != b"content-length"]
        if self._plain is not None:
            return _begin_plain_response(self._plain, status, headers, reason)
        return self._http.send(h11.Response(status_code=status, headers=headers, reason=reason)) or b""

    def body_bytes(self, data: bytes) -> bytes:
        """Return a piece of the body as it goes on the wire."""
        if self._plain is not None:
            return _plain_piece(self._plain, data)
        return self._http.send(h11.Data(data=data)) or b""

    def end_response(self, trailers: Headers | None = None) -> bytes:
        """Return the bytes of a response's end. `trailers`: of one in chunks, as is every one of no said length."""
        if self._plain is not None:
            return _end_plain_response(self._plain, trailers or [])
        return self._http.send(h11.EndOfMessage(headers=trailers or [])) or b""

    async def discard_body(self) -> None:
        """Read what a refused request still sends, up to a limit, so that its sender gets to read the refusal."""
        if self._http.they_are_waiting_for_100_continue:
            return
        left = MAX_DISCARDED_BYTES
        try:
            while left > 0 and (self._plain is not None or self._http.their_state is h11.SEND_BODY):
                piece = await self.read_body()
                if piece is None:
                    return
                left -= len(piece)
        except (h11.RemoteProtocolError, StreamBroken, TimeoutError):
            return

    async def answer(self, answer: Answer) -> None:
        """Send a response of the proxy's own, whole."""
        body = answer.body()
        try:
            wire = self.begin_response(answer.status, answer.headers(body), answer.reason())
            wire += b"" if self._is_head else self.body_bytes(body)
            self.stream.write(wire + self.end_response())
        except h11.LocalProtocolError as error:
            raise StreamBroken("no response can be sent any more") from error
        if self.stream.must_wait_to_write:
            await self._drain()

    async def send(self, wire: bytes) -> None:
        """Write bytes made above, and wait until the container has taken enough of them."""
        if wire:
            self.stream.write(wire)
            if self.stream.must_wait_to_write:
                await self._drain()

    def accept_tunnel(self) -> None:
        """Say 200 to a CONNECT."""
        self.stream.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    def accept_upgrade(self, headers: Headers) -> bytes:
        """Say 101; return what the container has sent behind its request. From now on the stream is not HTTP."""
        self.stream.write(write_response(101, headers, b"Switching Protocols") or b"")
        return self._http.trailing_data[0]

    def begin_next(self) -> bool:
        """Get ready for another request; False if the connection must be closed instead.

        Bytes that came before the response was through (pipelining) could be read in another way by others: closed.
        """
        if self._plain is not None:
            plain, self._plain = self._plain, None
            return plain.is_answered and plain.unread_bytes == 0 and not plain.arrived
        if self._http.trailing_data[0] or self._http.our_state is not h11.DONE:
            return False
        if self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _drain(self) -> None:
        async with asyncio.timeout(self._deadlines.body_pause_s):
            await self.stream.drain()

    def _parse(self, head: bytes) -> Request:
        try:
            self._http.receive_data(head)
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise BadHead(_own_words(str(error))) from error
        if not isinstance(event, h11.Request):
            raise BadHead("that is no request")
        method = event.method.decode("ascii")
        # Python before 3.12 opens its tunnels with HTTP/1.0; nothing in a CONNECT could be read otherwise for it.
        if event.http_version != b"1.1" and not (method == "CONNECT" and event.http_version == b"1.0"):
            raise BadHead("only HTTP/1.1 is spoken here")
        headers = [(bytes(name), bytes(value)) for name, value in event.headers]
        check_framing(headers)
        has_length = find_header(headers, b"content-length") not in (None, b"0")
        if method == "CONNECT" and (has_length or self._http.trailing_data[0]):
            raise BadHead("nothing may follow CONNECT before it is answered")
        has_body = has_length or find_header(headers, b"transfer-encoding") is not None
        if not has_body and not isinstance(self._http.next_event(), h11.EndOfMessage):
            raise BadHead("a body follows that was not announced")
        return Request(
            method=method,
            target=event.target.decode("ascii"),
            host=(find_header(headers, b"host") or b"").decode("latin-1"),
            headers=headers,
            has_body=has_body,
            wants_websocket=is_upgrade(method, headers),
        )


def _own_words(said: str) -> str:
    """Return what a parser has found wrong, without the bytes that it quotes."""
    return next((words for begin, words in _PARSERS_WORDS if said.startswith(begin)), said)


def _begin_plain_response(plain: _Plain, status: int, headers: Headers, reason: bytes) -> bytes:
    if plain.has_begun:
        raise StreamBroken("a response has begun already")
    plain.has_begun = True
    length = find_header(headers, b"content-length")
    if status in (204, 304):
        plain.unsent_bytes = 0
    elif length is not None:
        plain.unsent_bytes = int(length)
    else:
        headers = [*headers, (b"transfer-encoding", b"chunked")]
    wire = write_response(status, headers, reason)
    if wire is None:
        raise StreamBroken("the response's head cannot be sent")
    return wire


def _plain_piece(plain: _Plain, data: bytes) -> bytes:
    if plain.unsent_bytes is None:
        return b"%x\r\n%s\r\n" % (len(data), data) if data else b""
    if len(data) > plain.unsent_bytes:
        raise StreamBroken("the response is longer than it said")
    plain.unsent_bytes -= len(data)
    return data


def _end_plain_response(plain: _Plain, trailers: Headers) -> bytes:
    if plain.unsent_bytes:
        raise StreamBroken("the response is shorter than it said")
    plain.is_answered = True
    if plain.unsent_bytes is not None:
        return b""
    return b"0\r\n%s\r\n" % b"".join(b"%s: %s\r\n" % trailer for trailer in trailers)
