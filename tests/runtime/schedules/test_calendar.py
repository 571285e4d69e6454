"""Due times over changes of the clocks, held against a walk from minute to minute of real time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.schedules.calendar import MAX_COUNTED, ByCron, Every, Once, dues_gone_by, next_due
from runtime.schedules.cron import Cron, parse_cron
from tests.runtime.schedules.test_cron import EXPRESSIONS

MINUTE = timedelta(minutes=1)
BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def dues(text: str, after: str, count: int, zone: ZoneInfo = BERLIN) -> list[str]:
    """The next due times, as the zone's clocks show them with their offset."""
    moment, found = utc(after), []
    for _ in range(count):
        due = next_due(ByCron(cron=parse_cron(text)), moment, zone)
        assert due is not None
        found.append(f"{due.astimezone(zone):%m-%d %H:%M%z}")
        moment = due
    return found


def walked(cron: Cron, first: datetime, minutes: int, zone: ZoneInfo) -> list[datetime]:
    """The oracle: look at each minute of real time and at what the clocks showed a minute before."""
    found = []
    before = (first - MINUTE).astimezone(zone).replace(tzinfo=None)
    for index in range(minutes):
        moment = first + index * MINUTE
        aware = moment.astimezone(zone)
        shown = aware.replace(tzinfo=None, fold=0)
        if cron.is_every_hour:
            is_due = cron.has(shown)
        else:
            skipped = before + MINUTE
            is_due = cron.has(shown) and aware.fold == 0
            while skipped < shown:
                is_due = is_due or cron.has(skipped)
                skipped += MINUTE
        if is_due:
            found.append(moment)
        before = shown
    return found


@pytest.mark.parametrize(
    ("text", "after", "zone", "expected"),
    [
        # The clocks of Berlin jump from 02:00 to 03:00 on 2026-03-29, and back from 03:00 to 02:00 on 2026-10-25.
        ("30 2 * * *", "2026-03-28T00:00", "Europe/Berlin", "03-28 02:30+0100, 03-29 03:00+0200, 03-30 02:30+0200"),
        ("*/10 2 * * *", "2026-03-29T00:55", "Europe/Berlin", "03-29 03:00+0200, 03-30 02:00+0200, 03-30 02:10+0200"),
        ("0 2,3 * * *", "2026-03-29T00:55", "Europe/Berlin", "03-29 03:00+0200, 03-30 02:00+0200, 03-30 03:00+0200"),
        ("30 2 * * *", "2026-10-24T12:00", "Europe/Berlin", "10-25 02:30+0200, 10-26 02:30+0100, 10-27 02:30+0100"),
        ("30 * * * *", "2026-03-29T00:00", "Europe/Berlin", "03-29 01:30+0100, 03-29 03:30+0200, 03-29 04:30+0200"),
        ("30 * * * *", "2026-10-25T00:00", "Europe/Berlin", "10-25 02:30+0200, 10-25 02:30+0100, 10-25 03:30+0100"),
        ("0 2 8 3 *", "2026-03-08T00:00", "America/New_York", "03-08 03:00-0400, 03-08 02:00-0500, 03-08 02:00-0500"),
        # Lord Howe's clocks change by half an hour.
        (
            "10 2 * * *",
            "2026-10-02T16:00",
            "Australia/Lord_Howe",
            "10-04 02:30+1100, 10-05 02:10+1100, 10-06 02:10+1100",
        ),
        (
            "45 1 * * *",
            "2026-04-03T16:00",
            "Australia/Lord_Howe",
            "04-05 01:45+1100, 04-06 01:45+1030, 04-07 01:45+1030",
        ),
        # Samoa had no 30 December 2011.
        ("0 9 30 12 *", "2011-12-29T00:00", "Pacific/Apia", "12-31 00:00+1400, 12-30 09:00+1400, 12-30 09:00+1400"),
        ("0 * 30 12 *", "2011-12-29T00:00", "Pacific/Apia", "12-30 00:00+1400, 12-30 01:00+1400, 12-30 02:00+1400"),
    ],
)
def test_a_change_of_the_clocks_costs_no_run_and_adds_none(text: str, after: str, zone: str, expected: str) -> None:
    """A time that does not exist is due right after the gap, one that exists twice is due the first time."""
    assert ", ".join(dues(text, after, 3, ZoneInfo(zone))) == expected


