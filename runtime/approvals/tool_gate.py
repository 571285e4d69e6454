"""The host's own look at the calls that an agent announces: none that a constraint names ends well without a yes.

An agent that keeps to its program asks first (`agents/constraints.py`). One that does not has been tampered with: its
attempt ends, and its task with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.ids import TaskId
from protocol.tool_rules import ToolRule, find_rule
from protocol.transcript import Step
from runtime.approvals.tools import APPROVED
from runtime.store import question_rows
from runtime.store.store import Store


class ToolGate:
    """Watches the steps of one attempt, by the rules that it was given."""

    def __init__(self, store: Store, task_id: TaskId, rules: Sequence[ToolRule]) -> None:
        self._store = store
        self._task_id = task_id
        self._rules = tuple(rules)
        self._ruled: dict[str, ToolRule] = {}

    async def violation(self, step: Step) -> str:
        """Return what an announced step has broken, empty for nothing."""
        if not self._rules:
            return ""
        if step.kind == "tool_started" and step.call is not None:
            rule = find_rule(self._rules, step.call.name, step.call.arguments)
            if rule is not None:
                self._ruled[step.call.call_id] = rule
        elif step.kind == "tool_finished" and step.output is not None and not step.output.is_error:
            rule = self._ruled.get(step.output.call_id)
            if rule is not None and not await self._was_approved(rule, step.output.call_id):
                return f"a call was made without the yes that {rule.rule_id} wants"
        return ""

    async def _was_approved(self, rule: ToolRule, call_id: str) -> bool:
        if rule.then == "deny":
            return False
        question = await self._store.read(question_rows.question, self._task_id, call_id)
        answer = question.answer if question is not None else None
        return answer is not None and not answer.is_error and answer.answer.startswith(APPROVED)
