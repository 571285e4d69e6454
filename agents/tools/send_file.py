"""The tool that sends files to the person, or to a destination of the group."""

from __future__ import annotations

import os
from collections.abc import Sequence

from agents import file_sender
from agents.providers.provider import ToolCard
from agents.tools.host_tools import to_property
from agents.tools.opened_file import opened_for_reading
from agents.tools.tool import Arguments, ToolContext, ToolError, object_schema, text_argument

MAX_FILES = 10
"""In one message: as many as an album of Telegram's, or a message of Discord's, takes."""
_MAX_NAME_CHARS = 200
_MAX_CAPTION_CHARS = 1000


class SendFile:
    def __init__(self, destinations: Sequence[str] = ()) -> None:
        schema = object_schema({}, {"caption": "string", **to_property(destinations)})
        properties = schema["properties"]
        assert isinstance(properties, dict)  # made above
        paths = {"type": "array", "items": {"type": "string"}}
        self.card = ToolCard(
            name="send_file",
            description="Send files to the person you talk with.",
            schema={**schema, "properties": {"paths": paths, **properties}, "required": ["paths"]},
        )
        self._destinations = destinations

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        to = text_argument(arguments, "to", "")
        if to and to not in self._destinations:  # the host says so too, but only when it has the file
            known = ", ".join(self._destinations) or "none"
            raise ToolError(f"there is no destination {to[:40]!r} that you may send to (known: {known})")
        caption = text_argument(arguments, "caption", "")[:_MAX_CAPTION_CHARS]
        paths = paths_of(arguments)
        if len(paths) > MAX_FILES:
            raise ToolError(f"at most {MAX_FILES} files go together: send the others in another call")
        for path in paths:
            with opened_for_reading(context.places, path):
                pass  # nothing goes out where one of them cannot be read
        sent = [_send(path, context, to, caption, place, len(paths)) for place, path in enumerate(paths, 1)]
        return f"Sent {', '.join(sent)}{f' to {to}' if to else ''}."


def paths_of(arguments: Arguments) -> tuple[str, ...]:
    """Return the paths of a call of the tool, in order, one under the name that other tools have for it, too; raise
    ToolError where they are none."""
    if "paths" not in arguments:
        return (text_argument(arguments, "path"),)
    given = arguments["paths"]
    if not isinstance(given, list | tuple) or not given or not all(isinstance(path, str) for path in given):
        raise ToolError("the argument 'paths' must be a list of paths")
    return tuple(given)


def _send(path: str, context: ToolContext, to: str, caption: str, place: int, of: int) -> str:
    """Send one file and return what is said of it."""
    name = path.rpartition("/")[2][-_MAX_NAME_CHARS:].encode("utf-8", "replace").decode("utf-8")
    call_id = context.call_id if place == of else f"{context.call_id}.{place}"
    with opened_for_reading(context.places, path) as descriptor:
        size = os.fstat(descriptor).st_size
        try:
            file_sender.send_file(
                context.link,
                descriptor,
                call_id=call_id,
                name=name,
                size=size,
                caption=caption,
                to=to,
                place=place,
                of=of,
            )
        except file_sender.FileNotSent as error:
            raise ToolError(f"{path}: was not sent: {error}") from error
    return f"{name} ({size} bytes)"
