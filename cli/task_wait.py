"""Waits for what was submitted, and says by an exit code how it ended."""

from __future__ import annotations

import time
from typing import Any

from cli.place import ask
from cli.problem import NOT_RUNNING, CliProblem

NOT_YET = 4
"""The exit code of a wait that was given up; the work goes on."""
WAIT_AT_ONCE_S = 45.0
AWAY_PAUSE_S = 1.0
AWAY_PATIENCE_S = 120.0
"""How long a host that restarts is waited for."""
_DONE = ("reply", "structured", "nothing_to_say")


def wait_for(submission: str, timeout_s: float | None = None) -> dict[str, Any]:
    """Return the envelope when it has ended, or as it stands after the time given. A restart is waited out."""
    started = time.monotonic()
    away_since: float | None = None
    while True:
        left_s = WAIT_AT_ONCE_S if timeout_s is None else timeout_s - (time.monotonic() - started)
        try:
            arguments = {"submission": submission, "wait_s": max(0.0, min(left_s, WAIT_AT_ONCE_S))}
            envelope = ask("task_result", arguments)
        except CliProblem as problem:
            away_since = away_since or time.monotonic()
            if problem.exit_code != NOT_RUNNING or time.monotonic() - away_since > AWAY_PATIENCE_S:
                raise
            time.sleep(AWAY_PAUSE_S)
            continue
        away_since = None
        if envelope["state"] == "ended" or left_s <= 0:
            return envelope


def exit_code_of(envelope: dict[str, Any]) -> int:
    """Return 0 where it did what was asked, 1 where it failed or was stopped, NOT_YET where it has not ended."""
    if envelope["state"] != "ended":
        return NOT_YET
    return 0 if (envelope.get("result") or {}).get("status") in _DONE else 1
