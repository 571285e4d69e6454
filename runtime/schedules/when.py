"""The words that say when: what people type before a schedule's text. Pure.

`in 20 min` · `in 1h30m` · `at 18:00` · `tomorrow 9:00` · `on 2026-12-01 09:00` · `on friday 8:30am` · `every 15 min` ·
`every 2 hours` · `every day 08:00` · `every weekday 08:00` · `every mon,thu 08:00` · `every month 1 08:00` ·
`cron "0 8 * * 1-5"` · `cron @daily`. A time of the day is `8:00`, `08:00`, `8am` or `8:30pm`; `at` may stand before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from runtime.schedules.calendar import ByCron, Every, Once, Timing, next_due, utc_of
from runtime.schedules.cron import WEEKDAYS, parse_cron

LEAST_EVERY_S = 60
MOST_EVERY_S = 366 * 86_400
MOST_AHEAD = timedelta(days=3 * 366)

_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3_600, "hr": 3_600, "hour": 3_600,
          "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800}  # fmt: skip
_SPAN = re.compile(r"(\d{1,7})\s*([a-z]+)\b\s*(?:,|and\b)?\s*", re.IGNORECASE)
_SPANS_TOGETHER = re.compile(r"(?:\d{1,7}[a-z]+)+(?=\s|$)", re.IGNORECASE)
_TIME = re.compile(r"(?:at\s+)?(\d{1,2})(?::(\d{2}))?\s*(am|pm)?(?=\s|$)", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:T|\s+|$)", re.IGNORECASE)
_WORD = re.compile(r"(\S+)\s*")
_QUOTED = re.compile(r'["“”„\']([^"“”\']*)["“”\']\s*')


class WrongWhen(ValueError):
    """Words that do not say when; the message names them, the reason and an example."""

    def __init__(self, given: str, reason: str, example: str) -> None:
        super().__init__(given, reason, example)
        self.given = given
        self.reason = reason
        self.example = example

    def __str__(self) -> str:
        return f"{self.given[:60]!r}: {self.reason}; for example `{self.example}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    timing: Timing
    rest: str
    """What stood after the words."""


def parse_when(text: str, now: datetime, zone: tzinfo) -> When:
    """Return what the beginning of a text says about time; `now` is aware. Raises WrongWhen, WrongCron."""
    word, rest = _next_word(text)
    reader = _READERS.get(word.lower())
    if reader is None:
        reason = f"it should begin with one of {', '.join(_READERS)}"
        raise WrongWhen(word or "(nothing)", reason, "every day 08:00 Good morning")
    return reader(rest, now, zone)


def read_span_s(text: str, example: str) -> tuple[int, str]:
    """Return the seconds that the beginning of a text says, and what stands after: `20 min`, `1h30m`, `2 hours`."""
    seconds, rest = 0, text
    joined = _SPANS_TOGETHER.match(text)
    while (found := _SPAN.match(rest) or (_joined_part(rest) if joined else None)) is not None:
        unit = _UNITS.get(found[2].lower()) or _UNITS.get(found[2].lower().removesuffix("s"))
        if unit is None:
            break
        seconds, rest = seconds + int(found[1]) * unit, rest[found.end() :]
    if not seconds:
        raise WrongWhen(
            text[:40] or "(nothing)", "it is no span of time, as `20 min`, `2 hours` or `1h30m` are", example
        )
    return seconds, rest


def _joined_part(text: str) -> re.Match[str] | None:
    return re.match(r"(\d{1,7})([a-z])(?=\d)", text, re.IGNORECASE)


def _in(rest: str, now: datetime, zone: tzinfo) -> When:
    del zone
    seconds, text = read_span_s(rest, "in 20 min Look at the oven")
    if timedelta(seconds=seconds) > MOST_AHEAD:
        raise WrongWhen(rest[:40], "that is more than three years ahead", "in 20 min Look at the oven")
    return When(timing=Once(at=now + timedelta(seconds=seconds)), rest=text)


def _at(rest: str, now: datetime, zone: tzinfo) -> When:
    at, text = _time_of_day(rest, "at 18:00 Call it a day")
    return _once(datetime.combine(now.astimezone(zone).date(), at), now, zone, text, step=timedelta(days=1))


def _today(rest: str, now: datetime, zone: tzinfo) -> When:
    at, text = _time_of_day(rest, "today 18:00 Call it a day")
    return _once(datetime.combine(now.astimezone(zone).date(), at), now, zone, text)


def _tomorrow(rest: str, now: datetime, zone: tzinfo) -> When:
    at, text = _time_of_day(rest, "tomorrow 9:00 Water the plants")
    return _once(datetime.combine(now.astimezone(zone).date() + timedelta(days=1), at), now, zone, text)


def _on(rest: str, now: datetime, zone: tzinfo) -> When:
    example = "on 2026-12-01 09:00 Wish them well"
    found = _DATE.match(rest)
    if found is not None:
        try:
            day = datetime(int(found[1]), int(found[2]), int(found[3]))
        except ValueError as error:
            raise WrongWhen(found[0].strip(), f"there is no such day ({error})", example) from error
        at, text = _time_of_day(rest[found.end() :], example)
        return _once(datetime.combine(day.date(), at), now, zone, text)
    word, after = _next_word(rest)
    weekday = WEEKDAYS.get(word.lower().rstrip(","))
    if weekday is None:
        raise WrongWhen(word or "(nothing)", "it is neither a date (YYYY-MM-DD) nor a day of the week", example)
    at, text = _time_of_day(after, "on friday 17:00 Tidy up")
    today = now.astimezone(zone).date()
    first = today + timedelta(days=(weekday - today.isoweekday()) % 7)
    return _once(datetime.combine(first, at), now, zone, text, step=timedelta(days=7))


def _once(local: datetime, now: datetime, zone: tzinfo, rest: str, step: timedelta | None = None) -> When:
    """Return a single moment; with a `step` the next such one, if it is over already."""
    moment = utc_of(local, zone)
    if moment <= now and step is not None:
        moment = utc_of(local + step, zone)
    shown = f"{local:%Y-%m-%d %H:%M}"
    if moment <= now:
        clock = now.astimezone(zone)
        raise WrongWhen(shown, f"that is over: it is {clock:%Y-%m-%d %H:%M} now", "in 20 min Look at the oven")
    if moment - now > MOST_AHEAD:
        raise WrongWhen(shown, "that is more than three years ahead", "on 2026-12-01 09:00 Wish them well")
    return When(timing=Once(at=moment), rest=rest)


def _every(rest: str, now: datetime, zone: tzinfo) -> When:
    del zone
    word, after = _next_word(rest)
    days = _days(word.lower())
    if days is not None and not (word.lower() == "day" and not _TIME.match(after)):
        at, text = _time_of_day(after, f"every {word.lower()} 08:00 Good morning")
        return _by_cron(f"{at.minute} {at.hour} * * {days}", text)
    if word.lower() == "month":
        return _monthly(after)
    if word.lower() in ("day", "week") and days is not None:
        raise WrongWhen(f"every {word}", "at what time?", "every day 08:00 Good morning")
    if word.lower() in ("minute", "hour"):
        rest = f"1 {rest}"
    every_s, text = read_span_s(rest, "every 2 hours Stretch")
    if not LEAST_EVERY_S <= every_s <= MOST_EVERY_S:
        reason = f"an interval is {LEAST_EVERY_S} seconds at least and a year at most"
        raise WrongWhen(f"every {rest[:40]}", reason, "every 15 min Look at the queue")
    return When(timing=Every(every_s=every_s, since=now), rest=text)


def _days(word: str) -> str | None:
    """Return the cron field of `day`, `weekday`, `weekend` or names of days with commas."""
    known = {"day": "*", "weekday": "1-5", "weekdays": "1-5", "weekend": "0,6", "weekends": "0,6"}.get(word)
    if known is not None:
        return known
    numbers = [_weekday(name) for name in word.split(",")]
    return ",".join(str(number) for number in numbers) if None not in numbers else None


def _weekday(name: str) -> int | None:
    return WEEKDAYS.get(name, WEEKDAYS.get(name.removesuffix("s")))


def _monthly(rest: str) -> When:
    example = "every month 1 08:00 Pay the rent"
    word, after = _next_word(rest)
    day = "L" if word.lower() == "last" else word.rstrip(".")
    if day != "L" and not (day.isdecimal() and 1 <= int(day[:3]) <= 31):
        raise WrongWhen(word or "(nothing)", "after `every month` stands a day from 1 to 31, or `last`", example)
    at, text = _time_of_day(after, example)
    return _by_cron(f"{at.minute} {at.hour} {day} * *", text)


def _cron(rest: str, now: datetime, zone: tzinfo) -> When:
    quoted = _QUOTED.match(rest)
    if quoted is not None:
        expression, text = quoted[1], rest[quoted.end() :]
    elif rest.startswith("@"):
        expression, text = _next_word(rest)
    else:
        words = rest.split(maxsplit=5)
        expression, text = " ".join(words[:5]), words[5] if len(words) > 5 else ""
    when = _by_cron(expression, text)
    if next_due(when.timing, now, zone) is None:
        raise WrongWhen(expression, "it is never due", 'cron "0 8 * * 1-5" Good morning')
    return when


def _by_cron(expression: str, rest: str) -> When:
    return When(timing=ByCron(cron=parse_cron(expression)), rest=rest)


def _time_of_day(text: str, example: str) -> tuple[time, str]:
    found = _TIME.match(text)
    if found is None or (found[2] is None and found[3] is None):
        reason = "here stands a time of the day, as `08:00` or `8am`"
        raise WrongWhen(_next_word(text)[0] or "(nothing)", reason, example)
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
    if minute > 59 or hour > (12 if half else 23) or (half and not hour):
        raise WrongWhen(found[0].strip(), "there is no such time", example)
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return time(hour, minute), text[found.end() :].strip()


def _next_word(text: str) -> tuple[str, str]:
    found = _WORD.match(text.lstrip())
    return (found[1], text.lstrip()[found.end() :]) if found else ("", "")


_READERS: dict[str, Callable[[str, datetime, tzinfo], When]] = {
    "every": _every,
    "in": _in,
    "at": _at,
    "on": _on,
    "today": _today,
    "tomorrow": _tomorrow,
    "cron": _cron,
}
