"""The conversation as the model should see it: transcript, the task, and what earlier attempts have done. Pure.

Steps are the host's record of this task. A call that started and has no output was under way when an attempt ended:
nobody knows whether it happened, and the model is told so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agents.providers.provider import Turn
from agents.window import after_compaction
from protocol.link import Assignment, SteerMessage
from protocol.pre_check import prompt_with_output
from protocol.record import Record, replace
from protocol.transcript import Entry, Step, ToolCall, ToolOutput

MAY_HAVE_HAPPENED = (
    "This call was under way when the agent was interrupted. It may have happened, wholly or in part, or not at all. "
    "Look before you do it again."
)
_NO_RECORD = "There is no record of how this call ended."


class Resumption(Record):
    """Where an attempt begins."""

    entries: tuple[Entry, ...]
    """Everything said so far, up to the last model turn whose calls are all answered."""
    open_turn: Entry | None
    """A model turn of an earlier attempt that is not wholly done: calls without output, or the final answer itself."""
    outputs: tuple[ToolOutput, ...]
    """What the open turn's calls have given so far."""
    uncertain: tuple[ToolCall, ...]
    """Calls of the open turn that had started."""
    next_index: int
    """Of the next step."""
    rounds: int
    """Model turns with calls so far in this task."""
    prompt: Entry
    """What the task asks, as it stands in the entries."""


def resume(assignment: Assignment) -> Resumption:
    """Return the state that the transcript and the steps of earlier attempts describe."""
    entries = list(repaired(assignment.transcript))
    entries.append(Entry(role="user", text=prompt_with_output(assignment.task.prompt, assignment.steps)))
    turn: Entry | None = None
    outputs: dict[str, ToolOutput] = {}
    started: dict[str, ToolCall] = {}
    rounds = 0
    prompt = entries[-1]
    for step in assignment.steps:
        if step.branch:  # what a sub-agent did is in its call's output, if it came to one
            continue
        if step.kind == "compacted" and step.entry is not None:
            entries.extend(_closed(turn, outputs))
            entries = after_compaction(entries, step.entry, step.kept, prompt)
            turn, outputs, started = None, {}, {}
        elif step.kind == "model_turn" and step.entry is not None:
            entries.extend(_closed(turn, outputs))
            turn, outputs, started = step.entry, {}, {}
            rounds += bool(turn.calls)
        elif step.kind == "steered" and step.entry is not None:
            entries.extend(_closed(turn, outputs))
            entries.append(step.entry)
            turn, outputs, started = None, {}, {}
        elif step.kind == "tool_started" and step.call is not None:
            started[step.call.call_id] = step.call
        elif step.kind == "tool_finished" and step.output is not None:
            outputs[step.output.call_id] = step.output
    if turn is not None and turn.calls and all(call.call_id in outputs for call in turn.calls):
        entries.extend(_closed(turn, outputs))
        turn, outputs = None, {}
    return Resumption(
        entries=tuple(entries),
        open_turn=turn,
        outputs=tuple(outputs.values()),
        uncertain=tuple(call for call_id, call in started.items() if turn is not None and call_id not in outputs),
        next_index=1 + max((step.index for step in assignment.steps), default=-1),
        rounds=rounds,
        prompt=prompt,
    )


def repaired(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries such that every API takes them: each call answered in the next entry, nothing empty."""
    whole: list[Entry] = []
    calls: tuple[ToolCall, ...] = ()
    for entry in [*entries, Entry(role="user")]:
        given = {output.call_id: output for output in entry.outputs}
        if calls:
            whole.append(tool_entry(calls, given))
        if entry.role != "tool" and (entry.text.strip() or entry.calls):
            whole.append(entry)
        calls = entry.calls if entry.role == "assistant" else ()
    return whole


def tool_entry(calls: Sequence[ToolCall], outputs: dict[str, ToolOutput]) -> Entry:
    """Return the entry that answers the calls, in their order."""
    missing = {call.call_id: ToolOutput(call_id=call.call_id, text=_NO_RECORD, is_error=True) for call in calls}
    return Entry(role="tool", outputs=tuple(outputs.get(call_id, none) for call_id, none in missing.items()))


def with_new_ids(turn: Turn, entries: Iterable[Entry], index: int) -> Turn:
    """Return the turn with other ids for calls whose id the conversation already has: `call_<step>_<number>`.

    Some servers give none, or begin from 0 in each answer; the host tells a task's calls apart by their id.
    """
    used = {call.call_id for entry in entries for call in entry.calls}
    new_ids = {
        call.call_id: f"call_{index}_{number}"
        for number, call in enumerate(turn.entry.calls)
        if call.call_id in used or (call.call_id.startswith("call_") and call.call_id[5:].isdigit())
    }
    if not new_ids:
        return turn
    calls = tuple(replace(call, call_id=new_ids.get(call.call_id, call.call_id)) for call in turn.entry.calls)
    faulty = {new_ids.get(call_id, call_id): problem for call_id, problem in turn.faulty_calls.items()}
    return replace(turn, entry=replace(turn.entry, calls=calls), faulty_calls=faulty)


def _closed(turn: Entry | None, outputs: dict[str, ToolOutput]) -> list[Entry]:
    if turn is None or not turn.calls:
        return [turn] if turn is not None and turn.text else []
    return [turn, tool_entry(turn.calls, outputs)]


def model_step(index: int, turn: Turn) -> Step:
    return Step(index=index, kind="model_turn", entry=turn.entry, usage=turn.usage)


def told_step(index: int, message: SteerMessage, entry: Entry | None = None) -> Step:
    """`entry`: the message as the model was shown it; None: its text."""
    shown = entry or Entry(role="user", text=message.text)
    return Step(index=index, kind="steered", entry=shown, message_ids=(message.message_id,))


def started_step(index: int, call: ToolCall) -> Step:
    return Step(index=index, kind="tool_started", call=call)


def finished_step(index: int, output: ToolOutput) -> Step:
    return Step(index=index, kind="tool_finished", output=output)
