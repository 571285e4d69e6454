"""Puts a conversation to the model: what goes along with it, and how full the model's window is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.model_call import ModelCall, ModelFailed
from agents.providers.provider import NO_FILES, Question, ToolCard, Turn
from agents.skillbook import system_prompt
from agents.tools.sub_agent import SUB_AGENT
from agents.tools.toolbox import Toolbox
from agents.window import is_full, text_tokens, tokens_of
from protocol.link import Assignment
from protocol.record import replace
from protocol.transcript import Entry, Step


class Asker:
    """For one conversation."""

    def __init__(self, assignment: Assignment, *, model: ModelCall, toolbox: Toolbox, is_branch: bool = False) -> None:
        """`is_branch`: a sub-agent's, which gives no result of the task's and has no sub-agents."""
        self._is_branch = is_branch
        self._schema = None if is_branch else assignment.task.result_schema
        self._model = model
        self._toolbox = toolbox
        self._instructions = system_prompt(assignment)
        self._known_tokens = 0
        self._known_entries = 0
        self._shows_files = True

    def ask(self, entries: Sequence[Entry], *, is_shown: bool = True) -> Turn:
        """Return the model's next turn; raise ModelFailed, Interrupted. `is_shown`: to people, as it grows."""
        tools, notes = self._tools(), self._toolbox.notes()
        instructions = f"{self._instructions}\n\n{notes}" if notes else self._instructions
        question = Question(instructions=instructions, entries=entries, tools=tools, files=self._files(entries))
        turn = self._ask(question, is_shown=is_shown)
        self._known_tokens = turn.usage.input_tokens + turn.usage.output_tokens
        self._known_entries = len(entries) + 1 if turn.usage.input_tokens else 0
        return turn

    def _ask(self, question: Question, *, is_shown: bool) -> Turn:
        """Ask; once more without images where the service rejects the request: one that it cannot read would end this
        task, and every later one of the conversation."""
        try:
            return self._model.ask(question, is_shown=is_shown)
        except ModelFailed as failed:
            if failed.failure.code != "model_rejected_request" or not question.files:
                raise
            turn = self._model.ask(replace(question, files=NO_FILES), is_shown=is_shown)
            self._shows_files = False
            return turn

    def is_full(self, entries: Sequence[Entry]) -> bool:
        """Return whether the next question may not fit. What the service has counted is not guessed."""
        known = self._known_tokens if self._known_entries else text_tokens(self._instructions)
        return is_full(self._model.route, known + tokens_of(entries[self._known_entries :]))

    def sum_up(self, entries: Sequence[Entry], index: int) -> Step | None:
        """Return the step that has a summary stand for the older entries, None where there is nothing to save."""
        from agents.compaction import sum_up  # late: few conversations grow that long

        step = sum_up(self._model, self._instructions, self._tools(), entries, index)
        self._known_entries = 0
        return step

    def _tools(self) -> tuple[ToolCard, ...]:
        if self._is_branch:
            return tuple(card for card in self._toolbox.cards() if card.name != SUB_AGENT)
        if self._schema is None:
            return self._toolbox.cards()
        from agents.structured import result_card  # late: few tasks have a schema

        return (*self._toolbox.cards(), result_card(self._schema))

    def _files(self, entries: Sequence[Entry]) -> Mapping[str, str]:
        """Return the images and documents of the conversation."""
        if not self._shows_files or not any(
            entry.files or any(output.files for output in entry.outputs) for entry in entries
        ):
            return NO_FILES
        from agents.seen_files import load_files  # late: few conversations have any

        return load_files(entries, self._toolbox.places)
