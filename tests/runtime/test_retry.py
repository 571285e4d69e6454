"""When to try again: bounded, never earlier than asked, never for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.retry import DeliveryFailure, GiveUp, TryAgain, crash_wait_s, decide_delivery, decide_start, doubled


def decide(attempts: int, *, permanent: bool = False, retry_after_s: float | None = None) -> TryAgain | GiveUp:
    failure = DeliveryFailure(reason="no", attempts=attempts, permanent=permanent, retry_after_s=retry_after_s)
    return decide_delivery(failure, max_attempts=5, longest_wait_s=300, chance=0.5)


def test_waits_grow_to_the_longest() -> None:
    """Each failure doubles the wait, up to what the settings allow."""
    waits = [doubled(1.0, attempts, 300.0) for attempts in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_permanent_failure_is_given_up_at_once() -> None:
    """Trying again cannot help a chat that is gone."""
    assert decide(1, permanent=True) == GiveUp(reason="no")


def test_the_last_try_is_the_last() -> None:
    """How often it was tried is said."""
    assert isinstance(decide(4), TryAgain)
    assert decide(5) == GiveUp(reason="no (tried 5 times)")


@given(
    attempts=st.integers(1, 10_000),
    asked_s=st.none() | st.floats(0, 1e9),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_the_platforms_word_is_a_floor(attempts: int, asked_s: float | None, chance: float) -> None:
    """Never earlier than the platform asked, up to an hour; never later than both bounds allow."""
    failure = DeliveryFailure(reason="no", attempts=attempts, retry_after_s=asked_s)
    decision = decide_delivery(failure, max_attempts=20_000, longest_wait_s=60, chance=chance)
    assert isinstance(decision, TryAgain)
    assert decision.after_s >= min(asked_s or 0, 3600)
    assert 0.7 <= decision.after_s <= 3601


def test_a_start_is_waited_for_with_patience_and_an_end() -> None:
    """An engine that stays away is given up after the patience, not before."""
    assert decide_start(1, 0.0, 120, "away", 1.0) == TryAgain(after_s=0.5)
    assert decide_start(50, 119.0, 120, "away", 1.0) == TryAgain(after_s=10.0)
    assert decide_start(50, 120.0, 120, "away", 1.0) == GiveUp(reason="away")


def test_crash_waits_are_bounded() -> None:
    """A crash loop slows down, and stays within a minute."""
    assert [crash_wait_s(attempts, 1.0) for attempts in (1, 2, 3, 100)] == [0.2, 1.0, 5.0, 60.0]


def test_waits_are_spread() -> None:
    """Chance shortens each wait by up to a quarter, so that what failed together does not come back together."""
    assert crash_wait_s(2, 0.0) == 0.75
    assert decide_start(1, 0.0, 120, "away", 0.0) == TryAgain(after_s=0.375)
