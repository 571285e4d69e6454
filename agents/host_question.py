"""How a tool asks a person, or a room of the host: the answer is the tool's whole output."""

from __future__ import annotations

from collections.abc import Sequence

from agents.tools.tool import ToolContext, ToolError
from protocol.codec import Json
from protocol.link import Ask

A_DAY_S = 86_400.0


def ask_host(
    context: ToolContext,
    kind: str,
    *,
    text: str = "",
    options: Sequence[str] = (),
    payload: Json = None,
    timeout_s: float = A_DAY_S,
) -> str:
    """Return the answer of the room for this kind; raise ToolError where it is a refusal, Interrupted, HostGone.

    Do nothing after it: with an answer that takes longer than a minute this process is gone, and the next attempt finds
    the answer among the task's steps.
    """
    question = Ask(
        call_id=context.call_id, kind=kind, text=text, options=tuple(options), timeout_s=timeout_s, payload=payload
    )
    answered = context.link.ask(question)
    if answered.is_error:
        raise ToolError(answered.answer)
    return answered.answer
