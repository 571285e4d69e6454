"""Sums a conversation up when it fills the model's window. The owner's instructions are not part of it and stay; so do
the task's own prompt and the newest turns. The summary is stored as a step, so that another attempt begins from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.model_call import ModelCall
from agents.providers.provider import Question, ToolCard
from agents.tools.tool import cut_in_the_middle
from agents.window import first_kept, is_full, tokens_of
from protocol.record import replace
from protocol.summary import SUMMARY_PROMPT, build_summary
from protocol.transcript import Entry, Step

MAX_SUMMARY_CHARS = 24_000
"""About 6,000 tokens."""
MAX_OUTPUT_CHARS = 4_000
"""Of each tool's output, as the model sees it to sum it up."""


def sum_up(
    model: ModelCall, instructions: str, tools: Sequence[ToolCard], entries: Sequence[Entry], index: int
) -> Step | None:
    """Ask the model for a summary of all but the newest entries and return it as a step; None where it saves nothing.

    Raises ModelFailed, Interrupted.
    """
    first = first_kept(entries, model.route)
    older = [_shortened(entry) for entry in entries[:first]]
    while older and (older[0].role != "user" or is_full(model.route, tokens_of(older))):
        older = older[1:]  # until it fits, and begins neither with an answer nor with outputs
    if len(older) < 2:
        return None
    asked = [*older, Entry(role="user", text=SUMMARY_PROMPT)]
    # With the tools: some services refuse a conversation with calls that comes without them.
    turn = model.ask(Question(instructions=instructions, entries=asked, tools=tools), is_shown=False)
    text = cut_in_the_middle(turn.entry.text.strip(), MAX_SUMMARY_CHARS)
    if not text:
        return None
    return Step(index=index, kind="compacted", entry=build_summary(text), usage=turn.usage, kept=len(entries) - first)


def _shortened(entry: Entry) -> Entry:
    outputs = tuple(
        replace(each, text=cut_in_the_middle(each.text, MAX_OUTPUT_CHARS), files=()) for each in entry.outputs
    )
    return replace(entry, outputs=outputs, files=())
