"""When to try again, and when not. Pure: time and chance come in as arguments.

For deliveries (`delivery.py`) and for attempts of a task (`task_run.py`); who performs it decides nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELIVERY_WAIT_S = 1.0
FIRST_START_WAIT_S = 0.5
LAST_START_WAIT_S = 10.0
MAX_RETRY_AFTER_S = 3600.0
"""A platform that asks for more is asked again after an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailure:
    """One delivery that a platform did not take."""

    reason: str
    attempts: int
    """Deliveries begun, this one included."""
    permanent: bool = False
    retry_after_s: float | None = None


def decide_delivery(
    failure: DeliveryFailure, *, max_attempts: int, longest_wait_s: float, chance: float
) -> TryAgain | GiveUp:
    """Return what to do about a failed delivery. `chance` in [0, 1) spreads the waits by up to a quarter.

    The platform's own word is a floor, never shortened: coming back early is what bans are made of.
    """
    if failure.permanent:
        return GiveUp(reason=failure.reason)
    if failure.attempts >= max_attempts:
        return GiveUp(reason=f"{failure.reason} (tried {failure.attempts} times)")
    wait_s = _spread(doubled(FIRST_DELIVERY_WAIT_S, failure.attempts, longest_wait_s), chance)
    asked_s = min(failure.retry_after_s or 0.0, MAX_RETRY_AFTER_S)
    return TryAgain(after_s=max(wait_s, asked_s + chance if asked_s else 0.0))


def decide_start(failures: int, waited_s: float, patience_s: float, reason: str, chance: float) -> TryAgain | GiveUp:
    """Return what to do when a container cannot start for a reason that may pass by itself. `chance` in [0, 1) spreads
    the waits, so that what waited for one thing does not come back all at once."""
    if waited_s >= patience_s:
        return GiveUp(reason=reason)
    return TryAgain(after_s=_spread(doubled(FIRST_START_WAIT_S, failures, LAST_START_WAIT_S), chance))


def crash_wait_s(attempts: int, chance: float) -> float:
    """Return how long to wait before the next attempt of a task whose agent died: about 0.2, 1, 5 s …, so that a
    container that dies at once does not keep the machine busy."""
    return _spread(min(0.2 * float(5 ** min(max(attempts - 1, 0), 10)), 60.0), chance)


def _spread(wait_s: float, chance: float) -> float:
    """Return a wait made shorter by up to a quarter."""
    return wait_s * (0.75 + chance / 4)


def doubled(first_s: float, attempts: int, longest_s: float) -> float:
    """Return `first_s` doubled with each attempt after the first, at most `longest_s`."""
    return min(first_s * float(2 ** min(max(attempts - 1, 0), 30)), longest_s)
