"""Cron expressions: what is understood, what is refused and how, which local times they mean."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.schedules.cron import WrongCron, parse_cron

MIDNIGHT = datetime(2026, 1, 1)


def first(text: str, count: int = 3, after: datetime = MIDNIGHT) -> list[str]:
    return [f"{moment:%m-%d %H:%M}" for moment in islice(parse_cron(text).times_after(after), count)]


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0 8 * * *", ["01-01 08:00", "01-02 08:00", "01-03 08:00"]),
        ("*/20 9 * * *", ["01-01 09:00", "01-01 09:20", "01-01 09:40"]),
        ("5/25 9 * * *", ["01-01 09:05", "01-01 09:30", "01-01 09:55"]),
        ("0 8-12/2 * * *", ["01-01 08:00", "01-01 10:00", "01-01 12:00"]),
        ("0 8,20 * * *", ["01-01 08:00", "01-01 20:00", "01-02 08:00"]),
        ("0 8 * * 1-5", ["01-01 08:00", "01-02 08:00", "01-05 08:00"]),
        ("0 8 * * mon-Fri", ["01-01 08:00", "01-02 08:00", "01-05 08:00"]),
        ("0 8 * * fri-mon", ["01-02 08:00", "01-03 08:00", "01-04 08:00"]),
        ("0 8 * * 6-7", ["01-03 08:00", "01-04 08:00", "01-10 08:00"]),
        ("0 8 * * Sunday", ["01-04 08:00", "01-11 08:00", "01-18 08:00"]),
        ("0 8 * feb,December *", ["02-01 08:00", "02-02 08:00", "02-03 08:00"]),
        ("0 8 L * *", ["01-31 08:00", "02-28 08:00", "03-31 08:00"]),
        ("0 8 1,L * *", ["01-01 08:00", "01-31 08:00", "02-01 08:00"]),
        ("0 8 * * 5L", ["01-30 08:00", "02-27 08:00", "03-27 08:00"]),
        ("0 8 * * friL", ["01-30 08:00", "02-27 08:00", "03-27 08:00"]),
        ("0 8 * * 1#2", ["01-12 08:00", "02-09 08:00", "03-09 08:00"]),
        ("0 8 13 * 5", ["01-02 08:00", "01-09 08:00", "01-13 08:00"]),
        ("0 8 */10 * 5", ["05-01 08:00", "07-31 08:00", "08-21 08:00"]),
        ("0 8 29 2 *", ["02-29 08:00", "02-29 08:00", "02-29 08:00"]),
        ("@daily", ["01-02 00:00", "01-03 00:00", "01-04 00:00"]),
        ("@Weekly", ["01-04 00:00", "01-11 00:00", "01-18 00:00"]),
        ("@monthly", ["02-01 00:00", "03-01 00:00", "04-01 00:00"]),
        ("@yearly", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
        ("  0   8  *  * *  ", ["01-01 08:00", "01-02 08:00", "01-03 08:00"]),
    ],
)
def test_an_expression_means_these_times(text: str, times: list[str]) -> None:
    """Each form that is understood gives the times that every cron gives for it."""
    assert first(text) == times


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("0 8 * *", "expression", "has 4 fields, and needs 5"),
        ("0 0 8 * * *", "expression", "has 6 fields, and needs 5"),
        ("", "expression", "has 0 fields"),
        ("@reboot", "expression", "is none of @hourly"),
        ("60 8 * * *", "minute", "60 is not between 0 and 59"),
        ("x 8 * * *", "minute", "'x' is no number from 0 to 59"),
        ("-5 8 * * *", "minute", "nothing is no number"),
        ("0 24 * * *", "hour", "24 is not between 0 and 23"),
        ("0 18-8 * * *", "hour", "the range ends before it begins (18 to 8)"),
        ("0 8, * * *", "hour", "a comma with nothing beside it"),
        ("*/0 8 * * *", "minute", "after the slash stands a number from 1 to 60"),
        ("*/x 8 * * *", "minute", "after the slash"),
        ("*/99999999999 8 * * *", "minute", "after the slash"),
        ("0 8 0 * *", "day of the month", "0 is not between 1 and 31"),
        ("0 8 15W * *", "day of the month", "'15W' is no number"),
        ("0 8 L-3 * *", "day of the month", "'L' is no number"),
        ("0 8 * 13 *", "month", "13 is not between 1 and 12"),
        ("0 8 * janvier *", "month", "'janvier' is no number from 1 to 12 and no name"),
        ("0 8 * * 8", "day of the week", "8 is not between 0 and 7"),
        ("0 8 * * montag", "day of the week", "'montag' is no number"),
        ("0 8 * * 1#6", "day of the week", "after # stands which of the month's"),
        ("0 8 * * ?", "day of the week", "'?' is no number"),
        ("0 8 30 2 *", "expression", "no day ever fits it"),
        ("0 8 31 4,6 *", "expression", "no day ever fits it"),
        ("٣ 8 * * *", "minute", "is no number"),
        ("0" * 300, "expression", "more than 200 characters"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong(text: str, field: str, reason: str) -> None:
    """The error names the field, the reason and an example."""
    with pytest.raises(WrongCron) as caught:
        parse_cron(text)
    assert caught.value.field == field
    assert reason in str(caught.value)
    assert "for example" in str(caught.value)


def test_a_leap_day_is_found_over_eight_years() -> None:
    """29 February is found where a century leaves it out, and with a weekday on whichever comes first."""
    found = next(parse_cron("0 0 29 2 *").times_after(datetime(2096, 3, 1)))
    assert found.date() == date(2104, 2, 29)


_PARTS = st.one_of(
    st.just("*"),
    st.integers(0, 59).map(str),
    st.tuples(st.integers(0, 29), st.integers(30, 59)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    st.integers(1, 30).map(lambda step: f"*/{step}"),
)
_HOURS = st.one_of(st.just("*"), st.integers(0, 23).map(str), st.integers(1, 12).map(lambda step: f"*/{step}"))
_DAYS = st.sampled_from(["*", "1", "29", "L", "1-10", "*/7"])
_MONTHS = st.sampled_from(["*", "1", "2", "feb-apr", "*/5"])
_WEEKDAYS = st.sampled_from(["*", "0", "7", "mon-fri", "5L", "2#3", "*/2"])
EXPRESSIONS = st.tuples(_PARTS, _HOURS, _DAYS, _MONTHS, _WEEKDAYS).map(" ".join)


@given(EXPRESSIONS, st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))
def test_times_are_those_that_fit_in_order(text: str, after: datetime) -> None:
    """What is found next is what minute after minute, held against the fields, finds next."""
    cron = parse_cron(text)
    found = next(cron.times_after(after))
    assert found > after
    assert cron.has(found)
    moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for _ in range(3000):
        if moment == found:
            return
        assert not cron.has(moment)
        moment += timedelta(minutes=1)


@given(st.text(alphabet="0123456789*/-,#@L ?WmonabcJFe", max_size=40))
def test_any_text_is_an_expression_or_wrong(text: str) -> None:
    """No text breaks the parser: it is understood, or refused with its words."""
    try:
        assert next(parse_cron(text).times_after(MIDNIGHT)) > MIDNIGHT
    except WrongCron as error:
        assert str(error)
