"""The line that says what an agent does just now. Pure."""

from __future__ import annotations

import json
import re

from protocol.plain_text import escape
from protocol.transcript import ToolCall

MAX_NAME_CHARS = 40
MAX_ARGUMENT_CHARS = 160
MAX_NOTE_CHARS = 300
MAX_OUTPUT_LINES = 3
_LOOKED_AT_CHARS = 8_000
"""Of what an agent says: a frame may be a megabyte, and to make all of that visible holds the host up for a second."""
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LONG_S = 120.0
"""From then on the line says for how long."""


def build_line(tool: str, steps: int, worked_s: float) -> str:
    """Return the line; `tool`: what is done now, empty if the model thinks; `worked_s`: 0 unless work takes long."""
    if not worked_s:
        return tool
    doing = f": {tool}" if tool else ""
    return f"still working, {round(worked_s / 60)} min, step {steps}{doing}"


def note_line(text: str) -> str:
    """Return what an agent says of itself, on one line."""
    shown = escape(" ".join(text[:_LOOKED_AT_CHARS].split()))
    return shown if len(shown) <= MAX_NOTE_CHARS else f"{shown[:MAX_NOTE_CHARS]}…"


def output_lines(text: str) -> str:
    """Return the last lines of a command's output as they are to be shown, without colours."""
    lines = [
        escape(_COLOUR.sub("", line)[: 2 * MAX_ARGUMENT_CHARS]).strip()[:MAX_ARGUMENT_CHARS]
        for line in text[-_LOOKED_AT_CHARS:].splitlines()
    ]
    return "\n".join([line for line in lines if line][-MAX_OUTPUT_LINES:])


def tool_name(name: str) -> str:
    return escape(name[:MAX_NAME_CHARS])[:MAX_NAME_CHARS]


def tool_call(call: ToolCall) -> str:
    """Return a tool's name and what it is called with."""
    arguments = call.arguments
    shown = json.dumps(arguments, ensure_ascii=False) if arguments else ""
    if isinstance(arguments, dict) and len(arguments) == 1:
        (only,) = arguments.values()
        shown = only if isinstance(only, str) else shown
    text = escape(" ".join(shown[:_LOOKED_AT_CHARS].split()))
    cut = text if len(text) <= MAX_ARGUMENT_CHARS else f"{text[:MAX_ARGUMENT_CHARS]}…"
    return f"{tool_name(call.name)} {cut}".rstrip()
