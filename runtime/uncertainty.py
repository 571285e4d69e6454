"""Whether a dead attempt may have changed something in the world that nobody has seen the result of."""

from __future__ import annotations

import logging

from credproxy.admin_client.link import ProxyError
from protocol.ids import TaskId
from runtime.attempt_outcome import is_uncertain
from runtime.open_tool import open_tool
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
