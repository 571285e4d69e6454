"""Finds a secret in a stream of bytes, across any split, in each of its forms (`needle_forms.py`). Pure.

What could be the beginning of a needle is held back until it is known; the rest goes on at once.
"""

from __future__ import annotations

import ctypes
import re
import string
from collections.abc import Callable, Iterable

from credproxy.pipeline.needle_forms import Form, forms_of

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


_MIN_RUN = 24
"""So many characters of an encoding in a row are rare enough in short texts to be asked for first."""
_RUN_CHARS = (string.ascii_letters + string.digits + "+/=").encode("ascii")
_RUN = re.compile(rb"[A-Za-z0-9+/=]{%d,}" % _MIN_RUN)
_TO_RUNS = bytes(ord("a") if byte in _RUN_CHARS else ord(" ") for byte in range(256))
_TAIL_BYTES = 4


class Needles:
    """What must not come back. Made once for a secret and used for every response to it."""

    __slots__ = ("_begins", "_encoded", "_first_bytes", "_joined", "_others", "_reach", "_run", "_starts", "forms")

    def __init__(self, forms: Iterable[Form] = ()) -> None:
        self.forms = frozenset(forms)
        sought = frozenset(piece for form in self.forms for piece in form.pieces)
        self._encoded = tuple(piece for piece in sought if _RUN.fullmatch(piece) is not None)
        """What is one run of an encoding's characters: looked for only where there is such a run, which costs a short
        text a sixth of looking for each."""
        self._others = tuple(sought.difference(self._encoded))
        self._run = b"a" * min((len(piece) for piece in self._encoded), default=0)
        self._starts = tuple(sought.union(form.whole for form in self.forms))
        """What is held back where the end of a text begins it."""
        self._first_bytes = {start[:1] for start in self._starts}
        self._begins = frozenset(start[:size] for start in self._starts for size in range(1, _TAIL_BYTES))
        self._joined = b"\0".join(self._starts)
        self._reach = max((len(start) for start in self._starts), default=1) - 1

    def __bool__(self) -> bool:
        return bool(self.forms)

    def __repr__(self) -> str:
        return f"Needles({len(self.forms)})"

    def holds(self, text: bytes) -> bool:
        """Whether any form is in the text."""
        if _find_in is not None and len(text) >= LONG_TEXT_BYTES:
            length = len(text)
            sought = (*self._others, *self._encoded)
            return any(_find_in(text, length, piece, len(piece)) is not None for piece in sought)
        for piece in self._others:  # half of what `any` costs; one expression for all costs more than both
            if piece in text:
                return True
        if self._encoded and self._run in text.translate(_TO_RUNS):
            for piece in self._encoded:
                if piece in text:
                    return True
        return False

    def begin_in(self, text: bytes) -> int:
        """Return where a form may begin that the text's end cuts off; the text's length if none does."""
        if len(text) < _TAIL_BYTES or text[-_TAIL_BYTES:] in self._joined:
            return self._long_begin_in(text)
        for size in range(_TAIL_BYTES - 1, 0, -1):  # what is longer would have the text's last bytes in it
            if text[-size:] in self._begins:
                return len(text) - size
        return len(text)

    def _long_begin_in(self, text: bytes) -> int:
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
        for start in self._starts:  # noqa: SIM110  # as above
            if start.startswith(tail):
                return True
        return False


NO_NEEDLES = Needles()


def needles_of(values: Iterable[str]) -> Needles:
    """Return the forms that values may come back in."""
    return Needles(form for value in values for form in forms_of(value))


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
