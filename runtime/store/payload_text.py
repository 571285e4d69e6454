"""Records to the JSON text that `payloads` keeps, and back. Pure.

What an agent or a platform put into a record may hold what JSON text in SQLite may not: lone surrogates become `?`,
NaN and infinities become null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TypeVar

from protocol.codec import from_json, to_json
from runtime.store.errors import Unstorable

T = TypeVar("T")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def to_text(value: object) -> str:
    """Return a record, or a value of records, as JSON text; raise Unstorable if it is nested too deep."""
    try:
        plain = to_json(value)
        try:
            text = _dump(plain)
        except ValueError:
            text = _dump(_finite(plain))
    except RecursionError as error:
        raise Unstorable from error
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


def from_text(record: type[T], text: str) -> T:
    """Return the record in a stored text."""
    return from_json(record, json.loads(text))


def from_texts(record: type[T], texts: Iterable[str]) -> tuple[T, ...]:
    """Return the records in many stored texts; read as one text, in two thirds of the time."""
    return tuple(from_json(record, value) for value in json.loads(f"[{','.join(texts)}]"))


def _dump(value: object) -> str:
    return _encode(value)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
