"""What a verb is: a function of arguments, its answers and its refusals, and how arguments are read. Pure."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from protocol.codec import ShapeError

_HALF = re.compile("[\ud800-\udfff]")
"""Half a character: it could be in no answer."""

Verb = Callable[[Mapping[str, Any]], Awaitable[object]]


class AdminRefused(Exception):
    """A verb's no, as the client is told it."""

    def __init__(self, code: str, message: str, mend: str = "") -> None:
        super().__init__(code, message, mend)
        self.code = code
        self.message = message
        self.mend = mend


def read_text(arguments: Mapping[str, Any], key: str) -> str:
    value = arguments.get(key)
    if type(value) is not str or not value or "\0" in value or _HALF.search(value) is not None:
        raise ShapeError(key, "expected a text")
    return value


def read_maybe_text(arguments: Mapping[str, Any], key: str) -> str | None:
    return None if arguments.get(key) is None else read_text(arguments, key)
