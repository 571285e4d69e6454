"""What the rows and sums of the audit look like to a person. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from cli.screen import clean_line
from cli.status_text import count, size
from credproxy.admin_client.audit import AuditRow, ModelTotal, Totals, TotalsKey

Mood = Literal["", "bad", "warn"]
_DIGEST_CHARS = 12
_NO_NAME = {"host": "(no host)", "secret": "(without a key)", "group": "(no group)", "model": "(no answer)"}


def build_row(row: AuditRow) -> tuple[str, str, str, Mood]:
    """Return (time, what, the rest, how it looks) of one row."""
    at = f"{row.at[:10]} {row.at[11:19]}"
    facts = _facts(row.detail) if row.kind in ("end", "retention") else {}
    what, mood = _what(row, facts)
    parts = [row.group, row.target, *_about(row, facts)]
    return at, clean_line(what), "  ".join(clean_line(part) for part in parts if part), mood


def _what(row: AuditRow, facts: dict[str, object]) -> tuple[str, Mood]:
    if row.kind == "end":
        status = "no answer" if row.status is None else str(row.status)
        if "broken" in facts:
            return f"{status}, broken", "bad"
        return status, "bad" if row.status is None or row.status >= 500 else "warn" if row.status >= 400 else ""
    if row.kind in ("denied", "unclean", "gap"):
        return row.kind, "bad"
    return row.kind, "warn" if row.kind in ("shadow", "approval", "freeze") else ""


def _about(row: AuditRow, facts: dict[str, object]) -> list[str]:
    about = []
    if row.kind == "end":
        sent, received = facts.get("request_bytes"), facts.get("response_bytes")
        if isinstance(sent, int) and isinstance(received, int):
            about.append(f"{size(sent)} out, {size(received)} in")
        if "broken" in facts:
            about.append(f"({facts['broken']})")
        if isinstance(facts.get("model"), str) and facts["model"]:
            about.append(f"{facts['model']}: {facts.get('input_tokens')} + {facts.get('output_tokens')} tokens")
    elif row.kind == "retention" and "removed_up_to" in facts:
        about.append(f"rows up to {facts['removed_up_to']} removed, as they were older than audit_days")
    elif row.detail:
        about.append(row.detail)
    if row.rule:
        about.append(f"by {row.rule}")
    if row.secret:
        about.append(f"key {row.secret}")
    if row.note:
        about.append(f"[{row.note}]")
    if row.response_sha256:
        about.append(f"SHA-256 {row.response_sha256[:_DIGEST_CHARS]}…")
    return about


def _facts(detail: str) -> dict[str, object]:
    try:
        facts = json.loads(detail)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def build_totals(totals: Totals, by: TotalsKey) -> list[list[str]]:
    """Return a table's rows, its heading first; only that where nothing was."""
    if by == "model":
        heading = ["model", *_MODEL_HEADING]
        return [heading, *([_key(model.key, by), *_model_cells(model)] for model in totals.models)]
    models = {model.key: model for model in totals.models}
    has_models = by in ("day", "group")
    rows = [[by, *_TRAFFIC_HEADING, *(_MODEL_HEADING if has_models else ())]]
    for each in totals.traffic:
        cells = [str(each.requests), str(each.denied), str(each.failed)]
        cells += [size(each.request_bytes), size(each.response_bytes)]
        rows.append([_key(each.key, by), *cells, *(_model_cells(models.pop(each.key, None)) if has_models else ())])
    # Use outlives its rows' sums where the audit is older than those.
    rows += [[_key(key, by), *["-"] * len(_TRAFFIC_HEADING), *_model_cells(model)] for key, model in models.items()]
    return rows


_TRAFFIC_HEADING = ("requests", "denied", "failed", "sent", "received")
_MODEL_HEADING = ("model calls", "tokens in", "tokens out", "US dollars")


def _model_cells(model: ModelTotal | None) -> Sequence[str]:
    if model is None:
        return ["0", "0", "0", "0"]
    cost = f"{model.cost_usd:.2f}"
    if model.calls_without_price:
        cost += f" + {model.calls_without_price} calls without a price"
    return [str(model.model_calls), count(model.input_tokens), count(model.output_tokens), cost]


def _key(key: str, by: TotalsKey) -> str:
    return key or _NO_NAME.get(by, "(none)")
