"""Quotas: buckets fill and empty, days turn, restarts forget nothing, clocks may step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from credproxy.policy.quotas import DAY_S, Quotas
from credproxy.policy.verdict import Quota
from tests.credproxy.policy.judging import NOW

RATED = Quota(key="rated", per_s=0.5, burst=3)
DAILY = Quota(key="daily", daily=2, daily_bytes=100, daily_url_chars=50)


def codes(quotas: Quotas, quota: Quota, times: int, now: float) -> list[str]:
    return [deny.code if (deny := quotas.take(quota, now)) is not None else "" for _each in range(times)]


def test_bucket_holds_its_burst_and_fills_again() -> None:
    """So many at once as the burst says, then one whenever a token has come, told how long that takes."""
    quotas = Quotas()
    assert codes(quotas, RATED, 4, NOW) == ["", "", "", "rate_reached"]
    deny = quotas.take(RATED, NOW)
    assert deny is not None
    assert deny.retry_after_s == 2.0
    assert codes(quotas, RATED, 2, NOW + 2) == ["", "rate_reached"]
    assert codes(quotas, RATED, 4, NOW + 1000) == ["", "", "", "rate_reached"]


def test_day_is_counted_and_turns_at_midnight_utc() -> None:
    """Requests, bytes and addresses' characters are each a limit of their own; the next day begins with nothing."""
    quotas = Quotas()
    assert codes(quotas, DAILY, 3, NOW) == ["", "", "daily_reached"]
    midnight = (NOW // DAY_S + 1) * DAY_S
    deny = quotas.take(DAILY, midnight - 5)
    assert deny is not None
    assert deny.retry_after_s == 5.0
    assert quotas.take(DAILY, midnight, url_chars=30) is None
    refused = quotas.take(DAILY, midnight, url_chars=21)
    assert refused is not None
    assert "characters" in refused.sentence
    quotas.add_bytes(DAILY, 100, midnight)
    full = quotas.take(DAILY, midnight, url_chars=1)
    assert full is not None
    assert "bytes" in full.sentence
    assert quotas.used_today(DAILY, midnight) == (1, 100, 30)


def test_restart_forgets_nothing_of_the_day() -> None:
    """What was used today counts in the next process, what was used yesterday does not."""
    quotas = Quotas()
    codes(quotas, DAILY, 2, NOW)
    was_dirty = quotas.is_dirty
    text = quotas.dump()
    assert (was_dirty, quotas.is_dirty) == (True, False)
    same_day, next_day, broken = Quotas(), Quotas(), Quotas()
    same_day.load(text, NOW + 60)
    next_day.load(text, NOW + DAY_S)
    for junk in ("", "{}", "[]", '{"day": "x", "used": 3}', '{"day": 1, "used": {"a": [1]}}'):
        broken.load(junk, NOW)
    assert codes(same_day, DAILY, 1, NOW + 60) == ["daily_reached"]
    assert codes(next_day, DAILY, 1, NOW + DAY_S) == [""]
    assert codes(broken, DAILY, 1, NOW) == [""]


def test_clock_that_steps_back_gives_nothing_again() -> None:
    """Neither yesterday's quota nor a full bucket comes back with the clock."""
    quotas = Quotas()
    assert codes(quotas, DAILY, 2, NOW) == ["", ""]
    assert codes(quotas, DAILY, 1, NOW - DAY_S) == ["daily_reached"]
    assert codes(quotas, RATED, 3, NOW) == ["", "", ""]
    assert codes(quotas, RATED, 1, NOW - 500) == ["rate_reached"]


def test_zero_a_day_is_none_at_all() -> None:
    """`daily: 0` switches a grant off."""
    assert codes(Quotas(), Quota(key="none", daily=0), 1, NOW) == ["daily_reached"]


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=60))
def test_never_more_than_burst_and_rate_allow(steps: list[tuple[float, bool]]) -> None:
    """Over any span, no more requests pass than the burst and what filled since."""
    quotas, now, passed = Quotas(), NOW, 0
    for wait_s, is_asking in steps:
        now += wait_s
        if is_asking and quotas.take(RATED, now) is None:
            passed += 1
        assert passed <= RATED.burst + (now - NOW) * 0.5 + 1e-3
