"""Plain messages, read and written without h11: a head of the narrowest form, a body of a length that it says. Pure.

Most messages are plain, and h11 costs more than all else that the proxy does with them. What is accepted here is a
part of what `heads.py` and h11 accept together, and needs no look of theirs; whatever does not fit (a request in
chunks, upgrades, `Expect`, a connection that is to be closed) is theirs to read or refuse. An answer in chunks, as all
streams of events are, is read here as long as its chunks are bare: extensions and trailers are h11's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from credproxy.wire.heads import MAX_HEAD_BYTES, MAX_HEADERS, MAX_LENGTH_DIGITS, Headers

_LINE = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n"
"""One way to match each byte: with the spaces around a value spelt out, a line of spaces takes seconds to refuse."""
_HEADER = re.compile(rb"([^:]+):[ \t]*([^\r]*)\r\n")
_REQUEST = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) ([!-~]+) HTTP/1\.1\r\n((?:" + _LINE + rb")+)\r\n")
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: ([ \t!-~\x80-\xff]*))?\r\n((?:" + _LINE + rb")+)\r\n")
_NOT_PLAIN = frozenset((b"transfer-encoding", b"upgrade", b"expect", b"te", b"trailer"))
_NOT_PLAIN_ANSWER = _NOT_PLAIN - {b"transfer-encoding"}
_WITHOUT_BODY = (b"204", b"304")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_CHUNK_BEGUN = re.compile(rb"[0-9A-Fa-f]{1,8}\r?")
_LAST_CHUNK = re.compile(rb"0{1,8}\r\n\r\n")
_LAST_CHUNK_BEGUN = re.compile(rb"0{1,8}\r\n\r?")


class Request(NamedTuple):
    """A request's head, whoever read it. A tuple, as all that is made for each request here: a frozen dataclass takes
    four times as long to make."""

    method: str
    target: str
    host: str
    headers: Headers
    """Names in lower case."""
    has_body: bool
    wants_websocket: bool = False
    body_bytes: int = 0
    """As a plain head says it."""


class ResponseHead(NamedTuple):
    """A response's head, whoever read it."""

    status: int
    headers: Headers
    """Names in lower case."""
    reason: bytes
    body_bytes: int | None
    """None: the body's end is told in another way."""
    is_chunked: bool = False
    """In chunks that `PlainChunks` may read."""


def plain_end(wire: bytes) -> int:
    """Return where a head ends (after its empty line) that is not too long to be plain, 0 if none does."""
    end = wire.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES) + 4
    return end if 4 <= end <= MAX_HEAD_BYTES else 0


def read_plain_request(head: bytes) -> Request | None:
    """Return a head, None if it is not plain. What is plain would pass `heads.head_end`, too."""
    found = _REQUEST.fullmatch(head)
    headers = _read_headers(found[3]) if found is not None else None
    if found is None or headers is None:
        return None
    hosts: list[bytes] = []
    lengths: list[bytes] = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            lengths.append(value)
    length = _read_length(lengths) if lengths else 0
    if len(hosts) != 1 or length is None:
        return None
    method, target, host = found[1].decode("ascii"), found[2].decode("ascii"), hosts[0].decode("latin-1")
    return Request(method, target, host, headers, length > 0, False, length)


def read_plain_response(head: bytes) -> ResponseHead | None:
    """Return the head of an answer to anything but HEAD, None if it is not plain. What is plain would pass
    `heads.head_end`, too."""
    found = _RESPONSE.fullmatch(head)
    if found is None or found[1] in _WITHOUT_BODY:
        return None
    headers = _read_headers(found[3], _NOT_PLAIN_ANSWER)
    if headers is None:
        return None
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for name, value in headers:
        if name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value.lower())
    if codings:
        is_plain = codings == [b"chunked"] and not lengths
        return ResponseHead(int(found[1]), headers, found[2] or b"", None, is_chunked=True) if is_plain else None
    length = _read_length(lengths)
    return None if length is None else ResponseHead(int(found[1]), headers, found[2] or b"", length)


class ChunksBroken(ValueError):
    """A chunk does not end where it says."""


class PlainChunks:
    """Reads a body of bare chunks, across any split."""

    __slots__ = ("_left_bytes", "has_ended", "is_odd")

    def __init__(self) -> None:
        self._left_bytes = 0
        """Of a chunk that has begun, with its line's end."""
        self.has_ended = False
        self.is_odd = False
        """What comes next is another form of chunk, or trailers: to be read by somebody else, from there on."""

    def read(self, arrived: bytes) -> tuple[bytes, bytes]:
        """Return what of the body has arrived, and what is to be given again with more behind it; raises
        ChunksBroken."""
        pieces: list[bytes] = []
        at = 0
        while at < len(arrived) and not (self.has_ended or self.is_odd):
            left = self._left_bytes
            if left > 2:
                pieces.append(arrived[at : at + left - 2])
                at += len(pieces[-1])
                self._left_bytes -= len(pieces[-1])
            elif left:
                end = arrived[at : at + left]
                if not b"\r\n"[2 - left :].startswith(end):
                    raise ChunksBroken
                at += len(end)
                self._left_bytes -= len(end)
            else:
                begin = self._begin_chunk(arrived, at)
                if begin == at:
                    break
                at = begin
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), arrived[at:]

    def _begin_chunk(self, arrived: bytes, at: int) -> int:
        """Return where a chunk's bytes begin, or the body has ended; the same place where more must come first."""
        found = _CHUNK.match(arrived, at)
        if found is None:
            self.is_odd = _CHUNK_BEGUN.fullmatch(arrived, at) is None
            return at
        length = int(found[1], 16)
        if length:
            self._left_bytes = length + 2
            return found.end()
        last = _LAST_CHUNK.match(arrived, at)
        if last is not None:
            self.has_ended = True
            return last.end()
        self.is_odd = _LAST_CHUNK_BEGUN.fullmatch(arrived, at) is None
        return at


def write_plain_request(method: str, target: str, headers: Headers) -> bytes | None:
    """Return a head's bytes, None if they would not be read as plain by ourselves."""
    lines = [b"%s: %s\r\n" % header for header in headers]
    first = f"{method} {target} HTTP/1.1".encode("ascii", "replace")
    wire = b"%s\r\n%s\r\n" % (first, b"".join(lines))
    is_plain = _REQUEST.fullmatch(wire) is not None and wire.count(b"\n") == len(headers) + 2
    return wire if is_plain else None


def write_response(status: int, headers: Headers, reason: bytes) -> bytes | None:
    """Return a head's bytes, None if a line breaks in the middle. Headers were read here or by h11, or are our own."""
    lines = [b"%s: %s\r\n" % header for header in headers]
    wire = b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, reason, b"".join(lines))
    return wire if wire.count(b"\n") == wire.count(b"\r\n") == len(headers) + 2 else None


def _read_headers(lines: bytes, not_plain: frozenset[bytes] = _NOT_PLAIN) -> Headers | None:
    """`lines` are of the form of `_LINE`."""
    headers = [(name.lower(), value.rstrip(b" \t")) for name, value in _HEADER.findall(lines)]
    for name, value in headers:
        if name in not_plain or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
    return headers if len(headers) <= MAX_HEADERS else None


def _read_length(lengths: list[bytes]) -> int | None:
    """Return the one length, None if it is said twice, or as something else than a plain number."""
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > MAX_LENGTH_DIGITS:
        return None
    return int(lengths[0])
