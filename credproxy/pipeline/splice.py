"""A WebSocket under way: bytes both ways until one side ends it; those to the agent are searched for the secret.

Whether it may begin is decided as for any request (`admission.py`); what its frames are is `wire/websocket.py`'s.
"""

from __future__ import annotations

import asyncio

from credproxy.pipeline.call import Call
from credproxy.pipeline.frame_search import FrameSearcher
from credproxy.pipeline.scrub import Needles, Reflected
from credproxy.wire.heads import Headers, response_headers
from credproxy.wire.inbound import Inbound
from credproxy.wire.outbound import Outbound
from credproxy.wire.plain import ResponseHead
from credproxy.wire.stream import Stream, StreamBroken
from credproxy.wire.upstream import UpstreamFailed
from credproxy.wire.websocket import BadFrames, is_accepted


class Splice:
    """Joins both legs after a 101."""

    def __init__(self, call: Call, inbound: Inbound, outbound: Outbound, needles: Needles) -> None:
        self._call = call
        self._inbound = inbound
        self._upstream, self._early = outbound.take_stream()
        self._searcher = FrameSearcher(needles) if needles else None
        self._deadlines = call.proxy.deadlines
        self._moved_at = 0.0

    async def run(self, asked: Headers, head: ResponseHead) -> None:
        """Accept the agent's upgrade if the upstream's answer accepts it; then pass on until the end. Raises
        UpstreamFailed. `asked`: the request's headers as they were sent."""
        call = self._call
        if not is_accepted(asked, head.headers, is_searched=self._searcher is not None):
            raise self._failed("websocket_refused", "answered the WebSocket's request with another's answer")
        headers = response_headers(head.headers, had_secret=self._searcher is not None)
        call.has_response_begun = True
        self._moved_at = asyncio.get_running_loop().time()
        first = self._inbound.accept_upgrade([*headers, (b"connection", b"Upgrade"), (b"upgrade", b"websocket")])
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send(first))
                await self._receive()
                sending.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self._upstream.close()

    async def _send(self, data: bytes) -> None:
        """From the agent to the upstream. An upstream that is gone is noticed by `_receive`."""
        source = self._inbound.stream
        try:
            while True:
                if data:
                    self._call.request_bytes += len(data)
                    await self._write(self._upstream, data)
                data = await source.read()
                if not data:
                    return
        except (StreamBroken, TimeoutError):
            self._upstream.abort()

    async def _receive(self) -> None:
        """From the upstream to the agent, until it ends or both have been silent for too long."""
        data = self._early
        while True:
            if data:
                self._call.response_bytes += len(data)
                passed = self._search(data)
                if passed:
                    await self._write(self._inbound.stream, passed)
            try:
                data = await self._upstream.read(self._deadlines.silence_s)
            except TimeoutError:
                data = b""
                if asyncio.get_running_loop().time() - self._moved_at >= self._deadlines.silence_s:
                    raise self._failed("websocket_silent", "and the agent were silent for too long") from None
                continue
            if not data:
                return

    def _search(self, data: bytes) -> bytes:
        if self._searcher is None:
            return data
        try:
            return self._searcher.feed(data)
        except Reflected:
            raise self._failed("secret_reflected", "sent the secret back; the connection was cut") from None
        except BadFrames:
            raise self._failed("upstream_broken", "sent what is no WebSocket frame") from None

    async def _write(self, stream: Stream, data: bytes) -> None:
        self._moved_at = asyncio.get_running_loop().time()
        stream.write(data)
        if stream.must_wait_to_write:
            async with asyncio.timeout(self._deadlines.body_pause_s):
                await stream.drain()

    def _failed(self, code: str, what: str) -> UpstreamFailed:
        return UpstreamFailed(code, f"{self._call.ask.target.host} {what}", may_retry=False)
