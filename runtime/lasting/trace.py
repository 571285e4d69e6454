"""Trace: the whole story of one message or task.

Received, queued, started, every tool, what it asked of the world, what it cost, delivered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

from credproxy.admin_client.audit import AuditFilter, AuditRow, read_log
from credproxy.admin_client.link import ProxyAdmin, ProxyError
from protocol.codec import Json
from protocol.ids import GroupId, TaskId
from runtime.operation_views import view_message, view_trace
from runtime.refusal import OperationRefused
from runtime.store import hold_rows
from runtime.store.store import Store

MAX_LISTED = 50
MAX_HELD_CHARS = 500
MAX_ENTRIES = 1_000
MAX_EGRESS = 200
"""Requests of a task that are told one by one."""
EGRESS_KINDS = ("end", "denied", "shadow", "approval")
"""Each request ends as one of these; `begin` rows only say that it began."""


class TraceDesk:
    """Tells it from the store and from the proxy's audit. `rehearsing` are the groups that a script answers for."""

    def __init__(self, store: Store, proxy: ProxyAdmin, rehearsing: Callable[[], Collection[GroupId]]) -> None:
        self._store = store
        self._proxy = proxy
        self._rehearsing = rehearsing

    async def trace(self, reference: str) -> Json:
        """Return all that happened to a message or a task; OperationRefused for one that there is not."""
        found = await self._store.trace(reference)
        if found is None:
            text = f"there is no message or task {reference[:80]!r}"
            raise OperationRefused("unknown_reference", text, "./nightyard trace")
        egress, usage = (None, None) if found.task is None else await self._outside(found.task.task_id)
        return {
            **view_trace(found),
            "egress": egress,
            "usage": usage,
            "held": [] if found.task is None else await self._held(found.task.task_id),
            "rehearsal": list(self._rehearsing()),
        }

    async def recent(self, limit: int) -> Json:
        """Return the newest messages, newest first: what `trace` can be asked for."""
        messages = await self._store.recent_messages(max(1, min(limit, MAX_LISTED)))
        return {
            "messages": [view_message(message) for message in messages],
            "rehearsal": list(self._rehearsing()),
        }

    async def journal(self, limit: int) -> Json:
        """Return the newest entries of the journal, oldest of them first."""
        entries = await self._store.journal_tail(max(1, min(limit, MAX_ENTRIES)))
        return {
            "entries": [
                {"seq": entry.seq, "at": entry.at, "kind": entry.kind, "refs": dict(entry.refs)} for entry in entries
            ]
        }

    async def _held(self, task_id: TaskId) -> list[Json]:
        """Return what a task has said that was held back for a review."""
        held = await self._store.read(hold_rows.held_of, task_id)
        return [
            {
                "chat": each.message.chat,
                "text": each.message.text[:MAX_HELD_CHARS],
                "approval": each.approval_id,
                "state": each.state,
                "at": each.held_at,
            }
            for each in held
        ]

    async def _outside(self, task_id: TaskId) -> tuple[Json, Json]:
        """Return what the proxy knows of a task, (None, None) while it cannot be asked."""
        if not self._proxy.is_connected:
            return None, None
        try:
            chosen = AuditFilter(task=task_id, kinds=EGRESS_KINDS)
            page = await read_log(self._proxy, chosen, after_seq=0, limit=MAX_EGRESS)
            usage = [each.usage for each in await self._proxy.usage(task_id=task_id)]
        except ProxyError:
            return None, None
        costs = [each.cost_usd for each in usage if each.cost_usd is not None]
        return [view_egress(row) for row in page.rows], {
            "model_calls": sum(each.model_calls for each in usage),
            "input_tokens": sum(each.input_tokens for each in usage),
            "output_tokens": sum(each.output_tokens for each in usage),
            "cost_usd": sum(costs) if costs else None,
        }


def view_egress(row: AuditRow) -> Json:
    """Return one request: what became of it, by which rule, with which secret."""
    facts = json.loads(row.detail) if row.kind == "end" and row.detail.startswith("{") else {}
    return {
        "at": row.at,
        "kind": row.kind,
        "target": row.target,
        "status": row.status,
        "code": row.detail if row.kind == "denied" else "",
        "rule": row.rule,
        "secret": row.secret,
        "note": row.note,
        "model": str(facts.get("model") or ""),
        "input_tokens": facts.get("input_tokens"),
        "output_tokens": facts.get("output_tokens"),
    }
