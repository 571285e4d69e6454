"""What the audit's file is told in SQL. Pure. Who says it, and when, is `file.py`'s."""

from __future__ import annotations

from credproxy.audit.chain import COLUMNS

ROW = f"({', '.join('?' * (len(COLUMNS) + 1))})"
INSERT = f"INSERT INTO entries ({', '.join(COLUMNS)}, hash) VALUES {ROW}"
INSERT_TWO = f"{INSERT}, {ROW}"
ADD_USE = """
INSERT INTO model_use VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
ON CONFLICT DO UPDATE SET
    model_calls = model_calls + excluded.model_calls,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cost_usd = cost_usd + excluded.cost_usd,
    calls_without_price = calls_without_price + excluded.calls_without_price,
    last_at = excluded.last_at
"""
ADD_PURSE_USE = """
INSERT INTO purse_use VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    model_calls = model_calls + excluded.model_calls,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cost_usd = cost_usd + excluded.cost_usd
"""
# A call that began and never ended, because the process was killed, still counts as a call.
LOST_CALLS = """
SELECT began.task_id, began.group_id, substr(began.at, 1, 10), began.detail, began.rule, count(*)
    FROM entries AS began
    LEFT JOIN entries AS ended ON ended.call_id = began.call_id AND ended.kind = 'end' AND ended.seq > :started
    WHERE began.seq > :started AND began.kind = 'begin' AND ended.seq IS NULL
    GROUP BY 1, 2, 3, 4, 5
"""
ADD_DAY = """
INSERT INTO daily VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    requests = requests + excluded.requests,
    denied = denied + excluded.denied,
    failed = failed + excluded.failed,
    request_bytes = request_bytes + excluded.request_bytes,
    response_bytes = response_bytes + excluded.response_bytes
"""
FOLD_USE = """
INSERT INTO model_use
    SELECT '', group_id, day, model, route, sum(model_calls), sum(input_tokens), sum(output_tokens), sum(cost_usd),
        sum(calls_without_price), max(last_at) FROM model_use WHERE day = ? AND task_id != ''
        GROUP BY group_id, day, model, route
ON CONFLICT DO UPDATE SET
    model_calls = model_calls + excluded.model_calls,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cost_usd = cost_usd + excluded.cost_usd,
    calls_without_price = calls_without_price + excluded.calls_without_price
"""
