"""Which of our tools a harness is given, and what happens around each call: what the loop does for a native agent.

Each call is announced to the host before it is made and stored with its output after (`tool_started`,
`tool_finished`), asked about where a constraint says so, and shown as progress. A harness's frame stores no steps of
its own for these.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from agents.activity import Activity
from agents.constraints import refusal_of
from agents.conversation import MAY_HAVE_HAPPENED, finished_step, started_step
from agents.host_link import HostLink
from agents.places import Places
from agents.providers.provider import ToolCard
from agents.structured import RESULT_TOOL, result_card
from agents.tools.toolbox import Toolbox, failed_output, storable
from protocol.link import Assignment, Progress
from protocol.record import replace
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import Step, ToolCall, ToolOutput

THEIR_OWN = frozenset(
    ("shell", "read_file", "write_file", "edit_file", "glob", "grep", "apply_patch", "view_image", "skill", "sub_agent")
)
"""What each harness has itself."""
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TAKEN = "Your result was taken. Say no more and end."


class HarnessTools:
    """The tools of one attempt."""

    def __init__(
        self,
        assignment: Assignment,
        *,
        toolbox: Toolbox,
        link: HostLink,
        places: Places,
        activity: Activity,
        store: Callable[[Step], None],
    ) -> None:
        """`store` gives each step its number and returns when the host has it; it is called from another thread."""
        self._assignment = assignment
        self._toolbox = toolbox
        self._link = link
        self._places = places
        self._activity = activity
        self._store = store
        self._used = {step.call.call_id for step in assignment.steps if step.call is not None}
        self.result: TaskResult | None = None
        """What `task_result` was called with, if it was: the task's end."""

    def cards(self) -> tuple[ToolCard, ...]:
        schema = self._assignment.task.result_schema
        return offered(self._toolbox) if schema is None else (*offered(self._toolbox), result_card(schema))

    def run(self, call: ToolCall) -> ToolOutput:
        """Run a call and return its output, an error too; raise Interrupted, HostGone."""
        call = replace(call, call_id=self._new_id(call.call_id))
        if call.name not in {card.name for card in self.cards()}:
            known = ", ".join(card.name for card in self.cards())
            return failed_output(call, f"there is no tool {call.name[:80]!r} here; there are: {known}")
        if call.name == RESULT_TOOL:
            return self._take_result(call)
        self._store(started_step(0, call))
        return self._finish(call)

    def catch_up(self) -> str:
        """Return what the model is to be told first of calls that an earlier attempt made and whose outputs it has not
        seen, empty where there is none; what a person has said yes to since is done now. Raises Interrupted, HostGone.
        """
        seen_until = max((step.index for step in self._assignment.steps if step.kind == "model_turn"), default=-1)
        names = {card.name for card in self.cards()}
        finished = {step.output.call_id: (step.index, step.output) for step in self._assignment.steps if step.output}
        lines = []
        for call in (step.call for step in self._assignment.steps if step.kind == "tool_started"):
            if call is None or call.name not in names:
                continue
            index, output = finished.get(call.call_id, (seen_until + 1, None))
            if index > seen_until:
                lines.append(f"Your call of {call.name} has ended: {(output or self._catch_up_with(call)).text}")
        return "\n".join(lines)

    def _catch_up_with(self, call: ToolCall) -> ToolOutput:
        if call.call_id in self._assignment.approved:
            return self._finish(call)
        output = failed_output(call, MAY_HAVE_HAPPENED)
        self._store(finished_step(0, output))
        return output

    def _finish(self, call: ToolCall) -> ToolOutput:
        output = self._made(call)
        self._store(finished_step(0, output))
        return output

    def _made(self, call: ToolCall) -> ToolOutput:
        with self._activity.during("tool"):
            if self._assignment.constraints and call.call_id not in self._assignment.approved:
                refused = refusal_of(call, self._assignment.constraints, self._link, self._places)
                if refused is not None:
                    return refused
            self._link.say(Progress(kind="tool", text=call.name, tool=call.name))
            return self._toolbox.run(call)

    def _take_result(self, call: ToolCall) -> ToolOutput:
        if not isinstance(call.arguments, dict) or not call.arguments:
            return failed_output(call, "the result is missing in the call that was to give it")
        self.result = TaskResult(status=TaskStatus.STRUCTURED, structured=dict(call.arguments))
        return ToolOutput(call_id=call.call_id, text=storable(_TAKEN))

    def _new_id(self, given: str) -> str:
        """Return the id that a call has for the host: the harness's own, if it is one and not used yet."""
        number = len(self._used)
        while not _CALL_ID.fullmatch(given) or given in self._used:
            given = f"mcp_{self._assignment.attempt_number}_{number}"
            number += 1
        self._used.add(given)
        return given


def offered(toolbox: Toolbox) -> tuple[ToolCard, ...]:
    """Return the tools of a box that a harness has not itself."""
    toolbox.offer_packages()  # what its own shell finds to be missing we do not see
    return tuple(card for card in toolbox.cards() if card.name not in THEIR_OWN)
