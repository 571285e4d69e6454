"""What `nightyard status` shows, made of the host's answer. Pure."""

from __future__ import annotations

import textwrap
from datetime import datetime
from typing import Any

from cli.screen import clean_line

LABEL_COLUMNS = 14
"""What stands before a line's text: its mark and its label."""
LEAST_COLUMNS = 30
Line = tuple[str, str, str]
"""(label, text, mood): mood is `ok`, `bad`, `warn` or empty."""


def build_status(status: dict[str, Any], now: datetime) -> list[Line]:
    """Return the overview line by line; what is wrong comes first."""
    lines: list[Line] = []
    host = status["host"]
    since = datetime.fromisoformat(host["started_at"])
    state = "stopping" if host["is_stopping"] else "running"
    lines.append(("host", f"{state} for {span((now - since).total_seconds())}, {status['home']}", "ok"))
    if status["frozen"]:
        lines.append(("frozen", "all agents and all egress are stopped until `nightyard unfreeze`", "bad"))
    if status["rehearsal"]:
        groups = ", ".join(status["rehearsal"])
        lines.append(("rehearsal", f"no real model answers for {groups}: set `model` in nightyard.yaml", "warn"))
    lines += [("settings", problem, "bad") for problem in status["problems"]]
    lines += _proxy_lines(status["proxy"])
    # What the proxy holds is asked about by the host too, once it has heard of it.
    if waiting := max(status.get("approvals", 0), status["proxy"].get("approvals", 0)):
        lines.append(("approvals", f"{waiting} waiting for your word: `nightyard approvals` shows them", "warn"))
    lines += [channel_line(channel) for channel in status["channels"]]
    lines += [_group_line(group) for group in status["groups"]]
    lines += _image_lines(status.get("images") or {})
    lines += _work_lines(status)
    lines += _numbers(status)
    return [(label, clean_line(text), mood) for label, text, mood in lines]


def _proxy_lines(proxy: dict[str, Any]) -> list[Line]:
    mood = "ok" if proxy["state"] == "ok" else "bad"
    return [("proxy", proxy["state"], mood), *(("", problem, "bad") for problem in proxy["problems"])]


def channel_line(channel: dict[str, Any]) -> Line:
    """Return how a channel is, and what mends it where one command does."""
    is_well = channel["health"] == "ok"
    called = (
        channel["channel"]
        if channel["channel"] == channel["platform"]
        else f"{channel['channel']} ({channel['platform']})"
    )
    mend = ""
    if channel["health"].startswith("token refused"):
        name = "" if channel["channel"] == channel["platform"] else f" --name {channel['channel']}"
        mend = f"; `nightyard channel add {channel['platform']}{name}` takes a new one"
    return ("channel", f"{called} → {channel['group']}: {channel['health']}{mend}", "ok" if is_well else "bad")


def _group_line(group: dict[str, Any]) -> Line:
    if group["state"] == "ready" and group["paused"]:
        return ("agent", f"{group['group']} is held back: {', '.join(group['paused'])}", "warn")
    if group["state"] == "ready":
        return ("agent", f"{group['group']}: {group['model']}", "ok")
    return ("agent", f"{group['group']} is suspended: {'; '.join(group['problems'])}", "bad")


def _image_lines(images: dict[str, Any]) -> list[Line]:
    """Return what of the images is not as usual; a missing one is shown with its agent."""
    lines: list[Line] = []
    if images.get("building") == "refresh":
        lines.append(("images", f"are made anew: {images['progress'] or 'begins'}", ""))
    if problem := images.get("refresh_problem"):
        lines.append(("images", f"could not be refreshed, the old ones stay in use: {problem}", "bad"))
    return lines


def _work_lines(status: dict[str, Any]) -> list[Line]:
    agents, queue, delivery = status["agents"], status["queue"], status["delivery"]
    lines: list[Line] = [
        (
            "containers",
            f"{agents['working']} working, {agents['waiting']} waiting as spares, {agents['starting']} starting "
            f"(at most {agents['max_running']} work)",
            "",
        ),
        ("engine", agents["engine"], ""),
    ]
    for task in status["running"]:
        lines.append(("task", f"{task['task']} for {task['group']} in {task['chat'] or 'no chat'}", ""))
    oldest = f", the oldest since {queue['oldest_at'][:19]}Z" if queue["oldest_at"] else ""
    lines.append(("messages", f"{queue['waiting']} waiting, {queue['in_work']} in work{oldest}", ""))
    lines.append(("answers", f"{delivery['waiting']} waiting to be delivered", ""))
    if delivery["given_up"]:
        lines.append(("", f"{delivery['given_up']} could not be delivered and were given up", "bad"))
    if delivery["unreadable"]:
        lines.append(("", f"{delivery['unreadable']} updates could not be understood", "bad"))
    return lines


def _numbers(status: dict[str, Any]) -> list[Line]:
    today, disk = status["today"], status["disk"]
    tokens = (
        f", {count(today['input_tokens'])} tokens in, {count(today['output_tokens'])} out"
        if today["input_tokens"] is not None
        else ""
    )
    cost = f", ${today['cost_usd']:.2f}" if today["cost_usd"] is not None else ""
    is_low = disk["free_bytes"] < disk["floor_bytes"]
    return [
        ("today", f"{today['model_calls']} model calls{tokens}{cost}", ""),
        (
            "disk",
            f"{size(disk['free_bytes'])} free, the store takes {size(disk['store_bytes'])}"
            + (": too little free for a new task" if is_low else ""),
            "bad" if is_low else "",
        ),
    ]


def rows_of(text: str, columns: int) -> list[str]:
    """Return a line's text in rows that fit beside its label; columns 0: nobody looks at it, one row."""
    if not columns:
        return [text]
    fitting = max(columns - LABEL_COLUMNS, LEAST_COLUMNS)
    return textwrap.wrap(text, fitting, break_long_words=False, break_on_hyphens=False) or [""]


def span(seconds: float) -> str:
    """Return a time span in at most two units."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(number: int) -> str:
    """Return bytes in the largest unit that leaves a number of one or more."""
    value, unit = float(number), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 10 or unit == "bytes" else f"{value:.1f} {unit}"


def count(number: int) -> str:
    """Return a count as people read it: 950, 12k, 3.4M."""
    if number < 10_000:
        return str(number)
    return f"{number / 1000:.0f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"
