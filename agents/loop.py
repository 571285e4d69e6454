"""The agent: ask the model, run the tools it calls, until it answers in words.

Each model turn and each tool's start and end is stored by the host before the next thing happens, so that another
attempt can go on from there. The conversation is `conversation.py`'s, one model call `model_call.py`'s.
"""

from __future__ import annotations

from functools import partial

from agents.activity import Activity
from agents.asking import Asker
from agents.conversation import (
    MAY_HAVE_HAPPENED,
    finished_step,
    model_step,
    resume,
    started_step,
    told_step,
    tool_entry,
    with_new_ids,
)
from agents.host_link import HostLink
from agents.last_word import failed, find_end, out_of_rounds, said
from agents.model_call import ModelCall, ModelFailed
from agents.providers.failure import misbehaved
from agents.providers.provider import Turn
from agents.repetition import GoingInCircles, Repetition
from agents.tools.sub_agent import SUB_AGENT
from agents.tools.toolbox import Toolbox, failed_output
from agents.window import after_compaction
from protocol.frames import FrameError
from protocol.link import Assignment, Progress
from protocol.pre_check import CALL_ID, find_output, prompt_with_output
from protocol.record import replace
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import Entry, Step, ToolCall, ToolOutput


class Loop:
    """One attempt of one task."""

    def __init__(
        self, assignment: Assignment, *, link: HostLink, model: ModelCall, toolbox: Toolbox, activity: Activity
    ) -> None:
        self._assignment = assignment
        self._link = link
        self._model = model
        self._toolbox = toolbox
        self._activity = activity
        state = resume(assignment)
        self._entries = list(state.entries)
        self._open_turn = state.open_turn
        self._outputs = {output.call_id: output for output in state.outputs}
        self._uncertain = state.uncertain
        self._next_index = state.next_index
        self._rounds = state.rounds
        self._prompt = self._with_files(state.prompt)
        self._entries = [self._prompt if entry is state.prompt else entry for entry in self._entries]
        self._asker = Asker(assignment, model=model, toolbox=toolbox)
        self._repetition = Repetition()

    def run(self) -> TaskResult:
        """Return how the task ended; raise Interrupted, HostGone."""
        self._activity.begin("loop")
        try:
            return self._pre_check() or self._go_on() or self._converse()
        except ModelFailed as error:
            return failed(error.failure)
        except GoingInCircles as error:
            return TaskResult(status=TaskStatus.FAILED, code="repeating_call", reason=str(error))
        except FrameError as error:  # a turn beyond what the host takes, in spite of the caps on reading it
            return failed(misbehaved(self._assignment.model.route, str(error)))

    def _pre_check(self) -> TaskResult | None:
        """Run the task's pre-check, unless an earlier attempt did; return the end if there is nothing to do."""
        task = self._assignment.task
        if not task.pre_check or find_output(self._assignment.steps) is not None:
            return None
        from agents.pre_check import run_pre_check  # late: few tasks have one

        with self._activity.during("tool"):
            checked = run_pre_check(task.pre_check, self._toolbox.context(CALL_ID), self._store_numbered)
        if isinstance(checked, TaskResult):
            return checked
        self._entries[-1] = self._prompt = replace(self._prompt, text=prompt_with_output(task.prompt, (checked,)))
        return None

    def _with_files(self, prompt: Entry) -> Entry:
        """Return the prompt with those of its files that the model sees."""
        return self._showing(prompt, self._assignment.task.files)

    def _showing(self, entry: Entry, paths: tuple[str, ...]) -> Entry:
        if not paths or not self._assignment.model.sees:
            return entry
        from agents.seen_files import find_seen  # late: few tasks come with files

        return replace(entry, files=find_seen(self._toolbox.places, paths))

    def _go_on(self) -> TaskResult | None:
        """Finish the turn that an earlier attempt left open."""
        turn = self._open_turn
        if turn is None:
            return None
        if not turn.calls:
            return said(turn.text, "end")
        for call in self._uncertain:
            if call.call_id in self._assignment.approved:
                continue  # it was asked about, and not made
            self._store_output(ToolOutput(call_id=call.call_id, text=MAY_HAVE_HAPPENED, is_error=True))
        self._run_calls(turn, {})
        return None

    def _converse(self) -> TaskResult:
        while self._rounds < self._assignment.task.limits.rounds:
            if self._asker.is_full(self._entries):
                self._make_room()
            told = self._link.take_told()
            shown = [self._showing(Entry(role="user", text=message.text), message.files) for message in told]
            turn = self._ask(shown)
            for message, entry in zip(told, shown, strict=True):  # not before: now the model has seen it
                self._link.hold_step(told_step(self._take_index(), message, entry))
            step = model_step(self._take_index(), turn)
            result = find_end(turn, self._assignment.task.result_schema, self._model.fallback_note)
            if result is not None:
                self._link.hold_step(step)  # not waited for: the last word goes with it
                return result
            self._link.store_step(step)
            self._rounds += 1
            self._run_calls(turn.entry, dict(turn.faulty_calls))
        return out_of_rounds(self._rounds)

    def _ask(self, told: list[Entry]) -> Turn:
        """Ask the model, with what came meanwhile; where the service says it is too much, once more with a summary."""
        try:
            turn = self._asker.ask([*self._entries, *told])
        except ModelFailed as failed:
            if failed.failure.code != "conversation_too_long" or not self._make_room():
                raise
            turn = self._asker.ask([*self._entries, *told])
        self._entries += told
        return with_new_ids(turn, self._entries, self._next_index)

    def _make_room(self) -> bool:
        """Have a summary stand for the older part of the conversation; return whether that was possible."""
        self._link.say(Progress(kind="note", text="Summing up the conversation, which fills the model's window"))
        step = self._asker.sum_up(self._entries, self._next_index)
        if step is None or step.entry is None:
            return False
        self._take_index()
        self._link.store_step(step)
        self._entries = after_compaction(self._entries, step.entry, step.kept, self._prompt)
        return True

    def _run_calls(self, turn: Entry, faulty: dict[str, str]) -> None:
        """Run the calls of a turn that have no output yet, in order, and add turn and outputs to the conversation."""
        for call in turn.calls:
            if call.call_id in self._outputs:
                continue
            if call.call_id not in self._assignment.approved:  # else that step is there already
                self._link.store_step(started_step(self._take_index(), call))
            problem = faulty.get(call.call_id)
            output = failed_output(call, problem) if problem else self._run_tool(call)
            self._store_output(self._repetition.checked(call, output))
        self._entries += [turn, tool_entry(turn.calls, self._outputs)]
        self._outputs = {}

    def _run_tool(self, call: ToolCall, *, in_branch: bool = False) -> ToolOutput:
        if self._assignment.constraints and call.call_id not in self._assignment.approved:
            from agents.constraints import refusal_of  # late: few agents have any

            with self._activity.during("tool"):  # `waiting` is for a task
                refused = refusal_of(call, self._assignment.constraints, self._link, self._toolbox.places)
            if refused is not None:
                return refused
        self._link.say(Progress(kind="tool", text=call.name, tool=call.name))
        if call.name == SUB_AGENT and not in_branch:
            return self._run_branch(call)
        with self._activity.during("tool"):
            return self._toolbox.run(call)

    def _run_branch(self, call: ToolCall) -> ToolOutput:
        from agents.sub_agent import Branch  # late: few tasks have one

        asker = Asker(self._assignment, model=self._model, toolbox=self._toolbox, is_branch=True)
        run_tool = partial(self._run_tool, in_branch=True)
        return Branch(asker=asker, run_tool=run_tool, store=self._store_numbered, outer=self._entries).run(call)

    def _store_numbered(self, step: Step) -> None:
        self._link.store_step(replace(step, index=self._take_index()))

    def _store_output(self, output: ToolOutput) -> None:
        self._link.store_step(finished_step(self._take_index(), output))
        self._outputs[output.call_id] = output

    def _take_index(self) -> int:
        self._next_index += 1
        return self._next_index - 1
