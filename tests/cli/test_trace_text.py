"""The story of a message, as rows."""

from __future__ import annotations

from typing import Any

from cli.trace_text import build_cost, build_journal, build_trace, build_unknown

TRACE: dict[str, Any] = {
    "messages": [],
    "task": None,
    "attempts": [],
    "steps": [{"index": 1, "kind": "tool_started", "at": "2026-01-31T09:00:01.000Z", "label": "shell"}],
    "outbox": [],
    "journal": [],
    "approvals": [],
    "questions": [],
    "held": [],
    "waits": None,
    "submitted_at": "",
    "egress_more": 0,
    "egress": [
        {
            "at": "2026-01-31T09:00:02.000Z",
            "kind": "denied",
            "target": "GET https://example.org/",
            "status": None,
            "code": "host_not_granted",
            "rule": "",
            "secret": "",
            "note": "",
            "model": "",
            "input_tokens": None,
            "output_tokens": None,
        }
    ],
    "usage": {"model_calls": 2, "input_tokens": 900, "output_tokens": 40, "cost_usd": 0.0123},
}


def test_what_the_proxy_refused_stands_in_its_place() -> None:
    """A refused request is a row of the story; without the proxy's word there is none, and that is said."""
    rows = build_trace(TRACE)
    assert [row[1] for row in rows] == ["step 1", "refused"]
    assert rows[1][2] == "GET https://example.org/ (host_not_granted)"
    assert [row[1] for row in build_trace({**TRACE, "egress": None})] == ["step 1"]


def test_an_answered_request_names_model_rule_and_secret() -> None:
    """What went out is told with its answer, what let it out and whose key was used; never the key."""
    call = {
        **TRACE["egress"][0],
        "kind": "end",
        "target": "POST https://api.example/v1/messages",
        "status": 200,
        "rule": "route anthropic",
        "secret": "anthropic",
        "model": "claude",
        "input_tokens": 900,
        "output_tokens": 40,
    }
    lost = {**call, "status": None, "model": "", "rule": "", "secret": ""}
    rows = build_trace({**TRACE, "steps": [], "egress": [call, lost]})
    assert [row[2] for row in rows] == [
        "POST https://api.example/v1/messages: 200, claude, 900 + 40 tokens, by route anthropic, with anthropic",
        "POST https://api.example/v1/messages: no answer",
    ]


def test_the_cost_is_told_with_what_is_not_known() -> None:
    """Calls, tokens and money in one line; a price that is not known is said to be."""
    assert build_cost(TRACE) == "2 model calls, 900 + 40 tokens, 0.0123 USD"
    usage = {**TRACE["usage"], "model_calls": 1, "cost_usd": None}
    assert build_cost({**TRACE, "usage": usage}) == "1 model call, 900 + 40 tokens, price not known"
    assert build_cost({**TRACE, "usage": None}) == ""


def test_what_is_not_shown_is_said() -> None:
    """Requests that are not known or not shown, and older entries of the journal, are told of."""
    task = {"task": "task_1"}
    assert build_unknown(TRACE) == ""
    assert build_unknown({**TRACE, "task": task}) == ""
    assert build_unknown({**TRACE, "task": task, "egress": None}).startswith("the proxy is away")
    assert build_unknown({**TRACE, "task": task, "egress_more": 7}).startswith("7 more requests: ./nightyard audit log")
    assert build_unknown({**TRACE, "task": task, "egress_more": 5_000}).startswith("at least 5000 more")
    entry = {"seq": 1, "at": "2026-01-31T09:00:00.000Z", "kind": "step_stored", "refs": {"task": "task_1"}}
    rows = build_journal({**TRACE, "journal": [entry] * 41})
    assert rows[0] == ("", "", "1 older entry: --json shows it")
    assert len(rows) == 41
    assert build_journal({**TRACE, "journal": [entry] * 42})[0][2] == "2 older entries: --json shows them"
