"""Where a request goes: one strict parser for every way of saying it. Pure.

`Target` is the only input to policy, leaf choice, dialling and audit, and the bytes sent upstream are written again
from it: what was judged is what goes out. What two servers might read differently is refused, or marked
`is_ambiguous` and then admitted only by a rule for the whole host. What a group may reach is `policy.py`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

Scheme = Literal["http", "https"]
DEFAULT_PORTS: dict[Scheme, int] = {"http": 80, "https": 443}

MAX_HOST_CHARS = 253
MAX_TARGET_BYTES = 16 << 10
"""Longer than what common servers take (8 KiB) and short enough to be judged quickly."""

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_PLAIN_PATH = re.compile(r"(?:/(?!\.)[A-Za-z0-9\-_~.!$&'()*+,=:@]*)+")
_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*")
_UNESCAPED = re.compile(r"[\[\]|^{}\"<>`]")
"""What tools send as it is, though it should be percent-encoded: Node, Go and curl some of it each. No server takes any
of it for something else than its encoded form."""
_QUERY = re.compile(r"[!-\"$-~]*")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})?")
_ENCODED_PERCENT = re.compile(r"%25[0-9A-Fa-f]{2}")
_HIGH_BYTES = re.compile(r"(?:%[89A-F][0-9A-F])+")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class TargetRefused(ValueError):
    """A request target that is not in the one form we take."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    host: str
    """Lower-case ASCII name without a trailing dot, dotted quad, or IPv6 address without brackets."""
    port: int


class RequestPath(NamedTuple):
    path: str
    """Canonical: begins with `/`, no dot segments, percent signs only where needed, in upper case."""
    query: str | None
    """Without the `?`, as it came; None without one."""
    is_ambiguous: bool
    """It holds what servers read differently: an encoded slash, `;`, `//`, a doubly encoded sign."""


class Target(NamedTuple):
    scheme: Scheme
    host: str
    port: int
    path: str
    query: str | None = None
    is_ambiguous: bool = False

    @property
    def authority(self) -> str:
        """The Host header: brackets where needed, the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def wire(self) -> str:
        """The request target in origin form."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def __str__(self) -> str:
        """For audit and people: without the query, whose text is the agent's own business."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_connect(target: str) -> Authority:
    """Return where `CONNECT host:port` goes; the port must be said. Raises TargetRefused."""
    return parse_authority(target, default_port=None)


def parse_absolute(target: str) -> Target:
    """Return the target of `http://host[:port]/path`; https is for CONNECT. Raises TargetRefused."""
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() != "http":
        raise TargetRefused("only http:// is taken in absolute form; for https use CONNECT")
    cut = min((index for index in (rest.find("/"), rest.find("?")) if index >= 0), default=len(rest))
    authority, tail = rest[:cut], rest[cut:]
    return make_target("http", parse_authority(authority, default_port=80), parse_path(_with_slash(tail)))


def parse_authority(text: str, *, default_port: int | None) -> Authority:
    """Return host and port; raises TargetRefused. `default_port` None: the port must be there."""
    if text.startswith("["):
        host_text, bracket, port_text = text.partition("]")
        if not bracket or (port_text and not port_text.startswith(":")):
            raise TargetRefused("the address in brackets is not closed")
        host = parse_ipv6(host_text[1:])
        port_text = port_text or ""
    else:
        host_text, colon, port_text = text.partition(":")
        host, port_text = parse_host(host_text), colon + port_text
    if not port_text:
        if default_port is None:
            raise TargetRefused("the port is missing")
        return Authority(host=host, port=default_port)
    return Authority(host=host, port=_parse_port(port_text[1:]))


def parse_host(text: str) -> str:
    """Return a name or a dotted quad in its one form; raises TargetRefused.

    A name that ends in a number is an address in some resolver's eyes (`0x7f.1`, `2130706433`): only the four plain
    decimals are taken, as https://url.spec.whatwg.org/#ends-in-a-number-checker would have it.
    """
    host = text.lower() if text.isascii() else ""
    host = host[:-1] if host.endswith(".") else host
    if len(host) > MAX_HOST_CHARS or _NAME.fullmatch(host) is None:
        raise TargetRefused("the host is not a plain name (letters, digits, hyphens, dots; other scripts as xn--)")
    if _ENDS_IN_NUMBER.fullmatch(host) is None:
        return host
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise TargetRefused("the host looks like an address, but is not four plain decimals") from None


def parse_ipv6(text: str) -> str:
    """Return an IPv6 address in its short form; zones and embedded IPv4 addresses are refused (TargetRefused)."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise TargetRefused("the address in brackets is not IPv6") from None
    if address.scope_id is not None or address.ipv4_mapped or address.sixtofour or address.teredo or "." in text:
        raise TargetRefused("an IPv6 address with a zone or an IPv4 address inside is not taken")
    return address.compressed


def parse_path(target: str) -> RequestPath:
    """Return the canonical path and the query of an origin-form target; raises TargetRefused."""
    if len(target) > MAX_TARGET_BYTES:
        raise TargetRefused(f"the request target is longer than {MAX_TARGET_BYTES} bytes")
    path, question_mark, query_text = target.partition("?")
    query = query_text if question_mark else None
    if query is not None and _QUERY.fullmatch(query) is None:
        raise TargetRefused("the query holds bytes that must be percent-encoded")
    if _PLAIN_PATH.fullmatch(path) and "//" not in path:
        return RequestPath(path=path, query=query, is_ambiguous=False)
    path = _UNESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", path)
    if _PATH.fullmatch(path) is None:
        raise TargetRefused("the path must begin with / and percent-encode what is not a plain URL character")
    canonical = _PERCENT.sub(_canonical_percent, path)
    if any(segment in (".", "..") for segment in canonical.split("/")):
        raise TargetRefused("the path holds . or .. segments")
    _refuse_broken_utf8(canonical)
    is_ambiguous = (
        "//" in canonical
        or ";" in canonical
        or "%2F" in canonical
        or "%3B" in canonical
        or _ENCODED_PERCENT.search(canonical) is not None
    )
    return RequestPath(path=canonical, query=query, is_ambiguous=is_ambiguous)


def make_target(scheme: Scheme, authority: Authority, path: RequestPath) -> Target:
    return Target(
        scheme=scheme,
        host=authority.host,
        port=authority.port,
        path=path.path,
        query=path.query,
        is_ambiguous=path.is_ambiguous,
    )


def _with_slash(tail: str) -> str:
    return tail if tail.startswith("/") else f"/{tail}"


def _parse_port(text: str) -> int:
    if _PORT.fullmatch(text) is None or int(text) > 65535:
        raise TargetRefused("the port is not a number from 1 to 65535")
    return int(text)


def _canonical_percent(found: re.Match[str]) -> str:
    if found[1] is None:
        raise TargetRefused("the path holds a % without two hexadecimal digits")
    byte = int(found[1], 16)
    if byte < 0x20 or byte in (0x7F, 0x5C):
        raise TargetRefused("the path holds an encoded control character or backslash")
    return chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"


def _refuse_broken_utf8(canonical: str) -> None:
    """Overlong UTF-8 (`%C0%AE` for a dot) is how some servers are fooled."""
    try:
        for run in _HIGH_BYTES.findall(canonical):
            bytes.fromhex(run.replace("%", "")).decode("utf-8")
    except UnicodeDecodeError:
        raise TargetRefused("the path's percent-encoded bytes are not UTF-8") from None
