"""A credential in a JSON body: the bytes around the field stay as they were. Pure.

Strict, because the upstream's reader may differ from ours: UTF-8, no repeated keys, nothing but JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NoReturn

from credproxy.injection.failure import InjectionFailed
from credproxy.wire.heads import Headers, find_header, is_encoded

_SPACE = re.compile(r"[ \t\n\r]*")
_ESCAPE = re.compile(r"~(?![01])")
_PLAIN_MEMBERS = re.compile(
    r"(?:(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|\"[^\"\\\x00-\x1f]*+\"|true|false|null|\[\]|\{\})"
    r"[ \t\n\r]*+,[ \t\n\r]*+){0,10000}+"
)
"""Of a list, each with the comma behind it; other ways of writing them are read one by one."""
PIECE_CHARS = 64 << 10
BATCH_CHARS = 16 << 10
"""Of members that are read at once, as far as they end where they seem to."""
MAX_CUTS = 3
"""So many ends are tried for a batch, before its members are read one by one."""
MAX_LARGE_LEVELS = 32
"""Of values larger than a piece, one in another: each level is begun anew."""


def parse_pointer(pointer: str) -> tuple[str, ...] | None:
    """Return a JSON pointer's keys (RFC 6901); None if it is none, or points at the whole body."""
    if not pointer.startswith("/") or _ESCAPE.search(pointer) is not None:
        return None
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in pointer[1:].split("/"))


def with_field(headers: Headers, body: bytes, pointer: str, value: str) -> bytes:
    """Return the body with the value at the pointer; raises InjectionFailed.

    A member that is there is replaced, a missing one added; what it is a member of must be there.
    """
    media_type = (find_header(headers, b"content-type") or b"").partition(b";")[0].strip().lower()
    if media_type != b"application/json" and not media_type.endswith(b"+json"):
        raise _unfit("its Content-Type is not JSON")
    if is_encoded(headers):
        raise _unfit("it is compressed")
    keys = parse_pointer(pointer) or ()
    if not keys:
        raise _unfit("the grant's pointer is empty")
    try:
        text = body.decode("utf-8")
        walk = _Walk(text, keys)
        walk.run()
    except (ValueError, RecursionError):
        raise _unfit("it is not plain JSON in UTF-8, or repeats a key") from None
    written = json.dumps(value)
    if walk.found is not None:
        begin, end = walk.found
        return (text[:begin] + written + text[end:]).encode("utf-8")
    if walk.holder is None:
        raise _unfit(f"it has nothing at /{'/'.join(keys[: walk.depth])}")
    inside = walk.holder + 1
    comma = "" if text[_skip(text, inside)] == "}" else ","
    return f"{text[:inside]}{json.dumps(keys[-1])}:{written}{comma}{text[inside:]}".encode()


