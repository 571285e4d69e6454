"""A branch of the conversation: one task of its own, with the same tools, limits and lease, one level deep.

Its steps are stored with the call that began it (`Step.branch`), so that the host sees every call; what it came to is
that call's output, and all of it that the conversation keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.asking import Asker
from agents.conversation import finished_step, started_step, tool_entry, with_new_ids
from agents.tools.tool import MAX_OUTPUT_CHARS, cut_in_the_middle
from agents.tools.toolbox import failed_output
from protocol.record import replace
from protocol.transcript import Entry, Step, ToolCall, ToolOutput

MAX_ROUNDS = 30
"""Model turns with calls of one branch; they count for the task's limits too."""


class Branch:
    """What a branch needs of the loop that it leaves."""

    def __init__(
        self,
        *,
        asker: Asker,
        run_tool: Callable[[ToolCall], ToolOutput],
        store: Callable[[Step], None],
        outer: Sequence[Entry],
    ) -> None:
        """`store` gives each step its number; `outer`: the conversation, whose call ids are taken."""
        self._asker = asker
        self._run_tool = run_tool
        self._store = store
        self._outer = outer

    def run(self, call: ToolCall) -> ToolOutput:
        """Return what the branch came to; raise ModelFailed, Interrupted, HostGone."""
        arguments = call.arguments if isinstance(call.arguments, dict) else {}
        task = arguments.get("task")
        if not isinstance(task, str) or not task.strip():
            return failed_output(call, "the argument 'task' is missing, or no text")
        entries = [Entry(role="user", text=task)]
        for number in range(MAX_ROUNDS):
            if self._asker.is_full(entries):
                return failed_output(call, f"the sub-agent ran out of room after {number} rounds; give it less at once")
            turn = self._asker.ask(entries, is_shown=False)
            turn = with_new_ids(turn, [*self._outer, *entries], _branch_number(call, number))
            self._store(Step(index=0, kind="model_turn", entry=turn.entry, usage=turn.usage, branch=call.call_id))
            if not turn.entry.calls:
                text = cut_in_the_middle(turn.entry.text, MAX_OUTPUT_CHARS)
                return ToolOutput(call_id=call.call_id, text=text or "(the sub-agent said nothing)")
            outputs = {}
            for inner in turn.entry.calls:
                self._store(replace(started_step(0, inner), branch=call.call_id))
                problem = turn.faulty_calls.get(inner.call_id)
                output = failed_output(inner, problem) if problem else self._run_tool(inner)
                self._store(replace(finished_step(0, output), branch=call.call_id))
                outputs[inner.call_id] = output
            entries += [turn.entry, tool_entry(turn.entry.calls, outputs)]
        return failed_output(call, f"the sub-agent came to no end within {MAX_ROUNDS} rounds; what it did is done")


def _branch_number(call: ToolCall, number: int) -> int:
    """Return a number for new call ids that no step of the conversation itself has."""
    return 1_000_000 + (sum(call.call_id.encode()) % 1000) * MAX_ROUNDS + number
