"""What `nightyard trace` shows: one message or task from its arrival to its last delivery, in order. Pure."""

from __future__ import annotations

from datetime import datetime
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
        rows += _queued(message, trace)
    task = trace["task"]
    if task is not None:
        if trace["submitted_at"]:
            waited = _seconds(trace["submitted_at"], task["began_at"])
            rows.append((trace["submitted_at"], "queued", f"no message brought it; taken up after {waited}"))
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
    rows += [row for one in trace["approvals"] for row in _approval(one)]
    rows += [row for one in trace["questions"] for row in _question(one)]
    rows += [(each["at"], *_PAUSES[each["kind"]]) for each in trace["journal"] if each["kind"] in _PAUSES]
    rows += [(row["ended_at"] or row["at"], _OUT.get(row["state"], "out"), _delivery(row)) for row in trace["outbox"]]
    rows += [(row["at"], "held", _held(row)) for row in trace["held"]]
    rows.sort(key=lambda row: row[0])
    return [(at, what, cut(clean_line(detail), DETAIL_COLUMNS)) for at, what, detail in rows]


def build_unknown(trace: dict[str, Any]) -> str:
    """Return what of a task's requests to the world is not in its rows, and how to see it; empty: nothing."""
    if trace["task"] is None:
        return ""
    if trace["egress"] is None:
        return "the proxy is away: requests and cost are not known (./nightyard status)"
    more = trace["egress_more"]
    least = "at least " if more >= _COUNTED else ""
    task = clean_line(trace["task"]["task"])
    return f"{least}{more} more requests: ./nightyard audit log --task {task} -n 500" if more else ""


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


def _queued(message: dict[str, Any], trace: dict[str, Any]) -> list[Row]:
    """Return when a message was put in line, and how long it waited, or what it waits for now."""
    times = {
        entry["kind"]: entry["at"] for entry in trace["journal"] if entry["refs"].get("message") == message["message"]
    }
    queued_at, taken_at = times.get("message_queued"), times.get("message_claimed")
    if queued_at is None:
        return []
    if taken_at is None:
        return [(queued_at, "queued", _waits(trace["waits"]) if trace["waits"] else "taken out of the line")]
    is_joining = trace["task"] is not None and trace["task"]["began_at"] < queued_at
    what = "given to the task that was at work" if is_joining else "taken up"
    return [(queued_at, "queued", f"{what} after {_seconds(queued_at, taken_at)}")]


def _waits(waits: dict[str, Any]) -> str:
    """Say why a message is not begun."""
    parts = [f"behind {waits['before']} of this agent's"] if waits["before"] else ["next in line"]
    if waits["at_work"]:
        parts.append(f"at work: {', '.join(waits['at_work'][:3])}")
    if waits["is_frozen"]:
        parts.append("everything is frozen (./nightyard unfreeze)")
    parts += [f"held back: {pause}" for pause in waits["pauses"]]
    return f"waits, {'; '.join(parts)}"


def _seconds(begun_at: str, ended_at: str) -> str:
    passed_s = (datetime.fromisoformat(ended_at) - datetime.fromisoformat(begun_at)).total_seconds()
    return f"{max(0.0, passed_s):.1f} s"


def _approval(one: dict[str, Any]) -> list[Row]:
    """Return what people were asked, each of their words, and the end that came without one."""
    code = one["approval"]
    if one["state"] == "waiting":
        what = f"{one['summary']}: waits for a decision (./nightyard approvals {code})"
        return [(one["asked_at"], "asked", what), *_votes(one)]
    rows = [(one["asked_at"], "asked", f"{one['summary']} ({one['kind']} {code})"), *_votes(one)]
    if not one["votes"] or one["state"] in ("expired", "withdrawn"):
        because = f": {one['reason']}" if one["reason"] else ""
        rows.append((one["ended_at"], "decided", f"{code} {one['state']}{because}"))
    return rows


def _votes(one: dict[str, Any]) -> list[Row]:
    because = f": {one['reason']}" if one["reason"] else ""
    return [
        (vote["at"], "decided", f"{one['approval']} {'yes' if vote['is_yes'] else f'no{because}'} by {vote['by']}")
        for vote in one["votes"]
    ]


def _question(one: dict[str, Any]) -> list[Row]:
    """Return what an agent asked a person, and the answer."""
    rows = [(one["asked_at"], "asked", f"“{one['text']}”")]
    if one["answered_at"]:
        rows.append((one["answered_at"], "answered", f"“{one['answer']}”"))
    elif one["state"] == "closed":
        rows.append((one["asked_at"], "", "never answered: the task ended first"))
    return rows


def build_journal(trace: dict[str, Any]) -> list[Row]:
    """Return what the journal says of it."""
    entries = trace["journal"][-_JOURNAL_SHOWN:]
    left = len(trace["journal"]) - len(entries)
    rows = [
        (entry["at"], str(entry["seq"]), clean_line(f"{entry['kind']} {_refs(entry['refs'])}")) for entry in entries
    ]
    older = "1 older entry: --json shows it" if left == 1 else f"{left} older entries: --json shows them"
    return [*([("", "", older)] if left else []), *rows]


_PAUSES = {
    "task_suspended": ("suspended", "waits for a person, without a container"),
    "task_resumed": ("resumed", "goes on in a new attempt"),
}
_OUT = {"sent": "delivered", "dead": "given up"}
_COUNTED = 5_000
"""So many requests are counted at most."""
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
