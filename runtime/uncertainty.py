"""Whether a dead attempt may have changed something in the world that nobody has seen the result of, and since when."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from credproxy.admin_client.link import ProxyError
from protocol.ids import TaskId
from protocol.transcript import Step
from runtime.attempt_outcome import is_uncertain
from runtime.open_tool import first_open_tool, open_tool
from runtime.store.records import AttemptRow
from runtime.task_desk import TaskDesk

log = logging.getLogger(__name__)


async def may_have_changed_something(desk: TaskDesk, task_id: TaskId, attempt: AttemptRow) -> bool:
    """Ask the proxy whether the dead attempt's open tool may have changed something. No answer: it may."""
    steps = await desk.store.steps_of(task_id)
    tool = open_tool(steps)
    if tool is None:
        return False
    trace = await desk.store.trace(task_id)
    started_at = next((step.stored_at for step in trace.steps if step.index == tool.index), None) if trace else None
    try:
        calls = await desk.calls.calls(task_id, attempt.attempt_id)
    except ProxyError as error:
        extra = {"action": "calls_unknown", "task_id": task_id}
        log.warning("the proxy cannot say what a dead attempt did: %s", error, extra=extra)
        return True
    return is_uncertain(steps, started_at, calls)


async def unsettled_since(desk: TaskDesk, task_id: TaskId, steps: Sequence[Step]) -> str:
    """Return when the last step was stored that was before the tool call that an attempt left open: whatever the task
    called until then, it has seen the end of. The present moment where none is open. ISO 8601, UTC."""
    tool = first_open_tool(steps)
    if tool is None:
        return datetime.now(UTC).isoformat()
    trace = await desk.store.trace(task_id)
    before = [step.stored_at for step in trace.steps if step.index < tool.index] if trace is not None else []
    return before[-1] if before else ""
