"""Text that an agent wrote, made fit for the eyes of a person who must decide on it. Pure.

Nothing may be invisible, run backwards, steer a terminal, or look like a line of ours: such characters are written as
`⟨U+202E⟩`, and those two brackets too where they are the agent's own.
"""

from __future__ import annotations

import unicodedata

MAX_MARKS = 2
"""Accents on one letter; more of them pile up over other lines."""
_OPEN, _CLOSE = "⟨", "⟩"
_INVISIBLE = frozenset(
    (
        0x00AD,
        0x034F,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x2800,
        0x3164,
        0xFFA0,
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0x1D173, 0x1D17B),
        *range(0xE0100, 0xE01F0),
    )
)
"""Letters and marks by their category, and nothing to be seen."""
_REFUSED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def escape(text: str) -> str:
    """Return the text on one line, with everything in it visible."""
    if text.isascii() and text.isprintable():
        return text
    marks = 0
    shown = []
    for char in text:
        is_mark = unicodedata.combining(char) != 0 or unicodedata.category(char) in ("Mn", "Me")
        marks = marks + 1 if is_mark else 0
        shown.append(_escaped(char) if marks > MAX_MARKS or not _is_plain(char) else char)
    return "".join(shown)


def decode(data: bytes) -> str | None:
    """Return UTF-8 text, None for anything else, text with a NUL included."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _is_plain(char: str) -> bool:
    if char in (_OPEN, _CLOSE) or ord(char) in _INVISIBLE:
        return False
    category = unicodedata.category(char)
    return category not in _REFUSED and (category != "Zs" or char == " ")


def _escaped(char: str) -> str:
    return "⟨tab⟩" if char == "\t" else f"{_OPEN}U+{ord(char):04X}{_CLOSE}"
