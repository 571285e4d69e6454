"""Finds a secret in a stream of bytes, across any split, in the forms that services send it back in. Pure.

What could be the beginning of a needle is held back until it is known; the rest goes on at once. Needles shorter than
`MIN_CHARS` are not looked for: they would be found in anything.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse

MIN_CHARS = 8
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
"""What neither URLs nor JSON escape."""


class Reflected(Exception):
    """The upstream sent the secret back."""


def needles_of(value: str) -> tuple[bytes, ...]:
    """Return the forms a value may come back in: as it is, URL- and JSON-escaped, base64 at each of three phases."""
    if len(value) < MIN_CHARS:
        return ()
    raw = value.encode("ascii")
    forms = {raw}
    if _PLAIN.fullmatch(value) is None:
        escaped = json.dumps(value)[1:-1]
        forms |= {urllib.parse.quote(value, safe="").encode(), escaped.encode(), escaped.replace("/", "\\/").encode()}
    for phase in range(3):
        encoded = base64.b64encode(b"\0" * phase + raw)
        core = encoded[(0, 2, 3)[phase] : len(encoded) - (0 if (phase + len(raw)) % 3 == 0 else 4)]
        if len(core) >= MIN_CHARS:
            forms |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return tuple(sorted(forms))


class Searcher:
    """Passes a stream through, holding back only what may become a needle."""

    def __init__(self, needles: tuple[bytes, ...]) -> None:
        self._needles = needles
        self._first_bytes = {needle[:1] for needle in needles}
        self._reach = max((len(needle) for needle in needles), default=1) - 1
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what may go on now; raises Reflected, and then nothing more may go."""
        data = self._held + data
        if any(needle in data for needle in self._needles):
            raise Reflected
        cut = self._begin_of_needle(data)
        self._held = data[cut:]
        return data[:cut]

    def end(self) -> bytes:
        """Return what was held back: the stream ended, so it was no needle."""
        held, self._held = self._held, b""
        return held

    def _begin_of_needle(self, data: bytes) -> int:
        begin = len(data)
        for first in self._first_bytes:
            at = data.find(first, max(0, len(data) - self._reach), begin)
            while at >= 0:
                tail = data[at:]
                if any(needle.startswith(tail) for needle in self._needles):
                    begin = at
                    break
                at = data.find(first, at + 1, begin)
        return begin


def holds_needle(needles: tuple[bytes, ...], *texts: bytes) -> bool:
    return any(needle in text for text in texts for needle in needles)
