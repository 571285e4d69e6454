"""What is asked of the audit: use, calls, the log, the sums of days. Reads that may be long, for its thread.

Nothing here writes; `file.py` does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from credproxy.admin_client.audit import (
    USE_ROWS_AT_ONCE,
    AuditFilter,
    AuditRow,
    ModelTotal,
    ModelUseRow,
    TotalsKey,
    TrafficTotal,
)
from credproxy.audit.entry import DaySum
from credproxy.audit.notes import key_in, taint_in
from protocol.ids import AttemptId, CallId, GroupId, TaskId
from protocol.proxy_admin import ProxyCall
from protocol.task import Usage

T = TypeVar("T")

MAX_LOG_ROWS = 500
MAX_TOTALS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalsQuery:
    """Which days are summed up, and by what."""

    since: str
    """UTC days, both included: `2026-11-21`."""
    until: str
    by: TotalsKey = "group"
    group_id: str = ""
    """Empty: all."""


_TRAFFIC_KEYS = {"day": "day", "group": "group_id", "host": "host", "secret": "secret", "model": "group_id"}
_MODEL_KEYS = {"day": "day", "group": "group_id", "model": "model"}
_LOG_COLUMNS = (
    "seq, at, kind, group_id, task_id, call_id, target, rule, secret, status, detail, note,"
    " request_sha256, response_sha256"
)
# The host of `METHOD scheme://host[:port]/path`, without the scheme's own port.
_REST = "substr(target, instr(target, '://') + 3)"
_HOST_PORT = f"CASE instr(target, '://') WHEN 0 THEN '' ELSE substr({_REST}, 1, instr({_REST} || '/', '/') - 1) END"
_USUAL_PORT = "CASE WHEN instr(target, ' http://') THEN ':80 ' ELSE ':443 ' END"
_HOST = f"rtrim(replace({_HOST_PORT} || ' ', {_USUAL_PORT}, ''))"

_DAY_SUMS = f"""
SELECT substr(at, 1, 10), group_id, host, secret,
    sum(kind = 'begin'), sum(kind = 'denied'), sum(kind = 'end' AND (status IS NULL OR status >= 400)),
    sum(coalesce(json_extract(facts, '$.request_bytes'), 0)), sum(coalesce(json_extract(facts, '$.response_bytes'), 0))
FROM (
    SELECT at, kind, group_id, secret, status, {_HOST} AS host,
        CASE WHEN kind = 'end' AND json_valid(detail) THEN detail ELSE '{{}}' END AS facts
    FROM entries WHERE seq > :after AND seq <= :up_to AND kind IN ('begin', 'end', 'denied')
)
GROUP BY 1, 2, 3, 4
"""


def read_apart(path: Path, run: Callable[[sqlite3.Connection], T]) -> T:
    """Return what is asked of the file, on a connection of its own. Raises sqlite3.Error."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        return run(connection)
    finally:
        connection.close()


def read_usage(
    connection: sqlite3.Connection, task_id: TaskId | None, day: str | None
) -> list[tuple[GroupId, str, Usage]]:
    """Return (group, model, use) over one task, one UTC day, or all."""
    rows = connection.execute(
        "SELECT group_id, model, sum(model_calls), sum(input_tokens), sum(output_tokens), sum(cost_usd),"
        " sum(calls_without_price) FROM model_use"
        " WHERE (:task_id IS NULL OR task_id = :task_id) AND (:day IS NULL OR day = :day)"
        " GROUP BY group_id, model ORDER BY group_id, model",
        {"task_id": task_id, "day": day},
    )
    return [(GroupId(row[0]), row[1], _usage_of(row[2:])) for row in rows]


def read_use_rows(
    connection: sqlite3.Connection, task_id: TaskId | None, since_day: str, after: ModelUseRow | None
) -> list[ModelUseRow]:
    """Return model use by task, day, model and route, a page of it: of one task, or of all since a UTC day."""
    last = ("",) * 5 if after is None else (after.day, after.task, after.group, after.model, after.route)
    # The day twice, so that the index on it is used; a task's rows are few.
    rows = connection.execute(
        "SELECT task_id, group_id, day, model, route, model_calls, input_tokens, output_tokens, cost_usd,"
        " calls_without_price, last_at FROM model_use"
        f" WHERE {'task_id = ?' if task_id is not None else '? IS NULL'} AND day >= ? AND day >= ?"
        " AND (day, task_id, group_id, model, route) > (?, ?, ?, ?, ?)"
        " ORDER BY day, task_id, group_id, model, route LIMIT ?",
        (task_id, since_day, last[0], *last, USE_ROWS_AT_ONCE),
    )
    return [
        ModelUseRow(
            task=row[0],
            group=row[1],
            day=row[2],
            model=row[3],
            route=row[4],
            model_calls=row[5],
            input_tokens=row[6],
            output_tokens=row[7],
            cost_usd=row[8],
            calls_without_price=row[9],
            last_at=row[10],
        )
        for row in rows
    ]


def read_calls(connection: sqlite3.Connection, task_id: TaskId, attempt_id: AttemptId | None) -> list[ProxyCall]:
    """Return the calls outside model routes that may have changed the world, in order."""
    rows = connection.execute(
        "SELECT began.call_id, began.target, began.at, ended.status FROM entries AS began"
        " LEFT JOIN entries AS ended"
        " ON ended.call_id = began.call_id AND ended.kind = 'end' AND ended.is_unsafe = 1"
        " WHERE began.task_id = :task_id AND began.is_unsafe = 1 AND began.kind = 'begin'"
        " AND (:attempt_id IS NULL OR began.attempt_id = :attempt_id) ORDER BY began.seq",
        {"task_id": task_id, "attempt_id": attempt_id},
    )
    return [ProxyCall(call_id=CallId(row[0]), target=row[1], began_at=row[2], status=row[3]) for row in rows]


