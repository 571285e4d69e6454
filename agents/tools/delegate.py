"""The tool that asks another agent. Its files go to the host first; the other agent's answer is the tool's output."""

from __future__ import annotations

import os
from collections.abc import Sequence

from agents import file_sender
from agents.host_question import ask_host
from agents.providers.provider import ToolCard
from agents.tools.opened_file import opened_for_reading
from agents.tools.tool import Arguments, ToolContext, ToolError, object_schema, text_argument
from protocol.codec import Json
from protocol.link import AgentCard

MAX_FILES = 10
_MAX_NAME_CHARS = 200
_PATIENCE_S = 86_400.0


class Delegate:
    """Asks one of the agents that the group's owner has named."""

    def __init__(self, agents: Sequence[AgentCard]) -> None:
        self._names = tuple(card.name for card in agents)
        listed = "; ".join(f"{card.name}: {card.description}" if card.description else card.name for card in agents)
        self.card = ToolCard(
            name="delegate",
            description=(
                "Ask another agent to do something, and get its answer. It sees nothing of this conversation: say all "
                f"that it needs; files are copied into its inbox. Agents: {listed}"
            ),
            schema=_schema(),
        )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        agent, prompt = text_argument(arguments, "agent"), text_argument(arguments, "prompt")
        if agent not in self._names:
            raise ToolError(f"there is no agent {agent!r} that you may ask; there are: {', '.join(self._names)}")
        files = _send(_paths(arguments), context)
        payload: Json = {"to": agent, "prompt": prompt, "files": list(files), "deliver": bool(arguments.get("show"))}
        return ask_host(context, "delegate", payload=payload, timeout_s=_PATIENCE_S)


def _schema() -> dict[str, object]:
    schema = object_schema(
        {"agent": "string", "prompt": "string"}, {"show": "boolean: show the answer in this chat, too"}
    )
    files = {"type": "array", "items": {"type": "string"}, "description": "paths"}
    properties = schema["properties"]
    assert isinstance(properties, dict)  # made above
    return {**schema, "properties": {**properties, "files": files}}


def _paths(arguments: Arguments) -> tuple[str, ...]:
    given = arguments.get("files") or ()
    if not isinstance(given, list | tuple) or not all(isinstance(path, str) for path in given):
        raise ToolError("the argument 'files' must be a list of paths")
    if len(given) > MAX_FILES:
        raise ToolError(f"at most {MAX_FILES} files are handed over at once")
    return tuple(given)


def _send(paths: Sequence[str], context: ToolContext) -> tuple[str, ...]:
    """Return the call ids under which the host has the files; raise ToolError where one does not arrive."""
    sent = []
    for index, path in enumerate(paths):
        name = path.rpartition("/")[2][-_MAX_NAME_CHARS:].encode("utf-8", "replace").decode("utf-8")
        call_id = f"{context.call_id}.{index}"
        with opened_for_reading(context.places, path) as descriptor:
            size = os.fstat(descriptor).st_size
            try:
                file_sender.send_file(
                    context.link, descriptor, call_id=call_id, name=name, size=size, is_for_agent=True
                )
            except file_sender.FileNotSent as error:
                raise ToolError(f"{path}: was not handed over, and nobody was asked: {error}") from error
        sent.append(call_id)
    return tuple(sent)
