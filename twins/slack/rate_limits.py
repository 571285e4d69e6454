"""How often each method may be called: tiers a minute, and one post a second in a channel, with short bursts."""

from __future__ import annotations

import math

from twins.clock import Clock
from twins.slack.refusal import Refusal

TIERS_A_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
POST_A_SECOND = 1.0
POST_BURST = 4
"""How many posts a channel takes at once; the platform says "short bursts" and no figure."""
SPECIAL_A_MINUTE = {"auth.test": 600, "chat.getPermalink": 600, "assistant.threads.setStatus": 600}


class RateLimits:
    """Token buckets on the twin's clock, one a method, for postMessage one a channel."""

    def __init__(self, clock: Clock, *, is_on: bool = True) -> None:
        self._clock = clock
        self.is_on = is_on
        self.history_a_minute: int | None = None
        """Of conversations.history and .replies; None: as their tier has it. 1 for apps that are sold elsewhere."""
        self.leeway = 1.0
        """How many times what is published is let through: the platform says "20+ per minute"."""
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, method: str, tier: int, channel: str) -> None:
        """Count a call; refuse it as ratelimited where too many came."""
        if not self.is_on:
            return
        if method in ("chat.postMessage", "chat.meMessage", "chat.postEphemeral"):
            self._take(f"post in {channel}", POST_BURST, POST_A_SECOND)
            return
        a_minute = SPECIAL_A_MINUTE.get(method) or TIERS_A_MINUTE.get(tier)
        if self.history_a_minute is not None and method in ("conversations.history", "conversations.replies"):
            a_minute = self.history_a_minute
        if a_minute is not None:
            self._take(method, a_minute, a_minute / 60)

    def _take(self, bucket: str, capacity: float, a_second: float) -> None:
        capacity, a_second = capacity * self.leeway, a_second * self.leeway
        now = self._clock.now()
        left, at = self._buckets.get(bucket, (capacity, now))
        left = min(capacity, left + (now - at) * a_second)
        if left < 1:
            self._buckets[bucket] = (left, now)
            real_s = (1 - left) / a_second / self._clock.scale
            raise Refusal("ratelimited", status=429, retry_after=max(1, math.ceil(real_s)))
        self._buckets[bucket] = (left - 1, now)
