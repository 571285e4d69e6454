"""Trace: the whole story of one message or task.

Received, queued, started, every tool, what it asked of the world, what it cost, delivered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

from credproxy.admin_client.audit import AuditFilter, AuditRow, LogPage, read_log
from credproxy.admin_client.link import ProxyAdmin, ProxyError
from protocol.codec import Json
from protocol.ids import GroupId, TaskId
from runtime.operation_views import view_message, view_trace
from runtime.refusal import OperationRefused
from runtime.store import hold_rows, story_rows
from runtime.store.records import MessageState, Trace
from runtime.store.store import Store
from runtime.store.story_rows import TaskStory, Waits

MAX_LISTED = 50
MAX_HELD_CHARS = 500
MAX_ENTRIES = 1_000
MAX_EGRESS = 200
"""Requests of a task that are told one by one; how many more there were is counted, up to MAX_COUNTED."""
MAX_COUNTED = 5_000
COUNTED_AT_ONCE = 500
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
        egress, more, usage = (None, 0, None) if found.task is None else await self._outside(found.task.task_id)
        return {
            **view_trace(found),
            **await self._story(found),
            "egress": egress,
            "egress_more": more,
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
                {"seq": each.seq, "at": each.at, "kind": each.kind, "refs": dict(each.refs), "by": each.by}
                for each in entries
            ]
        }

    async def _story(self, found: Trace) -> dict[str, Json]:
        """Return what people had to do with it, and what it waits for."""
        if found.task is not None:
            story = await self._store.read(story_rows.task_story, found.task)
            return {**view_story(story), "waits": None}
        (message,) = found.messages
        is_queued = message.state is MessageState.QUEUED
        waits = await self._store.read(story_rows.waits, message) if is_queued else None
        return {**view_story(None), "waits": None if waits is None else view_waits(waits)}

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

    async def _outside(self, task_id: TaskId) -> tuple[Json, int, Json]:
        """Return what the proxy knows of a task: requests, how many more there were, and what models used. (None, 0,
        None) while it cannot be asked."""
        if not self._proxy.is_connected:
            return None, 0, None
        try:
            chosen = AuditFilter(task=task_id, kinds=EGRESS_KINDS)
            page = await read_log(self._proxy, chosen, after_seq=0, limit=MAX_EGRESS)
            more = await self._count(chosen, page) if len(page.rows) == MAX_EGRESS else 0
            usage = [each.usage for each in await self._proxy.usage(task_id=task_id)]
        except ProxyError:
            return None, 0, None
        costs = [each.cost_usd for each in usage if each.cost_usd is not None]
        return (
            [view_egress(row) for row in page.rows],
            more,
            {
                "model_calls": sum(each.model_calls for each in usage),
                "input_tokens": sum(each.input_tokens for each in usage),
                "output_tokens": sum(each.output_tokens for each in usage),
                "cost_usd": sum(costs) if costs else None,
            },
        )

    async def _count(self, chosen: AuditFilter, page: LogPage) -> int:
        """Return how many rows come after a page."""
        more = 0
        while more < MAX_COUNTED:
            page = await read_log(self._proxy, chosen, after_seq=page.rows[-1].seq, limit=COUNTED_AT_ONCE)
            more += len(page.rows)
            if len(page.rows) < COUNTED_AT_ONCE:
                break
        return more


def view_story(story: TaskStory | None) -> dict[str, Json]:
    """Return who was asked what, and how that ended. None: there is no task."""
    if story is None:
        return {"submitted_at": "", "approvals": [], "questions": []}
    return {
        "submitted_at": story.submitted_at,
        "approvals": [
            {
                "approval": each.approval_id,
                "kind": each.kind,
                "summary": each.summary,
                "state": each.state,
                "reason": each.reason,
                "asked_at": each.asked_at,
                "deadline_at": each.deadline_at,
                "ended_at": each.ended_at,
                "votes": [{"by": vote.by, "is_yes": vote.is_yes, "at": vote.at} for vote in each.votes],
            }
            for each in story.asked
        ],
        "questions": [
            {
                "kind": each.ask.kind,
                "text": each.ask.text[:MAX_HELD_CHARS],
                "state": each.state,
                "asked_at": each.asked_at,
                "answered_at": each.answered_at,
                "answer": each.answer.answer[:MAX_HELD_CHARS] if each.answer else "",
            }
            for each in story.questions
        ],
    }


def view_waits(waits: Waits) -> Json:
    return {
        "before": waits.before,
        "at_work": list(waits.at_work),
        "pauses": list(waits.pauses),
        "is_frozen": waits.is_frozen,
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
