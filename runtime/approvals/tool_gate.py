"""The host's own look at the calls that an agent announces: none that a constraint names ends well without a yes to
exactly it, and none of a tool that the agent does not have.

An agent that keeps to its program asks first (`agents/constraints.py`). One that does not has been tampered with: its
attempt ends, and its task with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from protocol.ids import TaskId
from protocol.link import approval_id
from protocol.tool_rules import ToolRule, find_rule
from protocol.tools import is_without
from protocol.transcript import Step, ToolCall
from runtime.store import question_rows
from runtime.store.store import Store


class ToolGate:
    """Watches the steps of one attempt, by the rules that it was given."""

    def __init__(
        self,
        store: Store,
        task_id: TaskId,
        rules: Sequence[ToolRule],
        *,
        without: Collection[str] = (),
        steps: Sequence[Step] = (),
    ) -> None:
        """`without`: tools that it does not have. `steps`: of earlier attempts; what they left open is watched too."""
        self._store = store
        self._task_id = task_id
        self._rules = tuple(rules)
        self._without = frozenset(without)
        self._watched: dict[str, ToolCall] = {}
        for step in steps:
            self._watch(step)

    async def violation(self, step: Step) -> str:
        """Return what an announced step has broken, empty for nothing."""
        if not self._rules and not self._without:
            return ""
        self._watch(step)
        if step.kind != "tool_finished" or step.output is None or step.output.is_error:
            return ""
        call = self._watched.get(step.output.call_id)
        if call is None:
            return ""
        if is_without(call.name, self._without):
            return f"a tool was used that the agent does not have, {call.name[:40]}"
        rule = find_rule(self._rules, call.name, call.arguments)
        if rule is not None and not await self._was_approved(rule, call):
            return f"a call was made without the yes that {rule.rule_id} wants"
        return ""

    def _watch(self, step: Step) -> None:
        call = step.call if step.kind == "tool_started" else None
        if call is not None and (
            is_without(call.name, self._without) or find_rule(self._rules, call.name, call.arguments)
        ):
            self._watched[call.call_id] = call

    async def _was_approved(self, rule: ToolRule, call: ToolCall) -> bool:
        """Return whether exactly this call was asked about, and may be made."""
        if rule.then == "deny":
            return False
        asked = await self._store.read(question_rows.question, self._task_id, approval_id(call.call_id))
        return asked is not None and question_rows.is_yes_to(asked, call)
