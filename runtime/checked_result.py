"""An agent's last word, as a task may end. Pure.

A structured result is checked against its schema here, by the host. What does not fit is kept and told with its code;
nobody asks the model again: that is the submitter's to decide.
"""

from __future__ import annotations

import json
import re

from protocol.codec import Json
from protocol.record import replace
from protocol.task import TaskResult, TaskStatus
from runtime.json_schema import ValueInvalid, check_value

_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FENCED = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n```\Z", re.DOTALL)


def checked_result(result: TaskResult, schema: Json = None) -> TaskResult:
    """Return the result that a task ends with: no structure that nobody asked for, the one that was asked for, a code
    that is one."""
    if result.status is TaskStatus.FAILED:
        return result if _CODE.fullmatch(result.code) else replace(result, code="agent_failed")
    if result.status is TaskStatus.STOPPED:
        return result
    if schema is not None:
        return _structured(result, schema)
    if result.status is TaskStatus.STRUCTURED:
        reason = "The agent ended with a structured result that nobody asked for."
        return TaskResult(status=TaskStatus.FAILED, code="agent_misbehaved", reason=reason)
    if result.status is TaskStatus.REPLY and not result.text.strip():
        return TaskResult(status=TaskStatus.NOTHING_TO_SAY, reason="The agent's answer was empty.")
    return result


def _structured(result: TaskResult, schema: Json) -> TaskResult:
    value = result.structured
    if result.status is not TaskStatus.STRUCTURED:
        fenced = _FENCED.match(result.text.strip())
        try:
            value = json.loads(fenced[1] if fenced else result.text)
        except (ValueError, RecursionError):
            reason = "The agent answered in words where a structured result was asked for."
            return replace(result, status=TaskStatus.FAILED, code="result_not_json", reason=reason)
    try:
        check_value(value, schema)
    except ValueInvalid as error:
        reason = f"The result does not fit its schema: {error}"
        return TaskResult(status=TaskStatus.FAILED, code="result_invalid", reason=reason, structured=value)
    return TaskResult(status=TaskStatus.STRUCTURED, structured=value, text=result.text)