ZONES = st.sampled_from(
    [
        *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca"),
        *("Asia/Kathmandu", "America/Havana", "Atlantic/Azores", "Antarctica/Troll", "Pacific/Apia", "UTC"),
    ]
).map(ZoneInfo)
NEAR_CHANGES = st.one_of(
    st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1)),
    st.tuples(
        st.sampled_from(
            [
                *("2026-03-29T00:00", "2026-10-25T00:00", "2026-03-08T06:00", "2026-11-01T05:00", "2026-10-03T15:00"),
                *("2026-04-04T15:00", "2011-12-30T09:00", "2026-03-08T05:00", "2010-11-07T02:00", "2026-02-15T02:00"),
            ]
        ).map(datetime.fromisoformat),
        st.integers(-1500, 300),
    ).map(lambda pair: pair[0] + pair[1] * MINUTE),
)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, NEAR_CHANGES, ZONES)
def test_due_times_are_those_of_a_walk_through_the_minutes(text: str, start: datetime, zone: ZoneInfo) -> None:
    """Over two days, every expression in every zone is due exactly when a walk through each real minute says."""
    cron, first, minutes = parse_cron(text), start.replace(second=0, microsecond=0, tzinfo=UTC), 2 * 24 * 60
    expected = walked(cron, first, minutes, zone)
    found, moment = [], first - timedelta(seconds=1)
    while (due := next_due(ByCron(cron=cron), moment, zone)) is not None and due < first + minutes * MINUTE:
        found.append(due)
        moment = due
    assert found == expected


@given(st.integers(60, 10**7), st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(-(10**7), 10**9))
def test_an_interval_keeps_its_grid(every_s: int, since: datetime, later_s: int) -> None:
    """An interval's next time is on its grid, after the moment asked for, and not more than one interval away."""
    timing = Every(every_s=every_s, since=since.replace(tzinfo=UTC))
    after = timing.since + timedelta(seconds=later_s)
    due = next_due(timing, after, BERLIN)
    assert due is not None
    assert due > max(after, timing.since)
    assert (due - timing.since) % timedelta(seconds=every_s) == timedelta(0)
    assert due - max(after, timing.since) <= timedelta(seconds=every_s)


def test_a_moment_is_due_once() -> None:
    """A single moment is due until it has come, and then never again."""
    at = utc("2026-05-01T08:00")
    assert next_due(Once(at=at), at - MINUTE, BERLIN) == at
    assert next_due(Once(at=at), at, BERLIN) is None


@settings(max_examples=60, deadline=None)
@given(
    EXPRESSIONS, st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)), ZONES, st.integers(1, 5), st.integers(0, 60)
)
def test_what_has_gone_by_is_counted_and_its_newest_named(
    text: str, start: datetime, zone: ZoneInfo, keep: int, days: int
) -> None:
    """The count is that of all due times of the span up to its cap; the newest are the last ones in order."""
    timing = ByCron(cron=parse_cron(text))
    first = next_due(timing, start.replace(tzinfo=UTC), zone)
    assert first is not None
    until = first + timedelta(days=days)
    all_of_them, moment = [first], first
    while (due := next_due(timing, moment, zone)) is not None and due <= until and len(all_of_them) < 90_000:
        all_of_them.append(due)
        moment = due
    gone_by = dues_gone_by(timing, first, until, zone, keep)
    assert gone_by.count == min(len(all_of_them), MAX_COUNTED)
    assert list(gone_by.newest) == all_of_them[-keep:]


def test_years_gone_by_are_not_walked_through() -> None:
    """A host that was away for ten years of minutes finds the newest at once, in order."""
    first = utc("2016-01-01T00:00")
    gone_by = dues_gone_by(ByCron(cron=parse_cron("* * * * *")), first, utc("2026-01-01T00:00"), BERLIN, keep=10)
    assert gone_by.count == MAX_COUNTED
    assert gone_by.newest[-1] == utc("2026-01-01T00:00")
    assert all(later - earlier == MINUTE for earlier, later in pairwise(gone_by.newest))
