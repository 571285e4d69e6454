"""The tool for what the agent is to remember: searched by the host, read and written in its own folder."""

from __future__ import annotations

from agents.host_question import ask_host
from agents.providers.provider import ToolCard
from agents.tools.opened_file import write_whole
from agents.tools.read_file import ReadFile
from agents.tools.tool import Arguments, ToolContext, ToolError, object_schema, text_argument

MAX_NOTE_BYTES = 1 << 20
"""Of one file that is written here: more of it is not searched."""
_ACTIONS = "search, read, write"


class Memory:
    """Searches notes and past conversations; reads and writes notes."""

    def __init__(self, *, is_whole: bool) -> None:
        """`is_whole`: the model is told of all actions; not, where other tools do files: each word of a card
        is paid with every question. Who calls them by habit gets them."""
        optional = {"action": f"string: {_ACTIONS}", "query": "string", "file": "string", "text": "string"}
        self.card = ToolCard(
            name="memory",
            description="Search notes in /memory and past chats" + ("; read or write a note." if is_whole else "."),
            schema=object_schema({}, optional) if is_whole else object_schema({"query": "string"}),
        )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        match arguments.get("action") or "search":
            case "search":
                return ask_host(context, "memory", payload={"query": text_argument(arguments, "query")})
            case "read":
                return ReadFile().run({"path": _path(arguments, context)}, context)
            case "write":
                data = text_argument(arguments, "text").encode("utf-8")
                if len(data) > MAX_NOTE_BYTES:
                    raise ToolError(f"a note has at most {MAX_NOTE_BYTES} bytes, this one {len(data)}: make several")
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
