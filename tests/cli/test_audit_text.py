"""Rows and sums of the audit as a person reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.audit_text import build_row, build_totals
from credproxy.admin_client.audit import AuditRow, ModelTotal, Totals, TrafficTotal

ROW = AuditRow(
    seq=7,
    at="2026-11-21T12:34:56.789+00:00",
    kind="end",
    group="main",
    task="task_1",
    call="call_1",
    target="POST https://api.example/v1/messages",
    rule="route:claude",
    secret="claude",
    status=200,
    detail='{"request_bytes":1200,"response_bytes":5000000,"model":"m","input_tokens":10,"output_tokens":5}',
    note="",
    request_sha256="",
    response_sha256="",
)


@pytest.mark.parametrize(
    ("row", "what", "rest", "mood"),
    [
        (
            ROW,
            "200",
            "main  POST https://api.example/v1/messages  1.2 KB out, 5.0 MB in  m: 10 + 5 tokens  by route:claude"
            "  key claude",
            "",
        ),
        (
            replace(ROW, status=None, detail='{"request_bytes":0,"response_bytes":0,"broken":"cut"}', note="reserve 1"),
            "no answer, broken",
            "main  POST https://api.example/v1/messages  0 bytes out, 0 bytes in  (cut)  by route:claude  key claude"
            "  [reserve 1]",
            "bad",
        ),
        (
            replace(
                ROW, kind="denied", detail="host_not_granted", rule="", secret="", status=None, target="GET \x1b[2J"
            ),
            "denied",
            "main  GET ␛[2J  host_not_granted",
            "bad",
        ),
        (
            replace(ROW, kind="retention", group="", target="", rule="", secret="", detail='{"removed_up_to": 9}'),
            "retention",
            "rows up to 9 removed, as they were older than audit_days",
            "",
        ),
        (replace(ROW, detail="no JSON", response_sha256="a" * 64, rule="", secret=""), "200", None, ""),
    ],
)
def test_row_is_one_line(row: AuditRow, what: str, rest: str | None, mood: str) -> None:
    """When, what came of it, and all that is known of it, with nothing in it that could steer a terminal."""
    at, shown, text, looks = build_row(row)
    assert (at, shown, looks) == ("2026-11-21 12:34:56", what, mood)
    assert rest is None or text == rest


def test_totals_are_a_table() -> None:
    """Traffic and model use of one key in one row; use without traffic too; what has no price is said."""
    totals = Totals(
        traffic=(
            TrafficTotal(key="main", requests=3, denied=1, failed=0, request_bytes=10, response_bytes=2_000_000),
            TrafficTotal(key="", requests=0, denied=2, failed=0, request_bytes=0, response_bytes=0),
        ),
        models=(
            ModelTotal(
                key="main", model_calls=2, input_tokens=12_345, output_tokens=7, cost_usd=1.5, calls_without_price=0
            ),
            ModelTotal(key="old", model_calls=1, input_tokens=1, output_tokens=1, cost_usd=0.0, calls_without_price=1),
        ),
    )
    assert build_totals(totals, "group")[1:] == [
        ["main", "3", "1", "0", "10 bytes", "2.0 MB", "2", "12k", "7", "1.50"],
        ["(no group)", "0", "2", "0", "0 bytes", "0 bytes", "0", "0", "0", "0"],
        ["old", "-", "-", "-", "-", "-", "1", "1", "1", "0.00 + 1 calls without a price"],
    ]
    assert [row[0] for row in build_totals(totals, "model")] == ["model", "main", "old"]
    assert len(build_totals(totals, "host")[0]) == 6
