"""The tool that replaces one exact passage of a file."""

from __future__ import annotations

import os

from agents.providers.provider import ToolCard
from agents.tools.opened_file import opened_for_reading, write_whole
from agents.tools.tool import Arguments, ToolContext, ToolError, object_schema, text_argument

_MAX_FILE_BYTES = 8 << 20


class EditFile:
    card = ToolCard(
        name="edit_file",
        description="Replace a passage that occurs once in a file.",
        schema=object_schema({"path": "string", "old": "string: exact", "new": "string"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        path = text_argument(arguments, "path")
        old = text_argument(arguments, "old").encode("utf-8")
        new = text_argument(arguments, "new").encode("utf-8")
        if not old:
            raise ToolError("`old` is empty; use write_file to make a file")
        with opened_for_reading(context.places, path) as descriptor:
            if os.fstat(descriptor).st_size > _MAX_FILE_BYTES:
                raise ToolError(f"{path}: is larger than {_MAX_FILE_BYTES} bytes; edit it with the shell")
            with os.fdopen(os.dup(descriptor), "rb") as file:
                before = file.read(_MAX_FILE_BYTES + 1)
        count = before.count(old)
        if count == 0:
            raise ToolError(f"{path}: `old` is not in the file. Read the file again and copy the passage exactly.")
        if count > 1:
            raise ToolError(f"{path}: `old` occurs {count} times. Give more of the lines around it.")
        write_whole(context.places, path, before.replace(old, new))
        return f"Replaced 1 passage in {path}."
