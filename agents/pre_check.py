"""Runs a task's pre-check, before any model is asked (`protocol/pre_check.py` says what its end means)."""

from __future__ import annotations

from collections.abc import Callable

from agents.conversation import finished_step, started_step
from agents.tools.shell import run_command
from agents.tools.tool import ToolContext, ToolError, cut_in_the_middle
from agents.tools.toolbox import storable
from protocol.link import Progress
from protocol.pre_check import CALL_ID, FAILED, SKIP_EXIT_CODE, SKIPPED, TIMEOUT_S
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import Step, ToolCall, ToolOutput

_MAX_REASON_CHARS = 1_000


def run_pre_check(script: str, context: ToolContext, store: Callable[[Step], None]) -> Step | TaskResult:
    """Run it, its start and end stored as steps; return the one with what the model is to read of it, or the task's
    end. `store` gives each step its number. Raises Interrupted, HostGone."""
    store(started_step(0, ToolCall(call_id=CALL_ID, name="pre_check", arguments={"command": script})))
    context.link.say(Progress(kind="tool", text="pre-check", tool="pre_check"))
    checked = _run(script, context)
    if isinstance(checked, TaskResult):
        return checked
    step = finished_step(0, checked)
    store(step)
    return step


def _run(script: str, context: ToolContext) -> ToolOutput | TaskResult:
    try:
        ended = run_command(script, TIMEOUT_S, context)
    except ToolError as error:
        return _failed(str(error))
    if ended.exit_code == SKIP_EXIT_CODE:
        reason = "The pre-check found nothing to do."
        return TaskResult(status=TaskStatus.NOTHING_TO_SAY, code=SKIPPED, reason=reason)
    if ended.exit_code is None:
        return _failed(f"it ran longer than {TIMEOUT_S} s", ended.text)
    if ended.exit_code:
        return _failed(f"exit code {ended.exit_code}", ended.text)
    return ToolOutput(call_id=CALL_ID, text=storable(ended.text))


def _failed(reason: str, text: str = "") -> TaskResult:
    said = cut_in_the_middle(storable(text.strip()), _MAX_REASON_CHARS)
    reason = f"The pre-check failed: {reason}.\n{said}".rstrip()
    return TaskResult(status=TaskStatus.FAILED, code=FAILED, reason=reason)
