"""What an account may send when: token buckets for each chat and for the account, and the platform's own word. Pure.

Times are the caller's monotonic seconds. Who has waited asks again: others may have taken what there was.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

NOTHING = 1e-6
"""Of a call: what is lost in the arithmetic of floats."""
MAX_KEPT = 1000
"""Chats whose buckets are kept; beyond, those that are full again go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many calls in so much time."""

    calls: float
    """All of them may come at once; then they come back evenly."""
    in_s: float
    reserve: float = 0.0
    """Of these, how many only what must be said may take: what merely shows work leaves them."""

    def __post_init__(self) -> None:
        if self.calls - self.reserve < 1:
            raise ValueError(f"a rate of {self.calls} calls that keeps {self.reserve} lets nothing through")

    @property
    def per_s(self) -> float:
        return self.calls / self.in_s


@dataclass(slots=True)
class _Bucket:
    rate: Rate
    left: float
    at: float

    def left_at(self, now: float) -> float:
        return min(self.rate.calls, self.left + max(0.0, now - self.at) * self.rate.per_s)

    def wait_s(self, now: float, cost: float, *, is_courtesy: bool) -> float:
        needed = cost + (self.rate.reserve if is_courtesy else 0.0)
        # What costs more than there ever is goes when all is there, and leaves a debt.
        lacking = min(needed, self.rate.calls) - self.left_at(now)
        return lacking / self.rate.per_s if lacking > NOTHING else 0.0

    def take(self, now: float, cost: float) -> None:
        self.left, self.at = self.left_at(now) - cost, max(now, self.at)


class Pace(Generic[Key]):
    """The pace of one account. A key is a chat, as the platform counts them."""

    def __init__(self, account: tuple[Rate, ...], chat: Callable[[Key], tuple[Rate, ...]]) -> None:
        self._rates = chat
        self._account = [_Bucket(rate, rate.calls, 0.0) for rate in account]
        self._chats: dict[Key, list[_Bucket]] = {}
        self._closed_until: dict[Key | None, float] = {}
        """What the platform said itself; None is the whole account."""

    def wait_s(self, key: Key, now: float, cost: float = 1.0, *, is_courtesy: bool = False) -> float:
        """Return the seconds after which one more call may be made; 0.0: now. `is_courtesy`: it only shows work.

        What a platform does not count costs nothing, and waits only while a bucket is in debt.
        """
        told: float = max(self._closed_until.get(key, 0.0), self._closed_until.get(None, 0.0)) - now
        buckets = [*self._account, *self._chats.get(key, ())]
        waits = [bucket.wait_s(now, cost, is_courtesy=is_courtesy) for bucket in buckets]
        return max(0.0, told, max(waits, default=0.0))

    def took(self, key: Key, now: float, cost: float = 1.0) -> None:
        """Note a call that is made."""
        if key not in self._chats:
            self._forget_idle(now)
            self._chats[key] = [_Bucket(rate, rate.calls, now) for rate in self._rates(key)]
        for bucket in (*self._account, *self._chats[key]):
            bucket.take(now, cost)

    def told_to_wait(self, key: Key | None, seconds: float, now: float) -> None:
        """Note the platform's own word for a chat, or for the account (None): nothing goes there for so long."""
        self._forget_idle(now)
        self._closed_until[key] = max(self._closed_until.get(key, 0.0), now + seconds)

    def _forget_idle(self, now: float) -> None:
        if max(len(self._chats), len(self._closed_until)) < MAX_KEPT:
            return
        self._closed_until = {key: until for key, until in self._closed_until.items() if until > now}
        self._chats = {
            key: buckets
            for key, buckets in self._chats.items()
            if any(bucket.left_at(now) < bucket.rate.calls for bucket in buckets)
        }
