"""Which conversations end by themselves, by any clock and zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import ChatKey, SessionId
from runtime.sessions.expiry import daily_after, daily_before, decide_ends
from runtime.sessions.records import CurrentSession
from runtime.sessions.settings import SessionSettings
from runtime.store.database import time_text

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def used(hours_ago: float) -> CurrentSession:
    at = time_text(NOW - timedelta(hours=hours_ago))
    return CurrentSession(session_id=SessionId(f"session_{hours_ago}"), chat=ChatKey("telegram:1"), used_at=at)


def test_off_by_default() -> None:
    """Without a policy nothing ends, however old, and nobody needs to look again."""
    ends = decide_ends([used(10_000)], SessionSettings(), NOW, UTC)
    assert (ends.idle, ends.daily, ends.next_at) == ((), (), None)


def test_idle_ones_end_and_the_next_is_known() -> None:
    """What was not used for so long ends; the next look is when the next one would."""
    ends = decide_ends([used(5), used(4), used(3), used(1)], SessionSettings(idle_hours=4), NOW, UTC)
    assert ends.idle == (used(5), used(4))
    assert ends.next_at == NOW + timedelta(hours=1)


def test_what_begins_after_a_look_ends_in_time() -> None:
    """Where nobody talks yet, the next look is no later than the end of a conversation that begins just now."""
    assert decide_ends([], SessionSettings(idle_hours=0.1), NOW, UTC).next_at == NOW + timedelta(minutes=6)
    assert decide_ends([], SessionSettings(daily_at="12:30"), NOW, UTC).next_at == NOW + timedelta(minutes=30)


def test_daily_ones_end_at_the_time_of_the_zone() -> None:
    """What was used before the last 04:00 of Berlin's clocks ends; what was used since stays until the next."""
    ends = decide_ends([used(11), used(9)], SessionSettings(daily_at="04:00"), NOW, BERLIN)
    assert ends.daily == (used(11),)
    assert ends.next_at == datetime(2026, 6, 2, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize("day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
@given(minutes=st.integers(0, 2 * 1440), hour=st.integers(0, 23))
def test_a_time_of_the_day_comes_once_a_day(day: datetime, minutes: int, hour: int) -> None:
    """Also around the days on which clocks change, a moment lies between two that are about a day apart."""
    now = day - timedelta(days=1) + timedelta(minutes=minutes)
    before, after = daily_before(f"{hour:02}:30", now, BERLIN), daily_after(f"{hour:02}:30", now, BERLIN)
    assert before <= now < after
    assert timedelta(hours=22) <= after - before <= timedelta(hours=26)
