"""The way back: an upstream's response, searched for the secret, passed on piece by piece as it comes.

What was sent, and on which connection, is `sending.py`'s business.
"""

from __future__ import annotations

import hashlib

from credproxy.audit import notes
from credproxy.audit.model_use import ModelUseReader
from credproxy.injection.outgoing import only_signs
from credproxy.pipeline.call import Call
from credproxy.pipeline.scrub import Needles, Reflected, Searcher
from credproxy.wire.heads import Headers, find_header, is_encoded, response_headers, trailer_headers
from credproxy.wire.inbound import Inbound
from credproxy.wire.outbound import End, Outbound
from credproxy.wire.plain import ResponseHead
from credproxy.wire.upstream import UpstreamFailed

TAINT = b"x-nightyard-taint"
"""What comes from the open web, or is others' mail, was written by anybody: whoever reads it must not take its words
for the owner's."""


class WebRead:
    """What is read of the open web: counted up to its limit, and hashed, so that a claimed source can be checked."""

    __slots__ = ("_host", "_left_bytes", "_max_bytes", "_sha")

    def __init__(self, host: str, max_bytes: int) -> None:
        self._host = host
        self._max_bytes = self._left_bytes = max_bytes
        self._sha = hashlib.sha256()

    def take(self, data: bytes) -> None:
        """Raises UpstreamFailed."""
        self._sha.update(data)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            sentence = f"{self._host} answered with more than the {self._max_bytes} bytes that web-read takes"
            raise UpstreamFailed("answer_too_large", sentence, may_retry=False)

    def check_said(self, headers: Headers) -> None:
        """Raise UpstreamFailed where the head says already that the answer is too long."""
        length = find_header(headers, b"content-length")
        if length is not None and length.isdigit() and int(length) > self._max_bytes:
            self._left_bytes = -1
            self.take(b"")

    def sha256(self) -> str:
        return self._sha.hexdigest()


class Answering:
    """Passes one response on. Everything it raises itself is UpstreamFailed."""

    def __init__(self, call: Call, inbound: Inbound) -> None:
        self._call = call
        self._inbound = inbound
        self._head: tuple[int, Headers, bytes] | None = None
        """Of a response of which nothing has been sent yet."""

    async def pass_on(
        self, outbound: Outbound, head: ResponseHead, early: bytes | End | None, needles: Needles
    ) -> None:
        """Pass a response on. `early` is the first piece of its body, where that came with the head."""
        call, headers = self._call, head.headers
        if needles.forms:
            self._search_head(head, needles)
        if call.ask.route is not None or call.may_be_model_call:
            media_type = find_header(headers, b"content-type") or b""
            call.reader = ModelUseReader(is_event_stream=media_type.startswith(b"text/event-stream"))
        passed = response_headers(headers, had_secret=call.allow.secret is not None)
        web_read = self._web_read(headers)
        if call.allow.taint:
            passed.append((TAINT, call.allow.taint.encode("ascii")))
        if call.token_ask is not None:
            from credproxy.pipeline.capturing import pass_tokens_on

            await pass_tokens_on(call, call.token_ask, self._inbound, outbound, head, early, needles)
            return
        self._head = (head.status, passed, head.reason)
        await self._pass_body(outbound, needles, web_read, early)
        if web_read is not None:
            call.response_sha256 = web_read.sha256()

    def _web_read(self, headers: Headers) -> WebRead | None:
        granted = self._call.allow.web_read
        if granted is None:
            return None
        web_read = WebRead(self._call.ask.target.host, granted.max_answer_bytes)
        if self._call.ask.method != "HEAD":
            web_read.check_said(headers)
        return web_read

    def _search_head(self, head: ResponseHead, needles: Needles) -> None:
        call = self._call
        if is_encoded(head.headers) and call.ask.method != "HEAD" and not _only_signed(call):
            sentence = f"{call.ask.target.host} sent an encoded response, which cannot be searched for the secret"
            raise UpstreamFailed("response_encoded", sentence, may_retry=False)
        if needles.holds(b"\n".join([head.reason, *[part for header in head.headers for part in header]])):
            raise self._reflected()

    async def _pass_body(
        self, outbound: Outbound, needles: Needles, web_read: WebRead | None, early: bytes | End | None
    ) -> None:
        """Pass pieces on as they come; the head goes with the first piece that is there already, or alone."""
        call, inbound, piece = self._call, self._inbound, early
        searcher: Searcher | None = None
        last = b""
        while True:
            if piece is None:
                await inbound.send(self._head_wire())
                piece = await outbound.next_piece()
            if isinstance(piece, End):
                break
            passed = piece
            call.response_bytes += len(passed)
            if call.reader is not None:
                call.reader.feed(passed)
            piece = outbound.ready_piece()
            is_last = isinstance(piece, End)
            if needles.forms:
                if searcher is None and is_last:  # all at once, as most answers come
                    if needles.holds(passed):
                        raise self._reflected()
                else:
                    searcher = searcher or Searcher(needles)
                    passed = self._searched(searcher, passed, is_last=is_last)
            elif web_read is not None:
                web_read.take(passed)
            if is_last:
                last = passed
            elif passed:
                await inbound.send(self._head_wire() + inbound.body_bytes(passed))
        trailers = self._trailers(piece, needles) if piece.trailers else None
        if searcher is not None:
            last += searcher.end()
        wire = self._head_wire() + (inbound.body_bytes(last) if last else b"")
        await inbound.send(wire + inbound.end_response(trailers))

    def _searched(self, searcher: Searcher, piece: bytes, *, is_last: bool) -> bytes:
        try:
            return searcher.feed(piece, is_last=is_last)
        except Reflected:
            raise self._reflected() from None

    def _trailers(self, end: End, needles: Needles) -> Headers:
        """Return what may be said behind the body: nothing where the secret is in it. The body has been searched, so
        the answer is whole without."""
        received = end.trailers
        if needles.forms and needles.holds(b"\n".join(part for trailer in received for part in trailer)):
            self._call.note(notes.WITHHELD_TRAILERS)
            return []
        return trailer_headers(received, had_secret=self._call.allow.secret is not None)

    def _head_wire(self) -> bytes:
        """Return the response's head the first time: from then on the response has begun."""
        head, self._head = self._head, None
        if head is None:
            return b""
        self._call.has_response_begun = True
        return self._inbound.begin_response(*head)

    def _reflected(self) -> UpstreamFailed:
        sentence = f"{self._call.ask.target.host} sent the secret back; the response was withheld"
        return UpstreamFailed("secret_reflected", sentence, may_retry=False)


def _only_signed(call: Call) -> bool:
    """Whether the request held no key that could come back: an object that is stored compressed then comes as it is."""
    return call.allow.injection is not None and only_signs(call.allow.injection)
