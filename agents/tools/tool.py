"""What a tool is to the loop.

To add one: a file beside this one with a class that is a Tool, and a line in `toolbox.py`. A tool runs in the agent's
process: it takes nothing on trust, and what it returns is text for the model, capped.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents.host_link import HostLink
from agents.interrupt import Interrupt
from agents.places import Places
from agents.providers.provider import ToolCard
from agents.refusals import Refusals
from protocol.record import Record
from protocol.transcript import SeenFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:  # importing `typing` would cost every agent's start
    Protocol = object

MAX_OUTPUT_CHARS = 30_000
"""Of one tool output; more is cut in the middle, with a note."""

Arguments = Mapping[str, object]


class ToolError(Exception):
    """A call that did not work; the message is for the model and says what to do."""


class ToolContext(Record):
    """What a tool may use of the agent."""

    places: Places
    interrupt: Interrupt
    link: HostLink
    refusals: Refusals
    """What the proxy refused to commands, not told to the model yet."""
    skill_names: frozenset[str]
    call_id: str


class Looked(Record):
    """An output with files that the model looks at."""

    text: str
    files: tuple[SeenFile, ...]


class Tool(Protocol):
    card: ToolCard

    def run(self, arguments: Arguments, context: ToolContext) -> str | Looked:
        """Do it and return what the model should read; raise ToolError, Interrupted."""


def text_argument(arguments: Arguments, name: str, default: str | None = None) -> str:
    """Return a text argument; raise ToolError where it is missing (and has no default) or is no text."""
    value = arguments.get(name, default)
    if value is None:
        raise ToolError(f"the argument {name!r} is missing")
    if not isinstance(value, str):
        raise ToolError(f"the argument {name!r} must be text")
    return value


def number_argument(arguments: Arguments, name: str, default: int, *, lowest: int, highest: int) -> int:
    """Return a whole number, moved into its range; raise ToolError where it is no number."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ToolError(f"the argument {name!r} must be a number")
    return int(min(max(value, lowest), highest))


def object_schema(required: Mapping[str, str], optional: Mapping[str, str] | None = None) -> dict[str, object]:
    """Return the schema of an object with these properties; each value is `type` or `type: description`."""
    properties: dict[str, object] = {}
    for name, words in {**required, **(optional or {})}.items():
        kind, _, description = words.partition(": ")
        properties[name] = {"type": kind, "description": description} if description else {"type": kind}
    return {"type": "object", "properties": properties, "required": list(required)}


def cut_in_the_middle(text: str, max_chars: int = MAX_OUTPUT_CHARS) -> str:
    """Return the text, its middle left out where it is too long."""
    if len(text) <= max_chars:
        return text
    half = max_chars // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"
