"""The tool that writes a whole file."""

from __future__ import annotations

from agents.providers.provider import ToolCard
from agents.tools.opened_file import write_whole
from agents.tools.tool import Arguments, ToolContext, object_schema, text_argument


class WriteFile:
    card = ToolCard(
        name="write_file",
        description="Write a whole file.",
        schema=object_schema({"path": "string", "content": "string"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        path = text_argument(arguments, "path")
        data = text_argument(arguments, "content").encode("utf-8")
        write_whole(context.places, path, data)
        return f"Wrote {len(data)} bytes to {path}."
