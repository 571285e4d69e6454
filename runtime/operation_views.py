"""What operations answer, made of what the store, the containers and the proxy said. Pure.

The keys are described in docs/control.md; whoever shows them (cli/, commands.py) decides how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from credproxy.admin_client.answers import UsageSum
from protocol.codec import Json
from protocol.ids import GroupId
from runtime.config import LimitSettings
from runtime.containers import ContainerStatistics
from runtime.group import Group, Groups
from runtime.images.recipe import recipe_of
from runtime.store.records import AttemptRow, Binding, OutboxRow, StoredMessage, StoreStatus, TaskRow, Trace
from runtime.yaml_record import ConfigProblem

MAX_SHOWN_TEXT = 500


def view_problems(problems: Iterable[ConfigProblem | str]) -> list[Json]:
    return [str(problem) for problem in problems]


def view_agents(statistics: ContainerStatistics, max_running: int) -> Json:
    return {
        "working": statistics.working,
        "waiting": statistics.spares,
        "starting": statistics.starting,
        "removing": statistics.removing,
        "max_running": max_running,
        "engine": statistics.engine,
    }


def view_queue(status: StoreStatus) -> Json:
    return {"waiting": status.queued, "in_work": status.claimed, "oldest_at": status.oldest_queued_at}


def view_delivery(status: StoreStatus) -> Json:
    return {"waiting": status.outbox_waiting, "given_up": status.outbox_dead, "unreadable": status.dead_letters}


def view_today(day: str, calls: Mapping[GroupId, int], sums: Iterable[UsageSum] | None) -> Json:
    """Return a day's use; tokens and cost are None while the proxy cannot be asked."""
    known = list(sums) if sums is not None else None
    return {
        "day": day,
        "model_calls": sum(calls.values()),
        "by_group": {str(group): count for group, count in calls.items()},
        "input_tokens": None if known is None else sum(item.usage.input_tokens for item in known),
        "output_tokens": None if known is None else sum(item.usage.output_tokens for item in known),
        "cost_usd": None if known is None else _cost_usd(known),
    }


def _cost_usd(sums: list[UsageSum]) -> float | None:
    """Return what is known to have been spent; None where no model's price is known."""
    costs = [item.usage.cost_usd for item in sums if item.usage.cost_usd is not None]
    return round(sum(costs), 6) if costs else None


def view_group_line(group: Group, held_back: Sequence[str] = ()) -> dict[str, Json]:
    return {
        "group": group.group_id,
        "state": "ready",
        "model": f"{group.model.route}/{group.model.model}",
        "description": group.description,
        "paused": list(held_back),
    }


def view_suspended_line(group_id: GroupId, problems: tuple[ConfigProblem, ...]) -> dict[str, Json]:
    return {"group": group_id, "state": "suspended", "problems": view_problems(problems)}


def view_groups(groups: Groups, held_back: Callable[[GroupId], Sequence[str]] = lambda _: ()) -> list[Json]:
    ready = [view_group_line(group, held_back(group.group_id)) for group in groups.ready.values()]
    return [*ready, *(view_suspended_line(group_id, problems) for group_id, problems in groups.suspended.items())]


def view_group(
    group: Group, chats: tuple[Binding, ...], calls_today: int, held_back: Sequence[str] = ()
) -> dict[str, Json]:
    return {
        **view_group_line(group, held_back),
        "skills": list(group.skills),
        "image": recipe_of(group, "").summary,
        "mcp": [server.name for server in group.mcp],
        "spaces": {space.name: space.access for space in group.spaces},
        "parallel": group.parallel,
        "limits": _view_limits(group.limits),
        "instructions_chars": len(group.instructions),
        "chats": [view_chat(binding) for binding in chats],
        "calls_today": calls_today,
    }


def _view_limits(limits: LimitSettings) -> Json:
    return {
        "model_calls": limits.model_calls,
        "input_tokens": limits.input_tokens,
        "output_tokens": limits.output_tokens,
        "cost_usd": limits.cost_usd,
        "rounds": limits.rounds,
        "wall_s": limits.wall_s,
        "calls_per_day": limits.calls_per_day,
    }


def view_chat(binding: Binding) -> Json:
    return {"chat": binding.chat, "kind": binding.chat_kind, "when": binding.when, "session": binding.session}


def view_trace(trace: Trace) -> dict[str, Json]:
    return {
        "messages": [view_message(message) for message in trace.messages],
        "task": None if trace.task is None else _view_task(trace.task),
        "attempts": [_view_attempt(attempt) for attempt in trace.attempts],
        "steps": [
            {"index": step.index, "kind": step.kind, "at": step.stored_at, "label": step.label} for step in trace.steps
        ],
        "outbox": [_view_outbox(row) for row in trace.outbox],
        "journal": [
            {"seq": entry.seq, "at": entry.at, "kind": entry.kind, "refs": dict(entry.refs)} for entry in trace.journal
        ],
    }


def view_message(message: StoredMessage) -> Json:
    inbound = message.inbound
    return {
        "message": message.message_id,
        "platform_id": inbound.platform_message_id,
        "chat": inbound.chat,
        "sender": inbound.sender_name,
        "text": _cut(inbound.text),
        "files": [file.name for file in inbound.attachments],
        "at": message.received_at,
        "state": message.state.value,
        "reason": message.end_reason,
        "task": message.task_id,
    }


def _view_task(task: TaskRow) -> Json:
    result = task.result
    return {
        "task": task.task_id,
        "group": task.group_id,
        "chat": task.chat,
        "submitter": task.submitter,
        "state": task.state,
        "began_at": task.created_at,
        "ended_at": task.ended_at,
        "text": "" if result is None else _cut(result.text),
        "reason": "" if result is None else result.reason,
        "code": "" if result is None else result.code,
    }


def view_running(task: TaskRow) -> Json:
    return {"task": task.task_id, "group": task.group_id, "chat": task.chat, "began_at": task.created_at}


def _view_attempt(attempt: AttemptRow) -> Json:
    return {
        "attempt": attempt.attempt_id,
        "number": attempt.number,
        "state": attempt.state,
        "container": attempt.container_name or attempt.container_id[:12],
        "began_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "reason": attempt.end_reason,
    }


def _view_outbox(row: OutboxRow) -> Json:
    return {
        "key": row.idempotency_key,
        "chat": row.message.chat,
        "state": row.state,
        "attempts": row.attempts,
        "text": _cut(row.message.text),
        "file": row.message.file_name,
        "maybe_twice": row.maybe_sent,
        "reason": row.reason,
        "at": row.created_at,
        "ended_at": row.ended_at,
    }


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_TEXT else f"{text[:MAX_SHOWN_TEXT]} … ({len(text)} characters)"
