"""Rate limits as the API has them: a bucket per route and major parameter, 50 a second for all, a ban for hammering
on while refused. Pure.

Discord publishes the headers, the global limit and the ban; the size of each bucket it tells only while running. Those
in the table below are the ones that clients see.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

GLOBAL_PER_S = 50
INVALID_PER_10_MIN = 10_000
_TEN_MINUTES_S = 600.0

_SIZES: dict[str, tuple[int, float]] = {
    "create_message": (5, 5.0),
    "update_message": (5, 5.0),
    "delete_message": (5, 1.0),
    "bulk_delete_messages": (1, 1.0),
    "list_messages": (5, 1.0),
    "trigger_typing_indicator": (5, 5.0),
    "add_my_message_reaction": (1, 0.25),
    "delete_my_message_reaction": (1, 0.25),
    "create_dm": (10, 10.0),
    "create_thread": (50, 300.0),
    "create_thread_from_message": (50, 300.0),
    "execute_webhook": (5, 2.0),
    "update_original_webhook_message": (5, 5.0),
    "update_webhook_message": (5, 5.0),
    "bulk_set_application_commands": (2, 60.0),
    "bulk_set_guild_application_commands": (2, 60.0),
    "get_bot_gateway": (2, 5.0),
}
_OTHERS = (50, 1.0)
_MAJOR = ("channel_id", "guild_id", "webhook_id", "webhook_token")
_TOGETHER = {"delete_my_message_reaction": "add_my_message_reaction"}
"""Routes that share another's bucket."""


@dataclass(slots=True)
class _Window:
    limit: int
    length_s: float
    began_at: float
    used: int = 0

    def reset_after_s(self, now_s: float) -> float:
        return max(0.0, self.began_at + self.length_s - now_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the limits say of a request. `retry_after_s` None: go on."""

    headers: dict[str, str]
    retry_after_s: float | None = None
    scope: str = "user"

    def body(self) -> Json:
        return {
            "message": "You are being rate limited.",
            "retry_after": self.retry_after_s,
            "global": self.scope == "global",
            "code": 0,
        }


class Limits:
    """`is_on`: whether anything is counted and refused, at the gateway too."""

    def __init__(self, *, is_on: bool) -> None:
        self.is_on = is_on
        self._windows: dict[tuple[str, ...], _Window] = {}
        self._global = _Window(GLOBAL_PER_S, 1.0, 0.0)
        self._invalid_at: deque[float] = deque(maxlen=INVALID_PER_10_MIN)

    def take(self, operation: str, parameters: dict[str, str], now_s: float, *, exempt: bool, scale: float) -> Verdict:
        """Count a request. `exempt`: from the global limit. A client's seconds are the twin's divided by `scale`."""
        if not exempt and (wait_s := self._take_global(now_s)):
            return refused(wait_s / scale, "global", {})
        name = _TOGETHER.get(operation, operation)
        key = (name, *(parameters.get(one, "") for one in _MAJOR))
        limit, length_s = _SIZES.get(name, _OTHERS)
        window = self._windows.get(key)
        if window is None or now_s >= window.began_at + length_s:
            window = self._windows[key] = _Window(limit, length_s, now_s)
        is_over = window.used >= window.limit
        window.used = min(window.limit, window.used + 1)
        reset_s = window.reset_after_s(now_s)
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(limit - window.used),
            "X-RateLimit-Reset": f"{now_s + reset_s:.3f}",
            "X-RateLimit-Reset-After": f"{_whole_ms(reset_s / scale):.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(name.encode()).hexdigest()[:32],
        }
        return refused(reset_s / scale, "user", headers) if is_over else Verdict(headers=headers)

    def note_invalid(self, now_s: float) -> None:
        """Count an answer of 401, 403 or 429 (but for shared ones)."""
        self._invalid_at.append(now_s)

    def is_banned(self, now_s: float) -> bool:
        """Return whether so many came in ten minutes that nothing goes through any more."""
        full = len(self._invalid_at) == INVALID_PER_10_MIN
        return full and now_s - self._invalid_at[0] < _TEN_MINUTES_S

    def _take_global(self, now_s: float) -> float:
        if now_s >= self._global.began_at + 1.0:
            self._global = _Window(GLOBAL_PER_S, 1.0, now_s)
        self._global.used += 1
        return self._global.reset_after_s(now_s) if self._global.used > GLOBAL_PER_S else 0.0


def refused(retry_after_s: float, scope: str, headers: dict[str, str]) -> Verdict:
    """Return the verdict of a 429: the body has the exact wait, the header rounds it up."""
    wait_s = max(0.001, _whole_ms(retry_after_s))
    more = {"Retry-After": str(math.ceil(wait_s)), "X-RateLimit-Scope": scope}
    if scope == "global":
        more["X-RateLimit-Global"] = "true"
    return Verdict(headers={**headers, **more}, retry_after_s=wait_s, scope=scope)


def _whole_ms(wait_s: float) -> float:
    """Round up: who waits so long is not told to wait again."""
    return math.ceil(wait_s * 1000) / 1000
