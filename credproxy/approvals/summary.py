"""What a person is shown of a held request: where it goes, what it carries, its body in readable lines. Pure.

Nothing is left out without a word: what is cut is counted, and the digest is over all of it. Every line of the agent's
own begins with `| `, so that none can pass for one of ours.
"""

from __future__ import annotations

import hashlib
import json
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

from credproxy.approvals.held import HeldRequest
from credproxy.wire.heads import find_header
from protocol.plain_text import decode, escape

MAX_LINES = 60
MAX_LINE_CHARS = 300
MAX_DEPTH = 40
OURS = "| "
_USUAL = frozenset(
    (
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"user-agent",
        b"content-type",
    )
)
"""Headers that change nothing a person decides by; their digest is bound all the same."""
_BOUNDARY = re.compile(rb'boundary="?([A-Za-z0-9\'()+_,./:=? -]{1,70})"?')


@dataclass(frozen=True, slots=True)
class _Literal:
    """A JSON number or constant as it was written: 1e3 is not 1000.0 to who reads."""

    text: str


Json = str | bool | None | _Literal | list["Json"] | tuple[tuple[str, "Json"], ...]
"""Objects are pairs: a name given twice is shown twice, whichever the server takes."""


def summarise(request: HeldRequest, *, is_full: bool = False) -> tuple[str, ...]:
    """Return the lines to show; `is_full`: all of them, each whole."""
    lines = [*_head(request), *_body(request)]
    if is_full:
        return tuple(piece for line in lines for piece in _wrapped(line))
    shown = [_cut(line) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        shown.append(f"({len(lines) - MAX_LINES} more lines; --full shows them)")
    return tuple(shown)


def _head(request: HeldRequest) -> Iterator[str]:
    target = request.target
    yield f"{request.method} {target.scheme}://{target.authority}{escape(target.path)}"
    if target.query is not None:
        yield "query:"
        for pair in target.query.split("&"):
            yield OURS + escape(pair if (decoded := _unquoted(pair)) is None else decoded)
    key = f"with the key {request.secret}" if request.secret else "without a key"
    yield f"by the grant {request.rule}, {key}"
    told = [(name, value) for name, value in request.headers if name.lower() not in _USUAL]
    if told:
        yield "headers:"
        for name, value in told:
            yield OURS + escape(f"{name.decode('latin-1')}: {value.decode('latin-1')}")


def _body(request: HeldRequest) -> Iterator[str]:
    if not request.body:
        yield "no body"
        return
    media_type = _type_header(request).decode("latin-1").lower()
    digest = hashlib.sha256(request.body).hexdigest()
    yield f"body: {len(request.body)} bytes, {escape(media_type) or 'of no named type'}, SHA-256 {digest}"
    for line in _readable(request, media_type):
        yield OURS + line


def _readable(request: HeldRequest, media_type: str) -> Iterator[str]:
    encoding = find_header(request.headers, b"content-encoding")
    text = decode(request.body) if encoding is None else None
    kind = media_type.partition(";")[0].strip()
    if text is not None and (kind == "application/json" or kind.endswith("+json")):
        yield from _json_lines(text)
    elif text is not None and kind == "application/x-www-form-urlencoded":
        yield from (escape(pair if (plain := _unquoted(pair)) is None else plain) for pair in text.split("&"))
    elif kind == "multipart/form-data" and encoding is None and (found := _BOUNDARY.search(_type_header(request))):
        yield from _multipart_lines(request.body, found[1])
    elif text is not None:
        yield from _text_lines(text)
    else:
        yield _binary(request.body)


def _type_header(request: HeldRequest) -> bytes:
    return find_header(request.headers, b"content-type") or b""


def _json_lines(text: str) -> Iterator[str]:
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=tuple,
            parse_int=_Literal,
            parse_float=_Literal,
            parse_constant=_Literal,
        )
        yield from _value_lines("", value, 0)
    except (ValueError, RecursionError):
        yield "(this says it is JSON, and is not, or is nested too deeply; as it stands:)"
        yield from _text_lines(text)


def _text_lines(text: str) -> Iterator[str]:
    """Yield lines as `\\n` and `\\r\\n` end them; whatever else may end one somewhere is made visible."""
    yield from (escape(line.removesuffix("\r")) for line in text.split("\n"))


def _value_lines(name: str, value: Json, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, tuple) and value:
        if name:
            yield f"{indent}{name}"
        for key, member in value:
            yield from _value_lines(f"{escape(json.dumps(key, ensure_ascii=False))}:", member, depth + bool(name))
    elif isinstance(value, list) and value:
        if name:
            yield f"{indent}{name}"
        for member in value:
            yield from _value_lines("-", member, depth + bool(name))
    elif isinstance(value, str) and "\n" in value:
        yield f"{indent}{name} (lines of text)" if name else f"{indent}(lines of text)"
        yield from (f"{indent}  {OURS}{line}" for line in _text_lines(value))
    else:
        yield f"{indent}{name} {_scalar(value)}" if name else f"{indent}{_scalar(value)}"


def _scalar(value: Json) -> str:
    if isinstance(value, _Literal):
        return value.text
    if isinstance(value, tuple):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return escape(json.dumps(value, ensure_ascii=False))


def _multipart_lines(body: bytes, boundary: bytes) -> Iterator[str]:
    before, *parts = body.split(b"--" + boundary)
    yield from _unasked("before the parts", before)
    for number, part in enumerate(parts, 1):
        if part.startswith(b"--"):
            yield from _unasked("after the parts", part[2:] + b"".join(parts[number:]))
            return
        head, found, content = part.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        named = "; ".join(_text_lines(head.removeprefix(b"\r\n").decode("latin-1")))
        yield f"part {number}: {named}"
        text = decode(content) if found else None
        yield from (f"  {OURS}{line}" for line in ([_binary(content)] if text is None else _text_lines(text)))


def _unasked(where: str, data: bytes) -> Iterator[str]:
    """What stands outside the parts, where readers look past it."""
    if data.strip():
        yield f"{where}: {_binary(data) if (text := decode(data)) is None else escape(text)}"


def _binary(data: bytes) -> str:
    return f"(binary, {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()})"


def _unquoted(pair: str) -> str | None:
    """Return `name=value` decoded as forms are, None if that would be no text or look like more than one pair."""
    try:
        text = urllib.parse.unquote_to_bytes(pair.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if text.count("=") != pair.count("=") or "&" in text else text


def _cut(line: str) -> str:
    if len(line) <= MAX_LINE_CHARS:
        return line
    return f"{line[:MAX_LINE_CHARS]}… ({len(line) - MAX_LINE_CHARS} more characters; --full shows them)"


def _wrapped(line: str) -> Iterator[str]:
    """Yield a long line as several, each begun as its first."""
    prefix = OURS if line.startswith(OURS) else ""
    rest = line[len(prefix) :]
    while True:
        yield prefix + rest[:MAX_LINE_CHARS]
        rest = rest[MAX_LINE_CHARS:]
        if not rest:
            return
