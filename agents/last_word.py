"""How a task ends, by what the model said last: its answer, the result that was asked for, or why there is neither.

Pure.
"""

from __future__ import annotations

from agents.providers.failure import Failure
from agents.providers.provider import StopReason, Turn
from protocol.codec import Json
from protocol.task import TaskResult, TaskStatus

_NOTHING_SAID = "The model answered nothing."
_CUT = "\n\n[The answer was cut: it reached the model's output limit.]"

_SILENT_ENDS = {
    "length": "The model used up its output limit before it said anything.",
    "refused": "The model declined to answer this.",
}


def find_end(turn: Turn, schema: Json, note: str) -> TaskResult | None:
    """Return the task's end, if the model came to it with this turn. `schema`: of the result that was asked for, None
    for words; `note`: what the person is to read below them."""
    if schema is not None:
        from agents.structured import find_result  # late: few tasks have a schema

        found = find_result(turn)
        if found is not None:
            return found
    return None if turn.entry.calls else said(turn.entry.text, turn.stop, note)


def said(text: str, stop: StopReason, note: str = "") -> TaskResult:
    """Return the end of a task whose model has said this, and stopped for that reason."""
    if not text.strip() and stop in _SILENT_ENDS:
        return TaskResult(status=TaskStatus.FAILED, code=f"model_{stop}", reason=_SILENT_ENDS[stop])
    if not text.strip():
        return TaskResult(status=TaskStatus.NOTHING_TO_SAY, reason=_NOTHING_SAID)
    text += (_CUT if stop == "length" else "") + (f"\n\n*{note}*" if note else "")
    return TaskResult(status=TaskStatus.REPLY, text=text)


def failed(failure: Failure) -> TaskResult:
    return TaskResult(status=TaskStatus.FAILED, code=failure.code, reason=failure.reason)


def out_of_rounds(rounds: int) -> TaskResult:
    reason = f"I stopped after {rounds} rounds of work without coming to an answer. What was done is kept."
    return TaskResult(status=TaskStatus.FAILED, code="round_limit", reason=reason)
