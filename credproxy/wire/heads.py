"""Message heads: what is refused before a parser sees it, what is stripped. Pure.

h11 parses; it is lenient where two servers may disagree (bare line feeds, folded lines, both length headers), so each
head is checked here first, as it arrived, on both legs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

MAX_HEAD_BYTES = 64 << 10
MAX_HEADERS = 100
MAX_LENGTH_DIGITS = 15

_BAD_BYTES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BARE_BREAK = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_FOLD = re.compile(rb"\r\n[ \t]")
_LENGTH_LINE = re.compile(rb"\r\ncontent-length:[ \t]*([^\r]*)", re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,%d}[ \t]*" % MAX_LENGTH_DIGITS)

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"expect",
    )
)
AUTH_CARRIERS = frozenset(
    (
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"apikey",
        b"x-apikey",
        b"x-goog-api-key",
        b"x-goog-iam-authorization-token",
        b"x-auth-token",
        b"x-auth-key",
        b"x-access-token",
        b"x-amz-security-token",
        b"x-token",
        b"x-subscription-token",
        b"x-github-token",
        b"x-vault-token",
        b"x-figma-token",
        b"x-shopify-access-token",
        b"x-session-token",
        b"private-token",
        b"job-token",
        b"deploy-token",
        b"ocp-apim-subscription-key",
        b"openai-organization",
        b"openai-project",
        b"cookie",
        b"cookie2",
    )
)
"""How services take credentials. An agent's own account at a granted host would carry data out to whoever owns it."""
OVERRIDES = frozenset(
    (
        b"x-http-method-override",
        b"x-http-method",
        b"x-method-override",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-original-method",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-forwarded-prefix",
        b"x-forwarded-uri",
        b"x-real-ip",
        b"forwarded",
        b"via",
    )
)
"""With these a server may do another thing than the one that was judged."""
_NOMINATING = frozenset((b"connection", b"proxy-connection"))
_RANGES = frozenset((b"range", b"if-range"))
_OURS = frozenset((b"x-nightyard", b"x-nightyard-taint"))
_RESPONSE_DROPPED = (HOP_BY_HOP - {b"trailer"}) | _OURS | {b"alt-svc"}
_NEVER_TRAILING = (
    HOP_BY_HOP
    | AUTH_CARRIERS
    | OVERRIDES
    | _OURS
    | {b"host", b"content-length", b"set-cookie", b"set-cookie2", b"www-authenticate", b"authentication-info"}
    | {b"content-encoding", b"content-type", b"content-range", b"content-disposition", b"location", b"alt-svc"}
    | {b"cache-control", b"expires", b"date", b"age", b"vary", b"pragma", b"retry-after", b"warning"}
)
"""What says how a message is framed, routed, kept, trusted or read comes in its head or not at all: RFC 9110 6.5.1."""
_NO_ENCODING = frozenset((b"", b"identity", b"none", b"binary", b"utf-8", b"utf8"))
"""What servers say of a body that is not compressed, the last ones by mistake."""
_FIELD_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_FIELD_VALUE = re.compile(rb"[\t -~\x80-\xff]*")
_SECRET_RESPONSE_DROPPED = _RESPONSE_DROPPED | {b"set-cookie"}
_REQUEST_DROPPED = HOP_BY_HOP | AUTH_CARRIERS | OVERRIDES | {b"host", b"content-length"}
_SEARCHED_DROPPED = _REQUEST_DROPPED | _RANGES | {b"accept-encoding"}


