"""The tool that opens a skill."""

from __future__ import annotations

import os

from agents.providers.provider import ToolCard
from agents.tools.opened_file import opened_for_reading
from agents.tools.tool import (
    MAX_OUTPUT_CHARS,
    Arguments,
    ToolContext,
    ToolError,
    object_schema,
    text_argument,
)

FOLDER_VARIABLES = ("{baseDir}", "${CLAUDE_SKILL_DIR}")
"""What skills made for other products call their own folder."""


class OpenSkill:
    card = ToolCard(
        name="skill",
        description="Open a skill, or one of its files. Its folder is /skills/<name>.",
        schema=object_schema({"name": "string"}, {"file": "string: default SKILL.md"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        name = text_argument(arguments, "name")
        file = text_argument(arguments, "file", "SKILL.md")
        if name not in context.skill_names:
            known = ", ".join(sorted(context.skill_names)) or "none"
            raise ToolError(f"there is no skill {name[:80]!r}; there are: {known}")
        folder = f"{context.places.skills}/{name}"
        with opened_for_reading(context.places, f"{folder}/{file}", (folder,)) as descriptor:
            size = os.fstat(descriptor).st_size
            words = os.read(descriptor, 4 * MAX_OUTPUT_CHARS).decode("utf-8", "replace")
        if "\0" in words:
            raise ToolError(f"{file}: is not text; look at it with the shell in {folder}")
        if file == "SKILL.md":
            for variable in FOLDER_VARIABLES:
                words = words.replace(variable, folder)
        if len(words) <= MAX_OUTPUT_CHARS and size <= 4 * MAX_OUTPUT_CHARS:
            return words
        words = words[:MAX_OUTPUT_CHARS]
        line = 1 + words.count("\n")
        return f"{words}\n[… cut in line {line} of a file of {size} bytes: the rest is in {folder}/{file}]"
