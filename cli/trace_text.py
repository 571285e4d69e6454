"""What `nightyard trace` shows: one message or task from its arrival to its last delivery, in order. Pure."""

from __future__ import annotations

from typing import Any

from cli.screen import clean_line, cut

Row = tuple[str, str, str]
"""(time, what, detail)."""

_JOURNAL_SHOWN = 40
DETAIL_COLUMNS = 240


def build_trace(trace: dict[str, Any]) -> list[Row]:
    """Return the story's rows by time."""
    rows: list[Row] = []
    for message in trace["messages"]:
        files = f" with {', '.join(message['files'])}" if message["files"] else ""
        rows.append((message["at"], "message", f"{message['message']} by {message['sender']} in {message['chat']}"))
        rows.append((message["at"], "", f"“{message['text']}”{files}"))
        end = f": {message['reason']}" if message["reason"] else ""
        rows.append((message["at"], "", f"is {message['state']}{end}"))
    task = trace["task"]
    if task is not None:
        rows.append((task["began_at"], "task", f"{task['task']} of {task['group']}, asked by {task['submitter']}"))
    for attempt in trace["attempts"]:
        where = f" in {attempt['container']}" if attempt["container"] else ""
        rows.append((attempt["began_at"], f"attempt {attempt['number']}", f"{attempt['attempt']}{where}"))
        if attempt["ended_at"]:
            rows.append((attempt["ended_at"], f"attempt {attempt['number']}", f"ended: {attempt['reason']}"))
    rows += [
        (step["at"], f"step {step['index']}", f"{_KINDS[step['kind']]} {step['label']}") for step in trace["steps"]
    ]
    if task is not None and task["ended_at"]:
        rows.append((task["ended_at"], "result", _result(task)))
    rows += [(one["at"], *_request(one)) for one in trace["egress"] or ()]
    rows += [(row["at"], "out", _delivery(row)) for row in trace["outbox"]]
    rows += [(row["at"], "held", _held(row)) for row in trace.get("held") or ()]
    rows.sort(key=lambda row: row[0])
    return [(at, what, cut(clean_line(detail), DETAIL_COLUMNS)) for at, what, detail in rows]


def build_cost(trace: dict[str, Any]) -> str:
    """Return what the task's model calls came to, empty where there were none or nobody could be asked."""
    usage = trace["usage"]
    if not usage or not usage["model_calls"]:
        return ""
    price = "price not known" if usage["cost_usd"] is None else f"{usage['cost_usd']:.4f} USD"
    tokens = f"{usage['input_tokens']} + {usage['output_tokens']} tokens"
    return f"{usage['model_calls']} model call{'' if usage['model_calls'] == 1 else 's'}, {tokens}, {price}"


def _request(one: dict[str, Any]) -> tuple[str, str]:
    """Return what became of one request to the world."""
    if one["kind"] == "denied":
        return "refused", f"{one['target']} ({one['code']})"
    if one["kind"] != "end":
        return one["kind"], f"{one['target']} {one['note']}".rstrip()
    parts = [f"{one['target']}: {'no answer' if one['status'] is None else one['status']}"]
    if one["model"]:
        parts.append(f"{one['model']}, {one['input_tokens']} + {one['output_tokens']} tokens")
    if one["rule"]:
        parts.append(f"by {one['rule']}")
    if one["secret"]:
        parts.append(f"with {one['secret']}")
    return "request", ", ".join(parts)


def build_journal(trace: dict[str, Any]) -> list[Row]:
    """Return what the journal says of it."""
    entries = trace["journal"][-_JOURNAL_SHOWN:]
    return [
        (entry["at"], str(entry["seq"]), clean_line(f"{entry['kind']} {_refs(entry['refs'])}")) for entry in entries
    ]


_KINDS = {"model_turn": "the model answered,", "tool_started": "tool began:", "tool_finished": "tool ended:"}


def _refs(refs: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in refs.items())


def _result(task: dict[str, Any]) -> str:
    code = f" ({task['code']})" if task["code"] else ""
    said = f" “{task['text']}”" if task["text"] else ""
    return f"{task['state']}{code}{said} {task['reason']}"


def _delivery(row: dict[str, Any]) -> str:
    tries = f" after {row['attempts']} tries" if row["attempts"] > 1 else ""
    why = f": {row['reason']}" if row["reason"] and row["state"] != "sent" else ""
    twice = ", may have been delivered twice" if row["maybe_twice"] else ""
    what = f"file {row['file']}" if row["file"] else f"“{row['text']}”"
    return f"{row['state']}{tries}{why}{twice} to {row['chat']}: {what}"


def _held(row: dict[str, Any]) -> str:
    """Say what became of an output that was held back for a review."""
    became = {"held": "waits for a review", "released": "was let go", "refused": "was not sent"}[str(row["state"])]
    return f"what it would say in {row['chat']} {became}: ./nightyard approvals {row['approval']}"
