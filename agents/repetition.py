"""Notices a model that makes the same call again and again and gets the same output: told first, then stopped. Pure."""

from __future__ import annotations

from collections import deque

from protocol.record import replace
from protocol.transcript import ToolCall, ToolOutput

TOLD_AT = 5
"""The same call with the same output so often: the model is told, and each time after."""
STOPPED_AT = 10
REMEMBERED = 40
"""Calls that are looked back at: a circle of several calls is one too."""


class GoingInCircles(Exception):
    """The model was told, and made the same call on and on."""


class Repetition:
    """One for an attempt."""

    def __init__(self) -> None:
        self._seen: deque[int] = deque(maxlen=REMEMBERED)

    def checked(self, call: ToolCall, output: ToolOutput) -> ToolOutput:
        """Return the output, with a word where it says nothing new; raise GoingInCircles."""
        made = hash(repr((call.name, call.arguments, output.text, output.is_error)))
        self._seen.append(made)
        times = self._seen.count(made)
        if times >= STOPPED_AT:
            raise GoingInCircles(
                f"I stopped: I made the same call of {call.name} {times} times and it gave the same each time. "
                "What was done is kept."
            )
        if times < TOLD_AT:
            return output
        told = f"[You made this very call {times} times and it gave the same each time. Do something else, or end.]"
        return replace(output, text=f"{output.text}\n{told}")
