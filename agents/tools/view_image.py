"""The tool that has the model look at an image or a PDF."""

from __future__ import annotations

from agents.providers.provider import ToolCard
from agents.tools.tool import Arguments, Looked, ToolContext, object_schema
from agents.tools.tool import text_argument as text


class ViewImage:
    """Names the file; its bytes go along with each question (`agents/seen_files.py`)."""

    card = ToolCard(
        name="view_image",
        description="Look at an image or PDF.",
        schema=object_schema({"path": "string"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> Looked:
        from agents.seen_files import look_at  # late: few tasks look at anything

        file = look_at(context.places, text(arguments, "path"))
        return Looked(text=f"{file.path} ({file.media_type})", files=(file,))
