"""Verbs about what was: calls and use, the log and its sums, as the audit knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from credproxy.admin_client.answers import UsageSum
from credproxy.admin_client.audit import TOTALS_KEYS, AuditFilter, LogPage, ModelUseRow, TaskTaint, TaskTaints
from credproxy.admin_server.verb import Verb, read_maybe_text, read_text
from credproxy.audit.records import MAX_LOG_ROWS, TotalsQuery
from credproxy.audit.upkeep import sum_up
from credproxy.pipeline.proxy import CredentialProxy
from protocol.codec import ShapeError, from_json, to_json
from protocol.ids import AttemptId, TaskId


class RecordsVerbs:
    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy

    def table(self) -> dict[str, Verb]:
        return {
            "calls": self._calls,
            "taints": self._taints,
            "usage": self._usage,
            "model_use": self._model_use,
            "audit_log": self._audit_log,
            "audit_totals": self._audit_totals,
        }

    async def _calls(self, arguments: Mapping[str, Any]) -> object:
        attempt = read_maybe_text(arguments, "attempt_id")
        task = TaskId(read_text(arguments, "task_id"))
        calls = await self._proxy.audit.calls(task, None if attempt is None else AttemptId(attempt))
        return {"calls": [to_json(call) for call in calls]}

    async def _taints(self, arguments: Mapping[str, Any]) -> object:
        found = await self._proxy.audit.taints(TaskId(read_text(arguments, "task_id")))
        return to_json(TaskTaints(taints=tuple(TaskTaint(source=source, host=host) for source, host in found)))

    async def _usage(self, arguments: Mapping[str, Any]) -> object:
        task, day = read_maybe_text(arguments, "task_id"), read_maybe_text(arguments, "day")
        sums = await self._proxy.audit.usage(None if task is None else TaskId(task), day)
        return {
            "sums": [to_json(UsageSum(group_id=group_id, model=model, usage=usage)) for group_id, model, usage in sums]
        }

    async def _model_use(self, arguments: Mapping[str, Any]) -> object:
        task, since = read_maybe_text(arguments, "task_id"), read_maybe_text(arguments, "since") or ""
        after = None if arguments.get("after") is None else from_json(ModelUseRow, arguments["after"], "after")
        rows = await self._proxy.audit.use_rows(None if task is None else TaskId(task), since, after)
        return {"rows": [to_json(row) for row in rows]}

    async def _audit_log(self, arguments: Mapping[str, Any]) -> object:
        after_seq, limit = arguments.get("after_seq"), arguments.get("limit", MAX_LOG_ROWS)
        if after_seq is not None and (type(after_seq) is not int or after_seq < 0):
            raise ShapeError("after_seq", "expected a row's number")
        if type(limit) is not int or limit < 1:
            raise ShapeError("limit", "expected how many rows")
        chosen = from_json(AuditFilter, arguments.get("filter", {}), "filter")
        seen = self._proxy.audit.last_seq
        rows = await self._proxy.audit.rows(chosen, after_seq=after_seq, limit=limit)
        newest = rows[-1].seq if rows else 0
        is_all = after_seq is None or len(rows) < min(limit, MAX_LOG_ROWS)
        return to_json(LogPage(rows=tuple(rows), next_seq=max(newest, seen) if is_all else newest))

    async def _audit_totals(self, arguments: Mapping[str, Any]) -> object:
        by = read_text(arguments, "by")
        if by not in TOTALS_KEYS:
            raise ShapeError("by", f"expected one of {', '.join(TOTALS_KEYS)}")
        query = TotalsQuery(
            since=read_text(arguments, "since"),
            until=read_text(arguments, "until"),
            by=by,
            group_id=str(arguments.get("group") or ""),
        )
        await sum_up(self._proxy.audit)
        return to_json(await self._proxy.audit.totals(query))
