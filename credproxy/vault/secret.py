"""A secret's value in memory: it shows itself to nobody by accident. Pure.

Python's texts cannot be wiped: a value lives until it is collected. So it is opened late, for one request, and kept
nowhere else. At rest it is `vault.py`'s.
"""

from __future__ import annotations

import re
from typing import NoReturn

from protocol.ids import GROUP_ID_PATTERN

MAX_VALUE_CHARS = 16 << 10
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_LINES = re.compile(r"[!-~](?:[ -~\n]*[!-~])?")


class BadValue(ValueError):
    """A value that cannot be sent in a header, whatever service it is for."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Secret:
    """A value with a name. Only `reveal` tells it."""

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str, *, has_lines: bool = False) -> None:
        """`has_lines`: a PEM block. Such a one signs, and never goes into a header."""
        check_value(value, has_lines=has_lines)
        self.name = name
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled or copied")


def is_secret_name(text: str) -> bool:
    """Names of secrets are formed like those of groups, routes and channels."""
    return GROUP_ID_PATTERN.fullmatch(text) is not None


def check_value(value: str, *, has_lines: bool = False) -> None:
    """Raise BadValue unless the value is 1 to 16,384 printable ASCII characters without spaces around it.

    Line breaks and NUL would let a value end its header and begin another; `has_lines` takes line feeds nevertheless.
    """
    if not value:
        raise BadValue("the value is empty")
    if len(value) > MAX_VALUE_CHARS:
        raise BadValue(f"the value is longer than {MAX_VALUE_CHARS} characters")
    if (_LINES if has_lines else _VALUE).fullmatch(value) is None:
        raise BadValue("the value holds line breaks, control characters, letters beyond ASCII, or spaces around it")
