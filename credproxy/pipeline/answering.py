"""The way back: an upstream's response, searched for the secret, passed on piece by piece as it comes.

What was sent, and on which connection, is `sending.py`'s business.
"""

from __future__ import annotations

import h11

from credproxy.audit.model_use import ModelUseReader
from credproxy.pipeline.call import Call
from credproxy.pipeline.scrub import Needles, Reflected, Searcher
from credproxy.wire.heads import Headers, find_header, is_encoded, response_headers
from credproxy.wire.inbound import Inbound
from credproxy.wire.outbound import Outbound
from credproxy.wire.plain import ResponseHead
from credproxy.wire.upstream import UpstreamFailed


class Answering:
    """Passes one response on. Everything it raises itself is UpstreamFailed."""

    def __init__(self, call: Call, inbound: Inbound) -> None:
        self._call = call
        self._inbound = inbound
        self._head: tuple[int, Headers, bytes] | None = None
        """Of a response of which nothing has been sent yet."""

    async def pass_on(self, outbound: Outbound, head: ResponseHead, early: h11.Event | None, needles: Needles) -> None:
        """Pass a response on. `early` is the first piece of its body, where that came with the head."""
        call, headers = self._call, head.headers
        if needles:
            self._search_head(head, needles)
        if call.ask.route is not None:
            media_type = find_header(headers, b"content-type") or b""
            call.reader = ModelUseReader(is_event_stream=media_type.startswith(b"text/event-stream"))
        self._head = (head.status, response_headers(headers, had_secret=bool(needles)), head.reason)
        await self._pass_body(outbound, Searcher(needles) if needles else None, early)

    def _search_head(self, head: ResponseHead, needles: Needles) -> None:
        call = self._call
        if is_encoded(head.headers) and call.ask.method != "HEAD":
            sentence = f"{call.ask.target.host} sent an encoded response, which cannot be searched for the secret"
            raise UpstreamFailed("response_encoded", sentence, may_retry=False)
        if needles.holds(b"\n".join((head.reason, *(part for header in head.headers for part in header)))):
            raise self._reflected()

    async def _pass_body(self, outbound: Outbound, searcher: Searcher | None, early: h11.Event | None) -> None:
        """Pass pieces on as they come; the head goes with the first piece that is there already, or alone."""
        call, inbound, event = self._call, self._inbound, early
        while True:
            if event is None:
                await inbound.send(self._head_wire())
                event = await outbound.next_event()
            if isinstance(event, h11.EndOfMessage):
                break
            if not isinstance(event, h11.Data):
                raise outbound.closed("the response ended too soon")
            data = bytes(event.data)
            call.response_bytes += len(data)
            passed = data
            if searcher is not None:
                try:
                    passed = searcher.feed(data)
                except Reflected:
                    raise self._reflected() from None
            if passed:
                await inbound.send(self._head_wire() + inbound.body_bytes(passed))
            if call.reader is not None:
                call.reader.feed(data)
            event = outbound.ready_event()
        held = searcher.end() if searcher is not None else b""
        wire = self._head_wire() + (inbound.body_bytes(held) if held else b"")
        await inbound.send(wire + inbound.end_response())

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
