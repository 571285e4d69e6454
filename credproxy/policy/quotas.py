"""How much of each grant's quota is used: token buckets and daily counts, in memory. Pure: time is told.

The daily counts outlive a restart as a text (`dump`, `load`) that the proxy keeps with its audit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from credproxy.policy.denials import daily_reached, rate_reached
from credproxy.policy.verdict import Deny, Quota

DAY_S = 86400
MAX_KEYS = 20_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class _Day:
    requests: int = 0
    answer_bytes: int = 0
    url_chars: int = 0


class Quotas:
    """The counters of all grants that have a quota."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}
        self._days: dict[str, _Day] = {}
        self._day = 0
        self.is_dirty = False
        """Daily counts have changed since `dump`."""

    def take(self, quota: Quota, now: float, *, url_chars: int = 0) -> Deny | None:
        """Count one request, or say which limit it meets; what is denied is not counted."""
        self._turn_day(now)
        day = self._days.get(quota.key)
        if day is not None:
            deny = _daily_limit(quota, day, url_chars, DAY_S - now % DAY_S)
            if deny is not None:
                return deny
        elif quota.daily == 0:
            return daily_reached("requests", 0, DAY_S - now % DAY_S)
        if quota.per_s is not None:
            deny = self._take_token(quota, quota.per_s, now)
            if deny is not None:
                return deny
        if quota.daily is not None or quota.daily_bytes is not None or quota.daily_url_chars is not None:
            day = self._days.setdefault(quota.key, _Day()) if day is None else day
            day.requests += 1
            day.url_chars += url_chars
            self.is_dirty = True
        return None

    def add_bytes(self, quota: Quota, count: int, now: float) -> None:
        """Count bytes of an answer."""
        if quota.daily_bytes is None:
            return
        self._turn_day(now)
        self._days.setdefault(quota.key, _Day()).answer_bytes += count
        self.is_dirty = True

    def used_today(self, quota: Quota, now: float) -> tuple[int, int, int]:
        """Return today's requests, bytes of answers, characters of addresses."""
        self._turn_day(now)
        day = self._days.get(quota.key, _Day())
        return day.requests, day.answer_bytes, day.url_chars

    def dump(self) -> str:
        """Return the daily counts as text."""
        self.is_dirty = False
        days = {key: [day.requests, day.answer_bytes, day.url_chars] for key, day in self._days.items()}
        return json.dumps({"day": self._day, "used": days}, separators=(",", ":"))

    def load(self, text: str, now: float) -> None:
        """Take up the counts of an earlier process; those of another day do not count, nor a text that is none."""
        try:
            stored = json.loads(text)
            day, used = int(stored["day"]), dict(stored["used"])
            days = {str(key): _Day(*(int(count) for count in counts)) for key, counts in used.items()}
        except (ValueError, KeyError, TypeError):
            return
        self._day, self._days = day, days
        self._turn_day(now)

    def _turn_day(self, now: float) -> None:
        """A new day begins with nothing used. A clock that was set back does not give yesterday's quota again."""
        today = int(now // DAY_S)
        if today > self._day:
            self._day = today
            self._days.clear()

    def _take_token(self, quota: Quota, per_s: float, now: float) -> Deny | None:
        bucket = self._buckets.get(quota.key)
        if bucket is None:
            if len(self._buckets) >= MAX_KEYS:
                self._buckets.clear()
            bucket = self._buckets[quota.key] = _Bucket(tokens=float(quota.burst), at=now)
        # A clock that was set back gives nothing, and takes nothing either.
        bucket.tokens = min(float(quota.burst), bucket.tokens + max(0.0, now - bucket.at) * per_s)
        bucket.at = now
        if bucket.tokens < 1.0:
            return rate_reached(quota, (1.0 - bucket.tokens) / per_s)
        bucket.tokens -= 1.0
        return None


def _daily_limit(quota: Quota, day: _Day, url_chars: int, wait_s: float) -> Deny | None:
    if quota.daily is not None and day.requests >= quota.daily:
        return daily_reached("requests", quota.daily, wait_s)
    if quota.daily_bytes is not None and day.answer_bytes >= quota.daily_bytes:
        return daily_reached("bytes of answers", quota.daily_bytes, wait_s)
    if quota.daily_url_chars is not None and day.url_chars + url_chars > quota.daily_url_chars:
        return daily_reached("characters of addresses", quota.daily_url_chars, wait_s)
    return None
