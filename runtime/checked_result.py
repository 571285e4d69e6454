"""An agent's last word, as a task may end. Pure.

A structured result is checked against its schema here, by the host. What does not fit is kept and told with its code;
nobody asks the model again: that is the submitter's to decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from protocol.codec import Json, check_json
from protocol.proxy_admin import Fetched
from protocol.record import replace
from protocol.task import TaskResult, TaskStatus
from runtime.json_schema import ValueInvalid, check_value
from runtime.judgement import JudgementInvalid, parse_judgement, with_sources

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
    given = result.structured
    if result.status is not TaskStatus.STRUCTURED:
        fenced = _FENCED.match(result.text.strip())
        try:
            given = check_json(json.loads(fenced[1] if fenced else result.text), "result")
        except (ValueError, RecursionError):  # also half a character, and what is no number
            reason = "The agent answered in words where a structured result was asked for."
            return replace(result, status=TaskStatus.FAILED, code="result_not_json", reason=reason)
    try:
        judgement = parse_judgement(given)
        found = given["found"] if isinstance(given, dict) and not judgement.abstained else None
        if not judgement.abstained:
            check_value(found, schema)
    except JudgementInvalid as error:
        return refused_result(given, "judgement_invalid", f"The result does not say what it must: {error}")
    except ValueInvalid as error:
        return refused_result(given, "result_invalid", f"The result does not fit its schema: {error}")
    return TaskResult(status=TaskStatus.STRUCTURED, structured=found, judgement=judgement, text=result.text)


def refused_result(given: Json, code: str, reason: str) -> TaskResult:
    """Return the end of a task whose result cannot stand; what the agent gave is kept in it."""
    return TaskResult(status=TaskStatus.FAILED, code=code, reason=reason, structured=given)


def sourced_result(result: TaskResult, fetched: Sequence[Fetched]) -> TaskResult:
    """Return the result with what the proxy's record says of its sources."""
    if result.judgement is None:
        return result
    try:
        return replace(result, judgement=with_sources(result.judgement, fetched))
    except JudgementInvalid as error:
        reason = f"The result does not rest on what was read: {error}"
        return replace(result, status=TaskStatus.FAILED, code="source_not_fetched", reason=reason)
