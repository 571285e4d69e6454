"""A request's body on its way in: whole where it is small, in pieces where not, never more than is allowed."""

from __future__ import annotations

import hashlib

import h11

from credproxy.audit.model_use import asked_model, asked_output
from credproxy.pipeline import answers
from credproxy.pipeline.call import Call
from credproxy.pipeline.refusal import Refused
from credproxy.wire.answer import Answer
from credproxy.wire.heads import find_header
from credproxy.wire.inbound import Inbound
from credproxy.wire.plain import Request

MAX_WHOLE_BODY_BYTES = 512 << 10
"""Up to here a body is sent in one piece and can be sent again; above, it is streamed."""
MAX_BODY_BYTES = 64 << 20
"""Where the grant says nothing."""


class RequestBody:
    """Reads one request's body, and counts it into its call."""

    def __init__(self, inbound: Inbound, request: Request, call: Call) -> None:
        self._inbound = inbound
        self._request = request
        self._call = call

    async def read_small(self, max_bytes: int) -> bytes | None:
        """Return the whole body if it is small, None if it must be streamed (and is then still to be read)."""
        if not self._request.has_body:
            return b""
        length = self.said_bytes()
        if length is None or length > max_bytes:
            return None
        return await self._read_rest(max_bytes)

    async def read_whole(self, max_bytes: int) -> bytes:
        """Return the whole body; raises Refused if it is larger."""
        if not self._request.has_body:
            return b""
        length = self.said_bytes()
        if length is not None and length > max_bytes:
            raise Refused(_too_large(max_bytes))
        return await self._read_rest(max_bytes)

    async def digest(self) -> str:
        """Return the SHA-256, in hex, of a body that goes nowhere."""
        sha = hashlib.sha256()
        if self._request.has_body:
            while (piece := await self._read()) is not None:
                sha.update(piece)
                self._count(piece, MAX_BODY_BYTES)
        return sha.hexdigest()

    async def next_piece(self) -> bytes | None:
        """Return a piece, None after the last; raises Refused where it is malformed or too large."""
        return await self._next_piece(self._max_bytes())

    async def _next_piece(self, max_bytes: int) -> bytes | None:
        piece = await self._read()
        if piece is None:
            return None
        call = self._call
        if call.request_bytes == 0 and call.allow.is_model_call:
            call.asked_model = asked_model(piece)
        if call.allow.is_model_call:
            more = asked_output(piece)
            call.asked_output = more if call.asked_output is None else max(call.asked_output, more or 0)
        self._count(piece, max_bytes)
        return piece

    async def _read(self) -> bytes | None:
        try:
            return await self._inbound.read_body()
        except h11.RemoteProtocolError as error:
            raise Refused(answers.bad_request(f"the body is malformed ({error})")) from error

    async def _read_rest(self, max_bytes: int) -> bytes:
        max_bytes = min(max_bytes, self._max_bytes())
        pieces: list[bytes] = []
        while (piece := await self._next_piece(max_bytes)) is not None:
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _count(self, piece: bytes, max_bytes: int) -> None:
        self._call.request_bytes += len(piece)
        if self._call.request_bytes > max_bytes:
            raise Refused(_too_large(max_bytes))

    def said_bytes(self) -> int | None:
        """Return the length that the head says, None if the body is sent in chunks; raises Refused."""
        text = find_header(self._request.headers, b"content-length")
        if text is None:
            return None
        length, max_bytes = int(text), self._max_bytes()
        if length > max_bytes:
            raise Refused(_too_large(max_bytes))
        return length

    def _max_bytes(self) -> int:
        granted = self._call.allow.body_bytes
        return MAX_BODY_BYTES if granted is None else granted


def _too_large(max_bytes: int) -> Answer:
    shown = f"{max_bytes >> 20} MiB" if max_bytes >= 1 << 20 else f"{max_bytes} bytes"
    return answers.bad_request(f"the body is larger than {shown}", status=413, code="body_too_large")
