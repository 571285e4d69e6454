"""Bodies that an AWS client has signed piece by piece: read, and written again without those signatures. Pure.

Each piece is signed with the placeholder, and with the signature before it. S3 takes the same body over TLS without
them: whole, or in pieces with the checksums behind that the client announced. The form is described at
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and `…/sigv4-streaming-trailers.html`.
"""

from __future__ import annotations

import re

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.headers import with_header, without
from credproxy.injection.sigv4 import UNSIGNED_TRAILER
from credproxy.wire.heads import MAX_LENGTH_DIGITS, Headers, find_header

MAX_LINE_BYTES = 1024
MAX_TRAILERS = 20
_SIGNED = re.compile(rb"STREAMING-AWS4-(?:HMAC|ECDSA-P256)-SHA256-PAYLOAD(-TRAILER)?")
_CONTENT_HASH, _LENGTH = b"x-amz-content-sha256", b"x-amz-decoded-content-length"
_PIECE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;chunk-signature=[!-~]{1,512})?")
_TRAILER_LINE = re.compile(rb"([A-Za-z0-9-]{1,100}):([ -~]*)")
_LENGTH_VALUE = re.compile(rb"[0-9]{1,%d}" % MAX_LENGTH_DIGITS)


class AwsPieces:
    """One body in pieces, on its way through."""

    def __init__(self, payload_bytes: int, *, has_trailers: bool) -> None:
        self._left_bytes = payload_bytes
        """Of what the head has announced."""
        self._has_trailers = has_trailers
        self._arrived = b""
        self._piece_bytes: int | None = None
        """Left of a piece that has begun; None: its line comes next."""
        self._trailers: int | None = None
        """How many have come, once the last piece has."""
        self._has_ended = False

    def feed(self, data: bytes) -> bytes:
        """Return what may go out now; raises InjectionFailed."""
        self._arrived += data
        passed: list[bytes] = []
        while self._arrived:
            if self._piece_bytes:
                piece, self._arrived = self._arrived[: self._piece_bytes], self._arrived[self._piece_bytes :]
                self._piece_bytes -= len(piece)
                passed.append(piece)
                continue
            end = self._arrived.find(b"\r\n", 0, MAX_LINE_BYTES)
            if end < 0:
                if len(self._arrived) >= MAX_LINE_BYTES:
                    raise _unfit("a line of theirs is too long")
                break
            line, self._arrived = self._arrived[:end], self._arrived[end + 2 :]
            passed.append(self._take_line(line))
        return b"".join(passed)

    def end(self) -> None:
        """Raise InjectionFailed unless all has come that was announced, and no more."""
        if not self._has_ended or self._left_bytes or self._arrived:
            raise _unfit("they end too soon")

    def _take_line(self, line: bytes) -> bytes:
        if self._has_ended:
            raise _unfit("something follows the last one")
        if self._trailers is not None:
            return self._take_trailer(line)
        if self._piece_bytes == 0:
            if line:
                raise _unfit("one does not end where it says")
            self._piece_bytes = None
            return self._framing(b"\r\n")
        found = _PIECE_LINE.fullmatch(line)
        if found is None:
            raise _unfit("one does not begin with its length")
        length = int(found[1], 16)
        if length > self._left_bytes:
            raise _unfit("they are longer than x-amz-decoded-content-length says")
        self._left_bytes -= length
        if length:
            self._piece_bytes = length
        else:
            self._trailers = 0
        return self._framing(b"%x\r\n" % length)

    def _take_trailer(self, line: bytes) -> bytes:
        if not line:
            self._has_ended = True
            return self._framing(b"\r\n")
        found = _TRAILER_LINE.fullmatch(line)
        self._trailers = (self._trailers or 0) + 1
        if found is None or not self._has_trailers or self._trailers > MAX_TRAILERS:
            raise _unfit("what follows the last one are no trailers")
        is_signature = found[1].lower() == b"x-amz-trailer-signature"
        return b"" if is_signature else self._framing(line + b"\r\n")

    def _framing(self, wire: bytes) -> bytes:
        return wire if self._has_trailers else b""


def signed_pieces(headers: Headers) -> AwsPieces | None:
    """Return what reads the body of a request, None if it is not signed in pieces; raises InjectionFailed."""
    found = _SIGNED.fullmatch(find_header(headers, _CONTENT_HASH) or b"")
    if found is None:
        return None
    length = find_header(headers, _LENGTH)
    if length is None or _LENGTH_VALUE.fullmatch(length) is None:
        raise _unfit("x-amz-decoded-content-length does not say how long they are together")
    return AwsPieces(int(length), has_trailers=found[1] is not None)


def unsigned_headers(headers: Headers, body: bytes | None) -> Headers:
    """Return the headers of a request whose pieces lost their signatures. `body`: the whole of it, if that is there."""
    said = find_header(headers, _CONTENT_HASH) or b""
    length = find_header(headers, _LENGTH) or b""
    for name in (_CONTENT_HASH, b"content-length", b"transfer-encoding"):
        headers = without(headers, name)
    if said.endswith(b"-TRAILER"):
        headers = with_header(headers, _CONTENT_HASH.decode(), UNSIGNED_TRAILER)
        if body is None:
            return [*headers, (b"transfer-encoding", b"chunked")]
        return [*headers, (b"content-length", str(len(body)).encode("ascii"))]
    kept = [header for header in headers if header[0] not in (_LENGTH, b"x-amz-trailer", b"content-encoding")]
    others = [
        coding.strip()
        for name, value in headers
        if name == b"content-encoding"
        for coding in value.split(b",")
        if coding.strip().lower() not in (b"", b"aws-chunked")
    ]
    kept += [(b"content-encoding", b",".join(others))] if others else []
    return [*kept, (b"content-length", length)]


def _unfit(reason: str) -> InjectionFailed:
    return InjectionFailed("request_unfit", f"The body's signed pieces cannot be read: {reason}.")
