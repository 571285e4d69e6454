"""A request's body on its way in: whole where it is small, in pieces where not, never more than is allowed."""

from __future__ import annotations

import h11

from credproxy.audit.model_use import asked_model
from credproxy.pipeline import answers
from credproxy.pipeline.call import Call
from credproxy.pipeline.refusal import Refused
from credproxy.wire.answer import Answer
from credproxy.wire.heads import find_header
from credproxy.wire.inbound import Inbound, Request

MAX_WHOLE_BODY_BYTES = 512 << 10
"""Up to here a body is sent in one piece and can be sent again; above, it is streamed."""
MAX_BODY_BYTES = 64 << 20


class RequestBody:
    """Reads one request's body, and counts it into its call."""

    def __init__(self, inbound: Inbound, request: Request, call: Call) -> None:
        self._inbound = inbound
        self._request = request
        self._call = call
        self._max_bytes = MAX_BODY_BYTES

    async def read_small(self) -> bytes | None:
        """Return the whole body if it is small, None if it must be streamed (and is then still to be read)."""
        if not self._request.has_body:
            return b""
        length = find_header(self._request.headers, b"content-length")
        if length is not None and int(length) > self._max_bytes:
            raise Refused(_too_large(self._max_bytes))
        if length is None or int(length) > MAX_WHOLE_BODY_BYTES:
            return None
        return await self._read_rest()

    async def next_piece(self) -> bytes | None:
        """Return a piece, None after the last; raises Refused where it is malformed or too large."""
        try:
            piece = await self._inbound.read_body()
        except h11.RemoteProtocolError as error:
            raise Refused(answers.bad_request(f"the body is malformed ({error})")) from error
        if piece is None:
            return None
        call = self._call
        if call.request_bytes == 0 and call.allow.is_model_call:
            call.asked_model = asked_model(piece)
        call.request_bytes += len(piece)
        if call.request_bytes > self._max_bytes:
            raise Refused(_too_large(self._max_bytes))
        return piece

    async def _read_rest(self) -> bytes:
        pieces: list[bytes] = []
        while (piece := await self.next_piece()) is not None:
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(max_bytes: int) -> Answer:
    reason = f"the body is larger than {max_bytes >> 20} MiB"
    return answers.bad_request(reason, status=413, code="body_too_large")
