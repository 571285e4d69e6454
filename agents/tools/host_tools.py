"""The tools whose work is the host's: their arguments go there as they are, and its word is their output.

Who may be reached, how often, and what it comes to is decided there; here stands what the model reads of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from agents.host_question import ask_host
from agents.providers.provider import ToolCard
from agents.tools.tool import Arguments, ToolContext, ToolError, number_argument, object_schema, text_argument
from protocol.codec import Json

MAX_ARGUMENT_CHARS = 100_000
"""Of one call, as JSON: what the host takes of each argument is less."""
MAX_QUESTION_CHARS = 4_000
MAX_OPTIONS = 10
MAX_OPTION_CHARS = 60
"""As much as a button shows on a phone."""
_DAY_MINUTES = 1_440
_LONGEST_MINUTES = 7 * _DAY_MINUTES


class HostTool:
    """One of them."""

    def __init__(self, name: str, kind: str, description: str, schema: dict[str, object]) -> None:
        """`kind`: of the question that the host answers."""
        self.card = ToolCard(name=name, description=description, schema=schema)
        self._kind = kind

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        payload: dict[str, Json] = {name: value for name, value in arguments.items() if value is not None}
        if len(json.dumps(payload)) > MAX_ARGUMENT_CHARS:
            raise ToolError(f"the arguments have more than {MAX_ARGUMENT_CHARS} characters; put it into a file")
        return ask_host(context, self._kind, payload=payload)


def send_message(destinations: Sequence[str]) -> HostTool:
    schema = object_schema({"text": "string"}, to_property(destinations))
    return HostTool("send_message", "send", "Say something before your last message. Gives a ref.", schema)


def to_property(destinations: Sequence[str]) -> dict[str, str]:
    """Return the property that says where to; none where there is one place only."""
    return {"to": f"string: {', '.join(destinations)}; default: this chat"} if destinations else {}


def edit_message() -> HostTool:
    schema = object_schema({"message": "string: ref", "text": "string"})
    return HostTool("edit_message", "edit", "Change what send_message said; no text: delete.", schema)


def react() -> HostTool:
    schema = object_schema({"message": "string: ref", "emoji": "string: empty: none"})
    return HostTool("react", "react", "Put an emoji under a message.", schema)


def schedule(destinations: Sequence[str]) -> HostTool:
    optional = {
        "when": "string: every weekday 08:00, in 20 min, on 2026-12-01 09:00, cron …",
        "text": "string: what to do",
        **to_property(destinations),
        "pre_check": "string: script; exit 78 skips",
        "schedule": "integer",
    }
    schema = object_schema({"action": "string: create, list, history, pause, resume, run, cancel"}, optional)
    return HostTool("schedule", "schedule", "Have yourself do something later or over and over.", schema)


class AskUser:
    """Asks who began the task."""

    def __init__(self) -> None:
        optional = {"timeout_minutes": "integer"}
        schema = object_schema({"question": "string"}, optional)
        options = {"type": "array", "items": {"type": "string"}}
        properties = schema["properties"]
        assert isinstance(properties, dict)  # made above
        self.card = ToolCard(
            name="ask_user",
            description="Ask the person and wait, if you cannot go on without the answer.",
            schema={**schema, "properties": {**properties, "options": options}},
        )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        question = text_argument(arguments, "question").strip()
        if not 0 < len(question) <= MAX_QUESTION_CHARS:
            raise ToolError(f"a question has 1 to {MAX_QUESTION_CHARS} characters; send the rest as a file before")
        minutes = number_argument(arguments, "timeout_minutes", _DAY_MINUTES, lowest=1, highest=_LONGEST_MINUTES)
        options = _options(arguments)
        return ask_host(context, "question", text=question, options=options, timeout_s=60.0 * minutes)


def _options(arguments: Arguments) -> tuple[str, ...]:
    given = arguments.get("options") or ()
    if not isinstance(given, list | tuple) or not all(isinstance(option, str) for option in given):
        raise ToolError("the argument 'options' must be a list of texts")
    options = tuple(option.strip() for option in given)
    if len(options) > MAX_OPTIONS or any(not 0 < len(option) <= MAX_OPTION_CHARS for option in options):
        raise ToolError(f"there are at most {MAX_OPTIONS} options, of 1 to {MAX_OPTION_CHARS} characters each")
    if len({option.casefold() for option in options}) < len(options):
        raise ToolError("two options are the same")
    return options
