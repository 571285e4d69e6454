"""The forms that a secret may come back in. Pure. What is done with them is `scrub.py`'s.

Of a long random value it is the end that is looked for, in two pieces: so one of them is whole where a line break cuts
the other, and a needle stays short. What is shorter than `MIN_CHARS` is not looked for: it
would be found in anything.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import NamedTuple

MIN_CHARS = 8
END_CHARS = 45
"""In base64 sixty characters, the shortest line that anybody breaks it into: of two pieces in it, one is whole."""
MAX_ENCODED_CHARS = 256
"""Of a value with a random end."""
_MIN_END_CHARS = 32
_MIN_DISTINCT = 8
"""Of a piece's characters. What is filled up with zeros, or ends in a host's name, is looked for as a whole."""
_RANDOM = re.compile(r"[A-Za-z0-9_~+/=-]+")
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
"""What neither URLs nor JSON nor HTML escape."""
_PERCENT = re.compile(r"%[0-9A-F]{2}")

_HTML_TEXT = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_HTML_ESCAPES = tuple(
    str.maketrans({**_HTML_TEXT, **quotes})
    for quotes in ({}, {'"': "&quot;", "'": "&#x27;"}, {'"': "&quot;", "'": "&#39;"}, {'"': "&#34;", "'": "&#39;"})
)
"""In text, and as common libraries escape quotes besides. `html.escape` would bring a third of a megabyte along."""
_LEFT_BY_ENCODERS = ("", "/", "!'()*", "!'()*;,/?:@&=+$#", "$&+=:@", "!$&'()*+,;=:@", "!$&'()*+,;=:@/?", "=", "+=", "+")
"""What encoders leave as it is: of everything, Python's, JavaScript's for a part and for an address, Go's for a path's
part, RFC 3986's for a part, a path and a query, and what people write by hand for a form."""
_BY_TEMPLATES = (
    str.maketrans({sign: f"\\u{ord(sign):04X}" for sign in "+<>&'`\""}),
    str.maketrans({**_HTML_TEXT, '"': "&#34;", "'": "&#39;", "+": "&#43;"}),
    str.maketrans({**_HTML_TEXT, '"': "&quot;", "'": "&#39;", "/": "&#x2F;", "=": "&#x3D;", "`": "&#x60;"}),
    str.maketrans({**_HTML_TEXT, '"': "&quot;", "'": "&#x27;", "=": "&#x3D;", "`": "&#x60;"}),
)
""".NET's JSON; the pages of Go, Mustache and Handlebars."""


class Form(NamedTuple):
    whole: bytes
    """What is held back from its beginning on."""
    pieces: tuple[bytes, ...]
    """What is looked for: any one of them."""


def forms_of(value: str) -> Iterator[Form]:
    """Yield a value as it is, escaped for URLs, JSON, HTML and mail, in UTF-16, in hex, base32, base64 and base64 of
    base64: of a plain token some 20 forms, of one full of signs some 70."""
    if len(value) < MIN_CHARS:
        return
    raw = value.encode("ascii")
    end_bytes = len(_random_end(value))
    yield Form(raw, _pieces(raw, end_bytes))
    if _PLAIN.fullmatch(value) is None:
        yield from map(_whole, _escaped_forms(value))
    if end_bytes:
        raw = raw[-MAX_ENCODED_CHARS:]
    encoded = [b"\0".join(raw[at : at + 1] for at in range(len(raw))), raw.hex().encode("ascii")]
    encoded += [encoded[-1].upper(), *_cores(raw, base64.b32encode, 5)]
    for core in _cores(raw, base64.b64encode, 6):
        for text in {core, core.replace(b"+", b"-").replace(b"/", b"_")}:
            if len(text) >= MIN_CHARS:
                yield Form(text, _pieces(text, end_bytes * 8 // 6 - 1))
                encoded += _cores(text, base64.b64encode, 6)
    yield from (_whole(form) for form in encoded if len(form) >= MIN_CHARS)


def _random_end(value: str) -> str:
    """Return the last characters of a value that is a long random text or ends in one, as a JWT does; else none."""
    end = value[-END_CHARS:].rpartition(".")[2]
    is_random = len(end) >= _MIN_END_CHARS and _RANDOM.fullmatch(end) is not None
    halves = _pieces(end.encode("ascii"), len(end)) if is_random else ()
    return end if halves and all(len(set(half)) >= _MIN_DISTINCT for half in halves) else ""


def _whole(form: bytes) -> Form:
    return Form(form, (form,))


def _pieces(text: bytes, end_bytes: int) -> tuple[bytes, ...]:
    """Return the halves of a text's end, all of it where it has no random one."""
    if end_bytes <= 0:
        return (text,)
    end = text[-end_bytes:]
    return end[: end_bytes // 2], end[end_bytes // 2 :]


def _cores(raw: bytes, encode: Callable[[bytes], bytes], bits: int) -> Iterator[bytes]:
    """Yield what the bytes make, of so many bits a character, behind each number of bytes: the characters that hold
    nothing of what stands around them."""
    for phase in range((3, 5)[bits == 5]):
        encoded = encode(b"\0" * phase + raw)
        yield encoded[-(-8 * phase // bits) : 8 * (phase + len(raw)) // bits]


def _escaped_forms(value: str) -> Iterator[bytes]:
    for quoted in (
        urllib.parse.quote_plus(value),
        *(urllib.parse.quote(value, safe=safe) for safe in _LEFT_BY_ENCODERS),
    ):
        yield quoted.encode("ascii")
        yield _PERCENT.sub(lambda found: found[0].lower(), quoted).encode("ascii")
    escaped = json.dumps(value)[1:-1]
    for text in (escaped, escaped.replace("/", "\\/"), escaped.replace("/", "\\u002f")):
        yield text.encode("ascii")
        # What some encoders escape besides, so that a page may hold it: < > & as < > &.
        for_pages = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        yield for_pages.encode("ascii")
        yield for_pages.replace("+", "\\u002b").replace("=", "\\u003d").replace("'", "\\u0027").encode("ascii")
    yield urllib.parse.quote(urllib.parse.quote(value, safe=""), safe="").encode("ascii")
    yield value.replace("=", "=3D").encode("ascii")
    for escapes in _BY_TEMPLATES:
        yield value.translate(escapes).encode("ascii")
    for entities in _HTML_ESCAPES:
        yield value.translate(entities).encode("ascii")
