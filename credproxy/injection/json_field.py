"""A credential in a JSON body: the bytes around the field stay as they were. Pure.

Strict, because the upstream's reader may differ from ours: UTF-8, no repeated keys, nothing but JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NoReturn

from credproxy.injection.failure import InjectionFailed
from credproxy.wire.heads import Headers, find_header, is_encoded

_SPACE = re.compile(r"[ \t\n\r]*")
_ESCAPE = re.compile(r"~(?![01])")
_decoder = json.JSONDecoder()


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
    try:
        text = body.decode("utf-8")
        json.loads(text, object_pairs_hook=_refuse_repeated, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _unfit("it is not plain JSON in UTF-8, or repeats a key") from None
    return _replaced(text, parse_pointer(pointer) or (), json.dumps(value)).encode("utf-8")


def _replaced(text: str, keys: tuple[str, ...], written: str) -> str:
    at = _skip(text, 0)
    for depth, key in enumerate(keys, 1):
        found = next(((begin, end) for name, begin, end in _children(text, at) if name == key), None)
        if found is not None and depth == len(keys):
            return text[: found[0]] + written + text[found[1] :]
        if found is None and depth == len(keys) and text[at] == "{":
            comma = "" if text[_skip(text, at + 1)] == "}" else ","
            return f"{text[: at + 1]}{json.dumps(key)}:{written}{comma}{text[at + 1 :]}"
        if found is None:
            raise _unfit(f"it has nothing at /{'/'.join(keys[:depth])}")
        at = found[0]
    raise _unfit("the grant's pointer is empty")


def _children(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Yield key, begin and end of each value of the object or list that begins at `at`. It is known to be JSON."""
    is_object = text[at] == "{"
    if not is_object and text[at] != "[":
        return
    at, index = _skip(text, at + 1), 0
    while text[at] not in "]}":
        key = str(index)
        if is_object:
            key, at = _decoder.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        _value, end = _decoder.raw_decode(text, at)
        yield key, at, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
        index += 1


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def _refuse_repeated(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _value in pairs}) != len(pairs):
        raise ValueError("a key is repeated")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unfit(reason: str) -> InjectionFailed:
    return InjectionFailed("request_unfit", f"The credential cannot be put into the body: {reason}.")
