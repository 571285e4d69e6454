"""The tool for what the agent is to remember: searched by the host, read and written in its own folder."""

from __future__ import annotations

from agents.host_question import ask_host
from agents.providers.provider import ToolCard
from agents.tools.opened_file import write_whole
from agents.tools.read_file import ReadFile
from agents.tools.tool import Arguments, ToolContext, ToolError, number_argument, object_schema, text_argument

MAX_FOUND = 20
_ACTIONS = "search, read, write"


class Memory:
    """Searches notes and past conversations; reads and writes notes."""

    card = ToolCard(
        name="memory",
        description="Search your notes (files in /memory) and past conversations; read or write a note.",
        schema=object_schema(
            {"action": f"string: {_ACTIONS}"},
            {"query": "string: words", "limit": "integer", "file": "string: topic.md", "text": "string: whole note"},
        ),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        match text_argument(arguments, "action"):
            case "search":
                most = number_argument(arguments, "limit", 8, lowest=1, highest=MAX_FOUND)
                query = text_argument(arguments, "query")
                return ask_host(context, "memory", payload={"query": query, "limit": most})
            case "read":
                return ReadFile().run({"path": _path(arguments, context)}, context)
            case "write":
                data = text_argument(arguments, "text").encode("utf-8")
                path = _path(arguments, context)
                write_whole(context.places, path, data)
                return f"Wrote {len(data)} bytes."
            case other:
                raise ToolError(f"there is no action {other!r}; there are: {_ACTIONS}")


def _path(arguments: Arguments, context: ToolContext) -> str:
    name = text_argument(arguments, "file").removeprefix("/memory/")
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise ToolError(f"{name!r} is no note: give a name such as topic.md or projects/topic.md")
    return f"{context.places.memory}/{name}"
