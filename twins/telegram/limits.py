"""How fast a bot may send: the published rates, and what the open server does with bursts of large uploads. Pure.

Published: about one message a second to a chat, 20 a minute to a group, 30 a second over all; short bursts pass. How
long a burst may be is not published: the buckets here are that deep. A message beyond 500 characters counts double.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LONG_TEXT = 500
UPLOAD_BYTES = 100_000
"""Uploads beyond this many bytes are queued, those of one size together."""
LONGEST_QUEUE_S = 5.0
FLOOD_DELAY_S = 3.0
FLOOD_RETRY_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    per_s: float
    depth: float


CHAT = Rate(per_s=1.0, depth=5)
GROUP = Rate(per_s=20 / 60, depth=20)
ALL = Rate(per_s=30.0, depth=30)


@dataclass(slots=True, kw_only=True)
class _Bucket:
    left: float
    at: float


@dataclass(slots=True, kw_only=True)
class Limits:
    """`is_on` says whether anything is refused at all: a test of something else has no use for it."""

    is_on: bool = False
    _buckets: dict[int | None, _Bucket] = field(default_factory=dict)
    _uploads: dict[int, float] = field(default_factory=dict)

    def take(self, chat_id: int, text_length: int, now: float) -> int:
        """Count a message to a chat; return after how many seconds it may be tried again, 0 if it may pass."""
        if not self.is_on:
            return 0
        cost = 2.0 if text_length > LONG_TEXT else 1.0
        wanted = ((chat_id, GROUP if chat_id < 0 else CHAT), (None, ALL))
        buckets = [(self._filled(key, rate, now), rate) for key, rate in wanted]
        wait_s = max((cost - bucket.left) / rate.per_s for bucket, rate in buckets)
        if wait_s > 0:
            return max(1, math.ceil(wait_s))
        for bucket, _ in buckets:
            bucket.left -= cost
        return 0

    def queue_upload(self, size: int, now: float) -> float | None:
        """Return how long an upload of so many bytes is held back; None if it is refused: too many of one size."""
        if not self.is_on or size <= UPLOAD_BYTES:
            return 0.0
        queued_until = self._uploads.get(size, 0.0)
        if queued_until > now + LONGEST_QUEUE_S:
            return None
        self._uploads[size] = max(queued_until + min(max(size * 1e-7, 0.2), 0.9), now - 1.0)
        return max(0.0, self._uploads[size] - now)

    def _filled(self, key: int | None, rate: Rate, now: float) -> _Bucket:
        bucket = self._buckets.setdefault(key, _Bucket(left=rate.depth, at=now))
        bucket.left = min(rate.depth, bucket.left + (now - bucket.at) * rate.per_s)
        bucket.at = now
        return bucket
