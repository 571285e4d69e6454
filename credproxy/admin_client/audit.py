"""The audit's verbs, as the command line asks them: its rows, and what days sum up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from credproxy.admin_client.link import ProxyAdmin
from protocol.codec import from_json, to_json
from protocol.ids import TaskId
from protocol.proxy_admin import Fetched

LOG_ROWS_AT_ONCE = 500
FIRST_ERROR_STATUS = 400
USE_ROWS_AT_ONCE = 2_000
"""In one answer, which must fit a frame."""
TotalsKey = Literal["day", "group", "host", "secret", "model"]
TOTALS_KEYS: tuple[TotalsKey, ...] = ("day", "group", "host", "secret", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which rows are asked for. Empty: all."""

    group: str = ""
    task: str = ""
    host: str = ""
    """A host, `host:port`, or `.example.org` for all below it."""
    secret: str = ""
    kinds: tuple[str, ...] = ()
    note: str = ""
    """The beginning of a note: `would_deny`."""
    since: str = ""
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row of the audit."""

    seq: int
    at: str
    kind: str
    group: str
    task: str
    call: str
    target: str
    """METHOD and address, without the query, before anything was injected."""
    rule: str
    secret: str
    status: int | None
    detail: str
    """By kind: for `end` sizes and model use in JSON, for `denied` the code."""
    note: str
    request_sha256: str
    response_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficTotal:
    """Requests of one day, group, host or secret."""

    key: str
    requests: int
    denied: int
    failed: int
    request_bytes: int
    response_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTotal:
    """Model use of one day, group or model."""

    key: str
    model_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """Of the calls whose price is known."""
    calls_without_price: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUseRow:
    """What one task has used of one model over one route on one day."""

    task: str
    """Empty: of tasks long over, summed up."""
    group: str
    day: str
    """UTC."""
    model: str
    """As the provider names it; empty: a call that never ended."""
    model_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """Of the calls whose price is known."""
    calls_without_price: int
    route: str = ""
    """Empty: a granted host that says what it has used."""
    last_at: str = ""
    """When the newest of its calls ended: ISO 8601, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    traffic: tuple[TrafficTotal, ...]
    models: tuple[ModelTotal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    rows: tuple[AuditRow, ...]
    next_seq: int
    """What to ask after for what comes later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTaint:
    """A host whose answers, that may hold anybody's words, a task was given."""

    source: str
    """`web`, or `grant`."""
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTaints:
    taints: tuple[TaskTaint, ...]


async def read_taints(admin: ProxyAdmin, task_id: TaskId) -> tuple[tuple[str, str], ...]:
    """Return (source, host) of what a task read of others' words, as the audit knows it."""
    found = from_json(TaskTaints, await admin.ask("taints", {"task_id": task_id})).taints
    return tuple((each.source, each.host) for each in found)


async def read_log(admin: ProxyAdmin, chosen: AuditFilter, *, after_seq: int | None = None, limit: int = 50) -> LogPage:
    """Return rows in order: the first after `after_seq`, or the newest; at most 500 at once."""
    arguments: dict[str, object] = {"filter": to_json(chosen), "after_seq": after_seq, "limit": limit}
    return from_json(LogPage, await admin.ask("audit_log", arguments))


async def read_fetched(admin: ProxyAdmin, task_id: TaskId) -> tuple[Fetched, ...]:
    """Return what a task has fetched, the newest last, without what was refused or failed. Raises ProxyError."""
    begun: dict[str, str] = {}
    fetched: list[Fetched] = []
    chosen, after = AuditFilter(task=task_id, kinds=("begin", "end")), 0
    while True:
        page = await read_log(admin, chosen, after_seq=after, limit=LOG_ROWS_AT_ONCE)
        for row in page.rows:
            if row.kind == "begin":
                begun[row.call] = row.target
            elif row.response_sha256 and row.status is not None and row.status < FIRST_ERROR_STATUS:
                target = begun.get(row.call, "")
                fetched.append(Fetched(target=target, at=row.at, sha256=row.response_sha256))
        if len(page.rows) < LOG_ROWS_AT_ONCE:
            return tuple(fetched)
        after = page.rows[-1].seq


async def read_totals(admin: ProxyAdmin, *, since: str, until: str, by: TotalsKey, group: str = "") -> Totals:
    """Return the sums over UTC days (`2026-11-21`, both included), the most first."""
    arguments: Mapping[str, object] = {"since": since, "until": until, "by": by, "group": group}
    return from_json(Totals, await admin.ask("audit_totals", arguments))


async def read_model_use(admin: ProxyAdmin, *, task: str | None = None, since: str = "") -> tuple[ModelUseRow, ...]:
    """Return model use by task, day and model: of one task, or of all since a UTC day."""
    rows: list[ModelUseRow] = []
    while len(rows) % USE_ROWS_AT_ONCE == 0:
        after = to_json(rows[-1]) if rows else None
        answer = await admin.ask("model_use", {"task_id": task, "since": since or None, "after": after})
        page = from_json(_ModelUse, answer).rows
        rows.extend(page)
        if not page:
            break
    return tuple(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModelUse:
    rows: tuple[ModelUseRow, ...]
