"""What will happen, in lines that a person can trust: everything visible, nothing that passes for the host's. Pure.

Every line of an agent's begins with `| `; characters that hide, turn around or steer are written out
(`protocol/plain_text.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protocol.codec import Json
from protocol.plain_text import escape

OURS = "| "
MAX_LINES = 30
MAX_LINE_CHARS = 200
MAX_DEPTH = 20
MAX_INLINE_CHARS = 160


@dataclass(frozen=True, slots=True)
class Shown:
    """What fits on a card."""

    lines: tuple[str, ...]
    left_out: int
    """Lines that are not there, or not whole."""


def effect_lines(payload: Json, lines: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return all of what is decided, each line whole; `lines` are those that whoever asks has made of it already."""
    return lines or tuple(f"{OURS}{line}" for line in _value_lines("", payload, 0))


def cut_lines(lines: Sequence[str]) -> Shown:
    """Return the beginning that a card shows, and how much of it is missing."""
    shown = [line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}…" for line in lines[:MAX_LINES]]
    long = sum(len(line) > MAX_LINE_CHARS for line in lines[:MAX_LINES])
    return Shown(lines=tuple(shown), left_out=max(len(lines) - MAX_LINES, 0) + long)


def inline(text: str) -> str:
    """Return a short text of an agent's or a stranger's as it may stand in a sentence of ours, in Markdown."""
    line = escape(text.replace("\n", " ")).replace("`", "'").strip() or "(nothing)"
    return f"`{line if len(line) <= MAX_INLINE_CHARS else f'{line[:MAX_INLINE_CHARS]}…'}`"


def _value_lines(name: str, value: Json, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if depth > MAX_DEPTH:
        yield f"{indent}{name} {escape(json.dumps(value))}".rstrip()
    elif isinstance(value, dict) and value:
        if name:
            yield f"{indent}{name}"
        for key, member in value.items():
            yield from _value_lines(f"{escape(str(key))}:", member, depth + bool(name))
    elif isinstance(value, list) and value:
        if name:
            yield f"{indent}{name}"
        for member in value:
            yield from _value_lines("-", member, depth + bool(name))
    elif isinstance(value, str):
        yield from _text_lines(indent, name, value)
    else:
        yield f"{indent}{name} {escape(json.dumps(value))}".rstrip()


def _text_lines(indent: str, name: str, text: str) -> Iterator[str]:
    if "\n" not in text:
        yield f"{indent}{name} {escape(text)}".rstrip()
        return
    yield f"{indent}{name} (lines of text)".rstrip()
    yield from (f"{indent}  {OURS}{escape(line.removesuffix(chr(13)))}" for line in text.split("\n"))
