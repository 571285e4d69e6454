"""What Slack tells of a call that it did not do, and of a socket's beginning and end. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from channels.channel import DeliveryFailed, NotYet
from channels.slack.failures import DISCONNECTS, Refused, Unanswered

MAX_SIGNAL_CHARS = 2000
"""What is longer is an envelope."""


def read_refusal(method: str, status: int, told: object, headers: Mapping[str, str]) -> DeliveryFailed:
    """Return what Slack's answer means: NotYet, Refused with its word, or Unanswered where it is none."""
    about = told if isinstance(told, dict) else {}
    word = str(about.get("error") or "")
    if status == 429 or word == "ratelimited":
        wait_s = _retry_after_s(headers)
        return NotYet(f"Slack asks for a pause of {wait_s:.0f} s before {method}", retry_after_s=wait_s)
    if not word:
        return Unanswered(f"Slack's answer to {method} was none (HTTP {status or '?'})")
    return Refused(method, word, needed=str(about.get("needed") or ""))


def read_signal(text: str) -> tuple[str, str]:
    """Return `hello`, or `disconnect` and why, of what came over a socket; two empty texts for an envelope."""
    if len(text) > MAX_SIGNAL_CHARS or ('"hello"' not in text and '"disconnect"' not in text):
        return "", ""
    try:
        told = json.loads(text)
        kind, reason = told.get("type"), str(told.get("reason") or "disconnect")
    except (ValueError, AttributeError, RecursionError):
        return "", ""
    if kind == "disconnect":
        return kind, DISCONNECTS.get(reason, reason)
    return ("hello", "") if kind == "hello" else ("", "")


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Return Slack's own word on how long to wait; half a minute where it has none."""
    try:
        return max(1.0, float(headers.get("Retry-After") or headers.get("retry-after") or 30))
    except ValueError:
        return 30.0
