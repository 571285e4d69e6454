"""The tool that reads a text file, or some of its lines."""

from __future__ import annotations

import os

from agents.interrupt import Interrupt
from agents.providers.provider import ToolCard
from agents.tools.opened_file import opened_for_reading
from agents.tools.tool import MAX_OUTPUT_CHARS, Arguments, ToolContext, ToolError, number_argument, object_schema
from agents.tools.tool import text_argument as text

_MAX_LINES = 2000
_MAX_SCAN_BYTES = 64 << 20


class ReadFile:
    """Gives lines with nothing added, so that what was read can be given to edit_file as it is."""

    card = ToolCard(
        name="read_file",
        description="Read a text file.",
        schema=object_schema({"path": "string"}, {"first_line": "integer", "lines": "integer"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        path = text(arguments, "path")
        first = number_argument(arguments, "first_line", 1, lowest=1, highest=1 << 40)
        count = number_argument(arguments, "lines", _MAX_LINES, lowest=1, highest=_MAX_LINES)
        with opened_for_reading(context.places, path) as descriptor:
            taken, more = lines_of(descriptor, first, count, context.interrupt)
        if not taken:
            return "(the file is empty)" if first == 1 else f"(the file has fewer than {first} lines)"
        words = taken.decode("utf-8", "replace")
        if "\0" in words:
            raise ToolError(f"{path}: is not text; look at it with the shell (file, xxd)")
        if not more and len(words) <= MAX_OUTPUT_CHARS:
            return words
        words = words[:MAX_OUTPUT_CHARS]
        return f"{words}\n[… cut after line {first + words.count(chr(10))}; read on with first_line …]"


def lines_of(descriptor: int, first: int, count: int, interrupt: Interrupt) -> tuple[bytes, bool]:
    """Return the lines wanted, and whether more follow. Memory stays flat however long the file or a line is."""
    taken = bytearray()
    line, scanned = 1, 0
    while piece := os.read(descriptor, 64 << 10):
        interrupt.check()
        scanned += len(piece)
        if line < first:
            skipped = 0
            while line < first and (end := piece.find(b"\n", skipped)) >= 0:
                skipped, line = end + 1, line + 1
            piece = piece[skipped:] if line == first else b""
            if line < first and scanned > _MAX_SCAN_BYTES:
                raise ToolError("that line is too far into the file; use the shell (sed -n)")
        taken += piece
        if len(taken) > 4 * MAX_OUTPUT_CHARS or taken.count(b"\n") > count:
            break
    wanted = b"\n".join(bytes(taken).split(b"\n", count)[:count])
    more = len(taken) > len(wanted) + 1
    return wanted + (b"\n" if len(taken) > len(wanted) else b""), more