class BadHead(ValueError):
    """A head that two servers could read differently, or too large."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def head_end(buffer: bytes | bytearray, scanned: int = 0) -> int:
    """Return where the head ends (after its empty line), 0 if it is not all there; raises BadHead as soon as it can.

    `scanned`: so many bytes were there when 0 was returned last. They are not looked at again: a long head that comes
    byte by byte would cost half a minute otherwise.
    """
    end = buffer.find(b"\r\n\r\n", max(0, scanned - 3))
    end = end + 4 if end >= 0 else 0
    length = end or len(buffer)
    if length > MAX_HEAD_BYTES:
        raise BadHead(f"the head is longer than {MAX_HEAD_BYTES} bytes")
    bare = _BARE_BREAK.search(buffer, max(0, scanned - 1), length)
    if bare is not None and bare.end() < length:
        raise BadHead("a line ends in a bare CR or LF")
    if not end:
        return 0
    seen = bytes(buffer[:length])
    if _BAD_BYTES.search(seen) is not None:
        raise BadHead("the head holds control characters")
    if _FOLD.search(seen) is not None:
        raise BadHead("a header is folded over lines")
    if seen.count(b"\r\n") - 2 > MAX_HEADERS:
        raise BadHead(f"there are more than {MAX_HEADERS} headers")
    lengths = _LENGTH_LINE.findall(seen)  # here, because h11 makes one of equal ones
    if len(lengths) > 1:
        raise BadHead("the body's length is given twice")
    if lengths and _LENGTH.fullmatch(lengths[0]) is None:
        raise BadHead("Content-Length is not a plain number")
    return end


def check_framing(headers: Headers) -> None:
    """Raise BadHead unless the body's length is said in one way. Names are lower case (h11's are)."""
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if codings and find_header(headers, b"content-length") is not None:
        raise BadHead("both Content-Length and Transfer-Encoding are given")
    if len(codings) > 1:
        raise BadHead("the body's length is given twice")
    if codings and codings[0].lower() != b"chunked":
        raise BadHead("the only Transfer-Encoding taken is chunked")


def find_header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    for found, value in headers:  # a third of what `next` over a generator costs
        if found == name:
            return value
    return None


def request_headers(received: Headers, *, authority: str, is_searched: bool, keeps_ranges: bool = False) -> Headers:
    """Return what goes upstream before a credential is put in: the agent's headers without any auth carrier.

    Names with `_` stay behind: to servers of the CGI family, `x_api_key` and `X-Api-Key` are one header.
    `is_searched`: the response will be searched, so it must come unencoded and whole (unless `keeps_ranges`).
    """
    dropped = _SEARCHED_DROPPED if is_searched else _REQUEST_DROPPED
    if keeps_ranges:
        dropped = dropped - _RANGES
    length: bytes | None = None
    is_chunked = is_nominating = False
    headers: Headers = [(b"host", authority.encode("ascii"))]
    for header in received:
        name = header[0]
        if name not in dropped:
            if not name.startswith(b"x-nightyard") and b"_" not in name:
                headers.append(header)
        elif name == b"content-length":
            length = header[1]
        elif name == b"transfer-encoding":
            is_chunked = True
        elif name in _NOMINATING:
            is_nominating = True
    if is_nominating:
        nominated = _nominated(received)
        headers = [header for header in headers if header[0] not in nominated]
    if length is not None:
        headers.append((b"content-length", length))
    elif is_chunked:
        headers.append((b"transfer-encoding", b"chunked"))
    if is_searched:
        headers.append((b"accept-encoding", b"identity"))
    return headers


def response_headers(received: Headers, *, had_secret: bool) -> Headers:
    """Return what the agent sees. A session begun with our secret is ours: its cookies stay here."""
    dropped = _SECRET_RESPONSE_DROPPED if had_secret else _RESPONSE_DROPPED
    passed = [header for header in received if header[0] not in dropped]
    if len(passed) < len(received):
        nominated = _nominated(received)
        return [header for header in passed if header[0] not in nominated] if nominated else passed
    return passed


def check_trailers(received: Headers) -> None:
    """Raise BadHead unless each is a field as one of a head must be: h11 is lenient here, too. Names are lower case."""
    if len(received) > MAX_HEADERS:
        raise BadHead(f"there are more than {MAX_HEADERS} trailers")
    if sum(len(name) + len(value) for name, value in received) > MAX_HEAD_BYTES:
        raise BadHead(f"the trailers are longer than {MAX_HEAD_BYTES} bytes")
    for name, value in received:
        if _FIELD_NAME.fullmatch(name) is None or _FIELD_VALUE.fullmatch(value) is None:
            raise BadHead("a trailer is no header field")


def trailer_headers(received: Headers, *, had_secret: bool) -> Headers:
    """Return what of an answer's trailers the agent sees; of an answer to our secret no session, as in its head."""
    return [header for header in response_headers(received, had_secret=had_secret) if header[0] not in _NEVER_TRAILING]


def is_encoded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a body is compressed, so that a search would not see what it says."""
    for name, value in headers:
        if name == b"content-encoding":
            for coding in value.lower().split(b","):
                if coding.strip() not in _NO_ENCODING:
                    return True
    return False


def _nominated(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Headers that `Connection` names are for this hop only."""
    values = [value for name, value in headers if name in _NOMINATING]
    return {token.strip().lower() for value in values for token in value.split(b",")} - {b"content-length", b"host"}
