"""The tool that sends a file to the person, or to a destination of the group."""

from __future__ import annotations

import os
from collections.abc import Sequence

from agents import file_sender
from agents.providers.provider import ToolCard
from agents.tools.host_tools import to_property
from agents.tools.opened_file import opened_for_reading
from agents.tools.tool import Arguments, ToolContext, ToolError, object_schema, text_argument

_MAX_NAME_CHARS = 200
_MAX_CAPTION_CHARS = 1000


class SendFile:
    def __init__(self, destinations: Sequence[str] = ()) -> None:
        self.card = ToolCard(
            name="send_file",
            description="Send a file to the person you talk with.",
            schema=object_schema({"path": "string"}, {"caption": "string", **to_property(destinations)}),
        )
        self._destinations = destinations

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        path, to = text_argument(arguments, "path"), text_argument(arguments, "to", "")
        if to and to not in self._destinations:  # the host says so too, but only when it has the file
            known = ", ".join(self._destinations) or "none"
            raise ToolError(f"there is no destination {to[:40]!r} that you may send to (known: {known})")
        caption = text_argument(arguments, "caption", "")[:_MAX_CAPTION_CHARS]
        name = path.rpartition("/")[2][-_MAX_NAME_CHARS:].encode("utf-8", "replace").decode("utf-8")
        with opened_for_reading(context.places, path) as descriptor:
            size = os.fstat(descriptor).st_size
            try:
                file_sender.send_file(
                    context.link, descriptor, call_id=context.call_id, name=name, size=size, caption=caption, to=to
                )
            except file_sender.FileNotSent as error:
                raise ToolError(f"{path}: was not sent: {error}") from error
        return f"Sent {name} ({size} bytes){f' to {to}' if to else ''}."
