"""The upstream's leg: one request written and one response read, as strictly as the container's leg.

What is sent, and what becomes of the response, is `exchange.py`'s business; connections are `upstream.py`'s.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import h11

from credproxy.wire.deadlines import Deadlines
from credproxy.wire.heads import BadHead, Headers, check_framing, check_trailers, find_header, head_end
from credproxy.wire.plain import (
    ChunksBroken,
    PlainChunks,
    ResponseHead,
    plain_end,
    read_plain_response,
    write_plain_request,
)
from credproxy.wire.stream import Stream, StreamBroken
from credproxy.wire.upstream import Connection, UpstreamFailed

SWITCHING_PROTOCOLS = 101
MAX_INFORMATIONAL = 16
"""1xx answers before the real one: more is a server that never means to answer."""


class End(NamedTuple):
    """The end of an answer's body, and what came behind it."""

    trailers: Headers
    """Names in lower case."""


_END = End([])


class Outbound:
    """One exchange on one connection. Everything raises UpstreamFailed.

    A plain request is written without h11, which is told of it afterwards if the answer turns out to be h11's to read.
    """

    def __init__(self, connection: Connection, deadlines: Deadlines) -> None:
        self._connection = connection
        self._stream = connection.stream
        self._http = connection.http
        self._host = connection.key.host
        self._deadlines = deadlines
        self._untold: tuple[str, str, Headers, bytes] | None = None
        self._left_bytes: int | None = None
        """Of a plain answer's body of a length that it says."""
        self._chunks: PlainChunks | None = None
        """Of a plain answer in chunks. Neither: h11 reads the body."""
        self._head_wire = b""
        """Of an answer in chunks: h11 would have to hear of it too."""
        self._arrived = b""
        """Of a plain answer's body, read and not passed on."""

    async def send_request(self, method: str, target: str, headers: Headers, whole_body: bytes | None) -> None:
        """Write a request, in one piece with its body if that is there; None: the body follows."""
        self._connection.is_clean = False
        if whole_body is not None:
            _check_length(headers, whole_body)
            head = write_plain_request(method, target, headers)
            if head is not None:
                self._untold = (method, target, headers, whole_body)
                await self._write(head + whole_body)
                return
        await self._write(self._tell(method, target, headers, whole_body))

    def _tell(self, method: str, target: str, headers: Headers, whole_body: bytes | None) -> bytes:
        """Have h11 write a request."""
        try:
            wire = self._http.send(h11.Request(method=method, target=target, headers=headers)) or b""
            if whole_body is not None:
                wire += (self._http.send(h11.Data(data=whole_body)) or b"") if whole_body else b""
                wire += self._http.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as error:
            raise UpstreamFailed("request_invalid", "the request cannot be written as one", may_retry=False) from error
        return wire

    async def send_body(self, piece: bytes) -> None:
        await self._write(self._http.send(h11.Data(data=piece)) or b"")

    async def end_body(self) -> None:
        await self._write(self._http.send(h11.EndOfMessage()) or b"")

    async def read_head(self) -> tuple[ResponseHead, bytes | End | None]:
        """Return the final response's head, and the first piece of its body if that came with it."""
        try:
            arrived = await self._stream.read(self._deadlines.answer_s)
        except TimeoutError:
            raise self._late("no answer came in time") from None
        if not arrived:
            raise self.closed("the upstream closed the connection without an answer")
        end = plain_end(arrived)
        plain = self._take_plain(arrived, end) if end else None
        if plain is not None:
            return plain, self.ready_piece()
        self._tell_untold()
        buffer = bytearray(arrived)
        for _informational in range(MAX_INFORMATIONAL):
            try:
                deadline = asyncio.get_running_loop().time() + self._deadlines.answer_s
                scanned = 0
                while not (end := head_end(buffer, scanned)):
                    scanned = len(buffer)
                    chunk = await self._stream.read(deadline - asyncio.get_running_loop().time())
                    if not chunk:
                        raise self.closed("the upstream closed the connection without an answer")
                    buffer += chunk
                self._http.receive_data(bytes(buffer[:end]))
                del buffer[:end]
                event = self._http.next_event()
            except TimeoutError:
                raise self._late("no answer came in time") from None
            except (BadHead, h11.RemoteProtocolError) as error:
                raise self._broken(f"the answer's head is malformed ({_own_words(error)})") from error
            if isinstance(event, h11.Response):
                headers = [(bytes(name), bytes(value)) for name, value in event.headers]
                try:
                    check_framing(headers)
                except BadHead as error:
                    raise self._broken(error.reason) from error
                if buffer:
                    self._http.receive_data(bytes(buffer))
                return ResponseHead(event.status_code, headers, bytes(event.reason), None), self.ready_piece()
            if not isinstance(event, h11.InformationalResponse):
                break
            if event.status_code == SWITCHING_PROTOCOLS:  # h11 lets it pass only where that was asked for
                headers = [(bytes(name), bytes(value)) for name, value in event.headers]
                self._arrived = bytes(buffer)
                return ResponseHead(event.status_code, headers, bytes(event.reason), None), None
        raise self._broken("the answer does not begin as one")

    def _take_plain(self, wire: bytes, end: int) -> ResponseHead | None:
        """Return a plain head, None if it is h11's to read."""
        head = read_plain_response(wire[:end]) if self._untold is not None else None
        if head is None:
            return None
        self._arrived = wire[end:]
        if head.is_chunked:
            self._chunks, self._head_wire = PlainChunks(), wire[:end]
        else:
            self._untold, self._left_bytes = None, head.body_bytes
        return head

    def _tell_untold(self) -> None:
        """Let h11 take over, with the request that it has not heard of."""
        if self._untold is not None:
            request, self._untold = self._untold, None
            self._tell(*request)

    def _ready_plain(self, left_bytes: int) -> bytes | End | None:
        arrived = self._arrived
        if left_bytes == 0:
            self._connection.is_clean = not arrived
            return _END
        if not arrived:
            return None
        piece, self._arrived = arrived[:left_bytes], arrived[left_bytes:]
        self._left_bytes = left_bytes - len(piece)
        return piece

    def _ready_chunks(self, chunks: PlainChunks) -> bytes | End | None:
        try:
            data, self._arrived = chunks.read(self._arrived)
        except ChunksBroken:
            raise self._broken("the answer's body is malformed (a chunk does not end where it says)") from None
        if data:
            return data
        if chunks.has_ended:
            self._connection.is_clean = not self._arrived
            return _END
        if not chunks.is_odd:
            return None
        self._chunks = None
        self._tell_untold()
        try:
            self._http.receive_data(self._head_wire)
            self._http.next_event()
            self._http.receive_data(self._arrived)
        except h11.RemoteProtocolError as error:
            raise self._broken(f"the answer's head is malformed ({_own_words(error)})") from error
        self._arrived = b""
        return self.ready_piece()

    def take_stream(self) -> tuple[Stream, bytes]:
        """Return the connection after a 101, and what has been read of it already: it is not HTTP any more."""
        arrived, self._arrived = self._arrived, b""
        return self._stream, arrived

    def ready_piece(self) -> bytes | End | None:
        """Return what of the body has come already, never an empty piece; None if more must be read."""
        if self._left_bytes is not None:
            return self._ready_plain(self._left_bytes)
        if self._chunks is not None:
            return self._ready_chunks(self._chunks)
        return self._ready_read()

    def _ready_read(self) -> bytes | End | None:
        """What h11 has read."""
        try:
            event = self._http.next_event()
            while isinstance(event, h11.Data) and not event.data:
                event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise self._broken(f"the answer's body is malformed ({_own_words(error)})") from error
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if event is h11.NEED_DATA:
            return None
        if not isinstance(event, h11.EndOfMessage):
            raise self._broken("the answer ended twice")
        trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
        try:
            check_trailers(trailers)
        except BadHead as error:
            raise self._broken(error.reason) from error
        return End(trailers)

    async def next_piece(self) -> bytes | End:
        """Return what comes next, when it has come."""
        while True:
            try:
                chunk = await self._stream.read(self._deadlines.answer_pause_s)
            except TimeoutError:
                raise self._late("the answer stood still for too long") from None
            try:
                if self._left_bytes is None and self._chunks is None:
                    self._http.receive_data(chunk)
                elif not chunk:
                    raise self._broken("the answer ended too soon")
                else:
                    self._arrived += chunk
            except RuntimeError as error:  # h11's word for bytes after the end
                raise self._broken("the answer went on after its end") from error
            piece = self.ready_piece()
            if piece is not None:
                return piece

    def closed(self, reason: str) -> UpstreamFailed:
        return UpstreamFailed("upstream_closed", f"{self._host}: {reason}", may_retry=True)

    def _broken(self, reason: str) -> UpstreamFailed:
        return UpstreamFailed("upstream_broken", f"{self._host}: {reason}", may_retry=False)

    def _late(self, reason: str) -> UpstreamFailed:
        return UpstreamFailed("upstream_timeout", f"{self._host}: {reason}", may_retry=True)

    async def _write(self, wire: bytes) -> None:
        try:
            self._stream.write(wire)
            if self._stream.must_wait_to_write:
                async with asyncio.timeout(self._deadlines.body_pause_s):
                    await self._stream.drain()
        except StreamBroken as broken:
            raise self.closed(broken.reason) from broken
        except TimeoutError as late:
            raise self._late("the request was not taken in time") from late


def _own_words(error: Exception) -> str:
    """What is wrong, without a byte of what came: a parser's message quotes it, and it may hold our secret."""
    return error.reason if isinstance(error, BadHead) else "it is no HTTP/1.1"


def _check_length(headers: Headers, body: bytes) -> None:
    """Whatever put the request together: a body that is not what its head says would be another request's beginning."""
    said = find_header(headers, b"content-length") or b"0"
    if not said.isdigit() or int(said) != len(body) or find_header(headers, b"transfer-encoding") is not None:
        raise UpstreamFailed("request_invalid", "the request's body is not what its head says", may_retry=False)


def is_reusable(connection: Connection) -> bool:
    """Whether an exchange ended cleanly on both sides, with nothing behind it; anything odd ends a connection."""
    if connection.is_clean:
        return connection.stream.is_usable
    http = connection.http
    is_done = http.our_state is h11.DONE and http.their_state is h11.DONE
    return is_done and not http.trailing_data[0] and connection.stream.is_usable
