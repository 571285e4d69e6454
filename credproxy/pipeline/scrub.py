"""Finds a secret in a stream of bytes, across any split, in the forms that services send it back in. Pure.

What could be the beginning of a needle is held back until it is known; the rest goes on at once. Needles shorter than
`MIN_CHARS` are not looked for: they would be found in anything.
"""

from __future__ import annotations

import base64
import ctypes
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator

MIN_CHARS = 8
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
LONG_TEXT_BYTES = 2048
"""From here on the C library's own search is the faster one: up to a hundred times, where a text has the needle's
characters without the needle (2.8 and 0.02 ns a byte)."""


def _load_search() -> Callable[[bytes, int, bytes, int], int | None] | None:
    search = getattr(ctypes.PyDLL(None), "memmem", None)
    if search is not None:
        search.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
        search.restype = ctypes.c_void_p
    return search


_find_in = _load_search()
"""memmem: (text, its length, needle, its length) to where it stands, None if it does not."""


class Reflected(Exception):
    """The upstream sent the secret back."""


class Needles:
    """What must not come back. Made once for a secret and used for every response to it."""

    __slots__ = ("_first_bytes", "_reach", "forms")

    def __init__(self, forms: Iterable[bytes] = ()) -> None:
        self.forms = tuple(sorted(set(forms)))
        self._first_bytes = {form[:1] for form in self.forms}
        self._reach = max((len(form) for form in self.forms), default=1) - 1

    def __bool__(self) -> bool:
        return bool(self.forms)

    def __repr__(self) -> str:
        return f"Needles({len(self.forms)})"

    def holds(self, text: bytes) -> bool:
        """Whether any form is in the text."""
        if _find_in is not None and len(text) >= LONG_TEXT_BYTES:
            length = len(text)
            return any(_find_in(text, length, form, len(form)) is not None for form in self.forms)
        for form in self.forms:  # noqa: SIM110  # half of what `any` costs; one expression for all costs more than both
            if form in text:
                return True
        return False

    def begin_in(self, text: bytes) -> int:
        """Return where a form may begin that the text's end cuts off; the text's length if none does."""
        begin = len(text)
        for first in self._first_bytes:
            at = text.find(first, max(0, len(text) - self._reach), begin)
            while at >= 0:
                if self._begins_with(text[at:]):
                    begin = at
                    break
                at = text.find(first, at + 1, begin)
        return begin

    def _begins_with(self, tail: bytes) -> bool:
        for form in self.forms:  # noqa: SIM110  # as above
            if form.startswith(tail):
                return True
        return False


NO_NEEDLES = Needles()


def needles_of(values: Iterable[str]) -> Needles:
    """Return the forms that values may come back in."""
    return Needles(form for value in values for form in _forms_of(value))


def _forms_of(value: str) -> Iterator[bytes]:
    """Yield a value as it is, URL-, JSON- and HTML-escaped, and in base64 at each of three phases."""
    if len(value) < MIN_CHARS:
        return
    raw = value.encode("ascii")
    yield raw
    if _PLAIN.fullmatch(value) is None:
        yield from _escaped_forms(value)
    for phase in range(3):
        encoded = base64.b64encode(b"\0" * phase + raw)
        core = encoded[(0, 2, 3)[phase] : len(encoded) - (0 if (phase + len(raw)) % 3 == 0 else 4)]
        if len(core) >= MIN_CHARS:
            yield core
            yield core.replace(b"+", b"-").replace(b"/", b"_")


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
    for escapes in _BY_TEMPLATES:
        yield value.translate(escapes).encode("ascii")
    for entities in _HTML_ESCAPES:
        yield value.translate(entities).encode("ascii")


class Searcher:
    """Passes a stream through, holding back only what may become a needle."""

    __slots__ = ("_held", "_needles")

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._held = b""

    def feed(self, data: bytes, *, is_last: bool = False) -> bytes:
        """Return what may go on now; raises Reflected, and then nothing more may go. `is_last`: nothing follows, so
        that all may go."""
        needles = self._needles
        if self._held:
            data = self._held + data
        if needles.holds(data):
            raise Reflected
        cut = len(data) if is_last else needles.begin_in(data)
        if cut == len(data):
            self._held = b""
            return data
        self._held = data[cut:]
        return data[:cut]

    def end(self) -> bytes:
        """Return what was held back: the stream ended, so it was no needle."""
        held, self._held = self._held, b""
        return held
