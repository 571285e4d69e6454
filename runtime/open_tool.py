"""Which tool call of a task has no output yet. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.transcript import Step


def first_open_tool(steps: Sequence[Step]) -> Step | None:
    """Return the earliest of the last turn's tool calls whose end is not stored, None if there is none."""
    turns = [number for number, step in enumerate(steps) if step.kind == "model_turn" and not step.branch]
    finished = {step.output.call_id for step in steps if step.output is not None}
    for step in steps[turns[-1] :] if turns else ():
        if step.kind == "tool_started" and step.call is not None and step.call.call_id not in finished:
            return step
    return None


def open_tool(steps: Sequence[Step]) -> Step | None:
    """Return the `tool_started` step whose end is not stored, None if there is none."""
    finished = {step.output.call_id for step in steps if step.output is not None}
    for step in reversed(steps):
        if step.kind == "tool_started" and step.call is not None and step.call.call_id not in finished:
            return step
    return None
