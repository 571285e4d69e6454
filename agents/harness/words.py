"""What a harness's model is told at the beginning of a task: what went before, where it knows nothing of it, its notes,
what was under way when an earlier attempt ended, and the task. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from agents.conversation import MAY_HAVE_HAPPENED
from protocol.link import Assignment
from protocol.pre_check import prompt_with_output
from protocol.transcript import Entry, Step, ToolCall

MAX_PAST_CHARS = 40_000
MAX_CALL_CHARS = 1_000
_GO_ON = (
    "You were interrupted while you worked on the message below. What you had done by then is above, as far as it was "
    "kept. Go on with it; do not begin anew."
)
_ANOTHER_MODEL = "The model service failed in the middle. Go on with the message below."


def first_words(
    assignment: Assignment,
    steps: Sequence[Step],
    *,
    is_new: bool,
    notes: str,
    uncertain: Sequence[ToolCall] = (),
    caught_up: str = "",
) -> str:
    """Return the prompt. `is_new`: the program's session begins with it, whatever went before; `notes`: those that it
    has not been told; `uncertain`: calls of the program's own that were under way; `caught_up`: what became of ours."""
    parts = []
    if is_new and assignment.transcript:
        parts.append(past_words(assignment.transcript))
    if notes:
        parts.append(f"<notes>\n{notes.strip()}\n</notes>")
    if assignment.attempt_number > 1:
        approved = [_allowed(call) for call in uncertain if call.call_id in assignment.approved]
        open_calls = [_under_way(call) for call in uncertain if call.call_id not in assignment.approved]
        parts += [_GO_ON, *open_calls, *approved, *([caught_up] if caught_up else [])]
    parts.append(prompt_with_output(assignment.task.prompt, steps))
    parts += [step.entry.text for step in assignment.steps if step.kind == "steered" and step.entry is not None]
    return "\n\n".join(parts)


def words_for_another_model(assignment: Assignment, steps: Sequence[Step]) -> str:
    """Return the prompt with which another model goes on where one has failed."""
    return f"{_ANOTHER_MODEL}\n\n{prompt_with_output(assignment.task.prompt, steps)}"


def past_words(transcript: Sequence[Entry]) -> str:
    """Return the conversation before the task as text: the newest of it that fits."""
    lines: list[str] = []
    chars = 0
    for entry in reversed(transcript):
        line = entry.text.strip() if entry.role == "user" else f"You: {entry.text.strip()}"
        if entry.role == "tool" or not entry.text.strip():
            continue
        chars += len(line)
        if chars > MAX_PAST_CHARS:
            lines.append("[What was said before that is left out here.]")
            break
        lines.append(line)
    said = "\n\n".join(reversed(lines))
    return f"This conversation began before this session of yours:\n<earlier>\n{said}\n</earlier>"


def _under_way(call: ToolCall) -> str:
    return f"Your call of {call.name} {_arguments(call)}: {MAY_HAVE_HAPPENED}"


def _allowed(call: ToolCall) -> str:
    return f"Your call of {call.name} {_arguments(call)} was asked about and not made; it is allowed now: make it so."


def _arguments(call: ToolCall) -> str:
    return json.dumps(call.arguments, ensure_ascii=False)[:MAX_CALL_CHARS]