class _Walk:
    """Reads all of a text, strictly, and notes where a pointer leads.

    What lies off the pointer's way is read by the standard library, a piece at a time: it lets no other thread run
    while it reads, and a whole body would take it a third of a second.
    """

    def __init__(self, text: str, keys: tuple[str, ...]) -> None:
        self._text = text
        self._keys = keys
        self._begin = 0
        self._piece = text[:PIECE_CHARS]
        """Of the text, from `_begin` on."""
        self.found: tuple[int, int] | None = None
        """Where the value stands that the pointer names."""
        self.holder: int | None = None
        """Where the object begins that has it, or would."""
        self.depth = 1
        """How many keys of the pointer have been followed, with the last one that led nowhere."""

    def run(self) -> None:
        """Raises ValueError, RecursionError."""
        end = self._read_on_the_way(_skip(self._text, 0), 0)
        if _skip(self._text, end) != len(self._text):
            raise ValueError("there is something behind it")

    def _read_on_the_way(self, at: int, depth: int) -> int:
        """Read the value that `depth` keys of the pointer lead to; return its end."""
        if depth == len(self._keys):
            end = self._read(at, 0)
            self.found = at, end
            return end
        self.depth = depth + 1
        if self._text[at : at + 1] not in ("{", "["):
            return self._read(at, 0)
        if depth + 1 == len(self._keys) and self._text[at] == "{":
            self.holder = at
        return self._read_members(at, 0, depth)

    def _read(self, at: int, level: int) -> int:
        """Read any value; return its end."""
        if self._text[at : at + 1] not in ("{", "["):
            return _decoder.raw_decode(self._text, at)[1]
        if at - self._begin > PIECE_CHARS // 2:
            self._take_piece(at)
        while True:
            try:
                return self._begin + _decoder.raw_decode(self._piece, at - self._begin)[1]
            except ValueError:
                if self._begin + len(self._piece) == len(self._text):
                    raise
                if self._begin == at:
                    break
                self._take_piece(at)
        if level == MAX_LARGE_LEVELS:
            raise ValueError("too many levels")
        return self._read_members(at, level + 1, None)

    def _read_members(self, at: int, level: int, depth: int | None) -> int:
        """Read an object or a list member by member; return its end. `depth`: of the pointer, None off its way."""
        text, is_object = self._text, self._text[at] == "{"
        wanted = None if depth is None else self._keys[depth]
        close, seen, index = "}" if is_object else "]", set[str](), 0
        at = _skip(text, at + 1)
        if text[at : at + 1] == close:
            return at + 1
        single_until = 0
        while True:
            if at >= single_until and (is_object or wanted is None):
                at, single_until = self._read_batches(at, seen if is_object else None, wanted)
            key = None
            if is_object:
                key, at = self._read_key(at, seen)
            elif wanted is None:
                at = _end_of(_PLAIN_MEMBERS, text, at)
            elif wanted is not None:
                key = str(index)
            is_wanted = depth is not None and key == wanted
            at = self._read_on_the_way(at, (depth or 0) + 1) if is_wanted else self._read(at, level)
            at = _skip(text, at)
            if text[at : at + 1] == close:
                return at + 1
            if text[at : at + 1] != ",":
                raise ValueError("a comma is missing")
            at = _skip(text, at + 1)
            index += 1

    def _read_batches(self, at: int, seen: set[str] | None, wanted: str | None) -> tuple[int, int]:
        """Read members many at a time, as a value of their own, while that can be done; return where the next one
        begins, and up to where they are to be read one by one. `seen`: an object's keys so far, None in a list."""
        text = self._text
        while (cut := at + BATCH_CHARS) < len(text):
            for _ in range(MAX_CUTS):
                cut = text.rfind(",", at, cut)
                if cut <= at:
                    return at, at + BATCH_CHARS
                try:
                    keys = _read_whole(text[at:cut], is_object=seen is not None)
                except (ValueError, RecursionError):
                    continue
                break
            else:
                return at, at + BATCH_CHARS
            if seen is not None:
                if wanted in keys:
                    return at, cut
                if not seen.isdisjoint(keys):
                    raise ValueError("a key is repeated")
                seen.update(keys)
            at = _skip(text, cut + 1)
        return at, len(text)

    def _read_key(self, at: int, seen: set[str]) -> tuple[str, int]:
        """Return a member's key and where its value begins."""
        if self._text[at : at + 1] != '"':
            raise ValueError("a key is no text")
        key, at = _decoder.raw_decode(self._text, at)
        at = _skip(self._text, at)
        if key in seen or self._text[at : at + 1] != ":":
            raise ValueError("a key is repeated, or has no value")
        seen.add(key)
        return key, _skip(self._text, at + 1)

    def _take_piece(self, at: int) -> None:
        self._begin, self._piece = at, self._text[at : at + PIECE_CHARS]


def _skip(text: str, at: int) -> int:
    return _end_of(_SPACE, text, at)


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found is not None else at


def _read_whole(members: str, *, is_object: bool) -> Sequence[str]:
    """Read members as all that an object or a list has; return the object's keys. Raises ValueError, RecursionError."""
    if is_object:
        found: dict[str, object] = _decoder.decode(f"{{{members}}}")
        return tuple(found)
    _decoder.decode(f"[{members}]")
    return ()


def _refuse_repeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unfit(reason: str) -> InjectionFailed:
    return InjectionFailed("request_unfit", f"The credential cannot be put into the body: {reason}.")


_decoder = json.JSONDecoder(object_pairs_hook=_refuse_repeated, parse_constant=_refuse_constant)
