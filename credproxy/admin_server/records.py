"""Verbs about what was: calls, denials and use, as the audit knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from credproxy.admin_client.link import UsageSum
from credproxy.admin_server.verb import Verb, read_maybe_text, read_text
from credproxy.pipeline.proxy import CredentialProxy
from protocol.codec import to_json
from protocol.ids import AttemptId, TaskId


class RecordsVerbs:
    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy

    def table(self) -> dict[str, Verb]:
        return {"calls": self._calls, "denials": self._denials, "usage": self._usage}

    async def _calls(self, arguments: Mapping[str, Any]) -> object:
        attempt = read_maybe_text(arguments, "attempt_id")
        task = TaskId(read_text(arguments, "task_id"))
        calls = await self._proxy.audit.calls(task, None if attempt is None else AttemptId(attempt))
        return {"calls": [to_json(call) for call in calls]}

    async def _denials(self, arguments: Mapping[str, Any]) -> object:
        denials = await self._proxy.audit.denials(TaskId(read_text(arguments, "task_id")))
        return {"denials": [to_json(denial) for denial in denials]}

    async def _usage(self, arguments: Mapping[str, Any]) -> object:
        task, day = read_maybe_text(arguments, "task_id"), read_maybe_text(arguments, "day")
        sums = await self._proxy.audit.usage(None if task is None else TaskId(task), day)
        return {
            "sums": [to_json(UsageSum(group_id=group_id, model=model, usage=usage)) for group_id, model, usage in sums]
        }