def read_taints(connection: sqlite3.Connection, task_id: TaskId) -> list[tuple[str, str]]:
    """Return (source, host) of what a task read that may hold anybody's words."""
    rows = connection.execute(
        f"SELECT DISTINCT note, {_HOST} FROM entries WHERE task_id = ? AND note <> '' AND kind = 'begin'", (task_id,)
    )
    return sorted({(source, host) for note, host in rows if (source := taint_in(note))})


def read_keys(connection: sqlite3.Connection, task_id: TaskId) -> list[tuple[AttemptId, str, str, str]]:
    """Return (attempt, when, key, the agent's own key's mark) of the calls of a task that carried an idempotency key,
    in order."""
    rows = connection.execute(
        "SELECT attempt_id, at, note FROM entries WHERE task_id = ? AND is_unsafe = 1 AND kind = 'begin' ORDER BY seq",
        (task_id,),
    )
    found = ((AttemptId(row[0]), row[1], *key_in(row[2])) for row in rows)
    return [each for each in found if each[2]]


def read_log(
    connection: sqlite3.Connection, chosen: AuditFilter, *, after_seq: int | None, limit: int
) -> list[AuditRow]:
    """Return rows in order: the first ones after `after_seq`, or the newest."""
    rows = connection.execute(
        f"SELECT {_LOG_COLUMNS} FROM entries WHERE seq > :after AND at >= :since"
        " AND (:group_id = '' OR group_id = :group_id) AND (:task_id = '' OR task_id = :task_id)"
        " AND (:secret = '' OR secret = :secret) AND substr(note, 1, length(:note)) = :note"
        f" AND (:host = '' OR {_HOST} = :host OR substr(:host, 1, 1) = '.' AND substr({_HOST}, -length(:host)) = :host)"
        " AND (:kinds = '' OR instr(:kinds, ' ' || kind || ' '))"
        f" ORDER BY seq {'DESC' if after_seq is None else 'ASC'} LIMIT :limit",
        {
            "after": after_seq or 0,
            "since": chosen.since,
            "group_id": chosen.group,
            "task_id": chosen.task,
            "secret": chosen.secret,
            "note": chosen.note,
            "host": chosen.host,
            "kinds": f" {' '.join(chosen.kinds)} " if chosen.kinds else "",
            "limit": min(limit, MAX_LOG_ROWS),
        },
    ).fetchall()
    if after_seq is None:
        rows.reverse()
    return [_log_row(row) for row in rows]


def read_day_sums(connection: sqlite3.Connection, after: int, up_to: int) -> list[DaySum]:
    """Return the sums of the rows between."""
    rows = connection.execute(_DAY_SUMS, {"after": after, "up_to": up_to})
    return [_day_sum(row) for row in rows]


def read_traffic(connection: sqlite3.Connection, query: TotalsQuery) -> list[TrafficTotal]:
    """Return sums of requests over UTC days, the most first."""
    rows = connection.execute(
        f"SELECT {_TRAFFIC_KEYS[query.by]}, sum(requests), sum(denied), sum(failed), sum(request_bytes),"
        " sum(response_bytes) FROM daily WHERE day >= :since AND day <= :until"
        " AND (:group_id = '' OR group_id = :group_id) GROUP BY 1"
        f" ORDER BY {'1' if query.by == 'day' else '2 DESC, 3 DESC, 1'} LIMIT :limit",
        {"since": query.since, "until": query.until, "group_id": query.group_id, "limit": MAX_TOTALS},
    )
    return [
        TrafficTotal(
            key=row[0], requests=row[1], denied=row[2], failed=row[3], request_bytes=row[4], response_bytes=row[5]
        )
        for row in rows
    ]


def read_models(connection: sqlite3.Connection, query: TotalsQuery) -> list[ModelTotal]:
    """Return sums of model use over UTC days; nothing by host or secret, where it is not known."""
    key = _MODEL_KEYS.get(query.by)
    if key is None:
        return []
    rows = connection.execute(
        f"SELECT {key}, sum(model_calls), sum(input_tokens), sum(output_tokens), sum(cost_usd),"
        " sum(calls_without_price) FROM model_use WHERE day >= :since AND day <= :until"
        " AND (:group_id = '' OR group_id = :group_id) GROUP BY 1"
        f" ORDER BY {'1' if query.by == 'day' else '5 DESC, 2 DESC, 1'} LIMIT :limit",
        {"since": query.since, "until": query.until, "group_id": query.group_id, "limit": MAX_TOTALS},
    )
    return [
        ModelTotal(
            key=row[0],
            model_calls=row[1],
            input_tokens=row[2],
            output_tokens=row[3],
            cost_usd=row[4],
            calls_without_price=row[5],
        )
        for row in rows
    ]


def _log_row(row: Sequence[Any]) -> AuditRow:
    return AuditRow(
        seq=row[0],
        at=row[1],
        kind=row[2],
        group=row[3],
        task=row[4],
        call=row[5],
        target=row[6],
        rule=row[7],
        secret=row[8],
        status=row[9],
        detail=row[10],
        note=row[11],
        request_sha256=row[12],
        response_sha256=row[13],
    )


def _day_sum(row: Sequence[Any]) -> DaySum:
    return DaySum(
        day=row[0],
        group_id=row[1],
        host=row[2],
        secret=row[3],
        requests=row[4],
        denied=row[5],
        failed=row[6],
        request_bytes=row[7],
        response_bytes=row[8],
    )


def _usage_of(sums: Sequence[Any]) -> Usage:
    calls, input_tokens, output_tokens, cost_usd, calls_without_price = sums
    return Usage(
        model_calls=calls,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost_usd if calls_without_price == 0 else None,
    )
