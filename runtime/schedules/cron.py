"""A cron expression: five fields, parsed, and the local times that they mean. Pure.

Fields: minute (0-59), hour (0-23), day of the month (1-31), month (1-12 or names), day of the week (0-7 or names; 0 and
7 are Sunday). In each: `*`, a number, a range `1-5`, steps `*/15`, `8-18/2`, `10/5` (from 10 to the end), and lists of
those with commas. A range of weekdays may pass the week's end (`fri-mon`). Days of the month also know `L`, the last
day, days of the week `5L`, the month's last Friday, and `5#2`, its second. If both kinds of days are named, a day of
either kind counts, as in every cron; a field that begins with `*` names none, so that `*/2` there narrows the other
field. `@hourly`, `@daily` (`@midnight`), `@weekly`, `@monthly`, `@yearly` (`@annually`) stand for expressions.

What a local time is in UTC, and what becomes of one that a change of the clocks takes away, is `calendar.py`'s.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MAX_CHARS = 200
SEARCH_DAYS = 8 * 366 + 1
"""29 February may stay away for eight years (1896 to 1904, 2096 to 2104)."""
MACROS: Mapping[str, str] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAY_NAMES = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = {short: number for number, name in enumerate(_MONTH_NAMES, 1) for short in (name, name[:3])}
WEEKDAYS = {short: number for number, name in enumerate(_DAY_NAMES) for short in (name, name[:3])}
"""English names, whole or their first three letters; 0 is Sunday."""


class WrongCron(ValueError):
    """A text is no cron expression that is known here; says which field, why, and what would be one."""

    def __init__(self, field: str, given: str, reason: str, example: str) -> None:
        super().__init__(field, given, reason, example)
        self.field = field
        self.given = given
        self.reason = reason
        self.example = example

    def __str__(self) -> str:
        return f"cron, {self.field} {self.given[:40]!r}: {self.reason}; for example {self.example}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    least: int
    most: int
    example: str
    names: Mapping[str, int]


_FIELDS = (
    _Field(name="minute", least=0, most=59, example="`30` or `*/15`", names={}),
    _Field(name="hour", least=0, most=23, example="`8` or `8-18/2`", names={}),
    _Field(name="day of the month", least=1, most=31, example="`1`, `1,15` or `L`", names={}),
    _Field(name="month", least=1, most=12, example="`*`, `6` or `jan-mar`", names=_MONTHS),
    _Field(name="day of the week", least=0, most=7, example="`mon-fri`, `0`, `5L` or `1#2`", names=WEEKDAYS),
)
_WHOLE_EXAMPLE = '"0 8 * * 1-5", at eight from Monday to Friday'


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """An expression's times, in local time of no zone."""

    text: str
    """As it was given, its spaces made single."""
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    on_last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    nth_weekdays: frozenset[tuple[int, int]]
    """(weekday, which of the month's); -1 is the last."""
    names_days: bool
    """Whether the field of the days of the month narrows anything by itself."""
    names_weekdays: bool

    @property
    def is_every_hour(self) -> bool:
        """Whether it names no hour: then it goes by elapsed time, and not by what the clock on the wall shows."""
        return len(self.hours) == 24

    def has_day(self, day: date) -> bool:
        """Say whether any of its times are on a day."""
        if day.month not in self.months:
            return False
        by_month, by_week = self._has_month_day(day), self._has_weekday(day)
        return by_month or by_week if self.names_days and self.names_weekdays else by_month and by_week

    def _has_month_day(self, day: date) -> bool:
        return day.day in self.days or (self.on_last_day and day.day == calendar.monthrange(day.year, day.month)[1])

    def _has_weekday(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if weekday in self.weekdays:
            return True
        is_last = day.day + 7 > calendar.monthrange(day.year, day.month)[1]
        return (weekday, (day.day + 6) // 7) in self.nth_weekdays or (is_last and (weekday, -1) in self.nth_weekdays)

    def has(self, moment: datetime) -> bool:
        """Say whether a local time is one of its times, seconds apart."""
        return moment.minute in self.minutes and moment.hour in self.hours and self.has_day(moment.date())

    def next_day(self, day: date) -> date | None:
        """Return the first of its days that is not before `day`; None if there is none for eight years."""
        for _ in range(SEARCH_DAYS):
            if self.has_day(day):
                return day
            if day >= date.max - timedelta(days=31):
                return None
            day = day + timedelta(days=1) if day.month in self.months else _next_month(day)
        return None

    def times_after(self, moment: datetime) -> Iterator[datetime]:
        """Yield its local times after `moment`, in order; ends where eight years have none."""
        day: date | None = moment.date()
        while day is not None and (day := self.next_day(day)) is not None:
            for hour in self.hours:
                for minute in self.minutes:
                    found = datetime(day.year, day.month, day.day, hour, minute)
                    if found > moment:
                        yield found
            day = day + timedelta(days=1) if day < date.max else None


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def parse_cron(text: str) -> Cron:
    """Return what an expression says; raise WrongCron, also for one that no day ever fits."""
    words = text.split()
    shown = " ".join(words)
    if len(shown) > MAX_CHARS:
        raise WrongCron("expression", shown, f"has more than {MAX_CHARS} characters", _WHOLE_EXAMPLE)
    if len(words) == 1 and words[0].startswith("@"):
        words = _macro(words[0]).split()
    if len(words) != len(_FIELDS):
        reason = f"has {len(words)} fields, and needs 5: minute, hour, day of the month, month, day of the week"
        raise WrongCron("expression", shown, reason, _WHOLE_EXAMPLE)
    minute, hour, day, month, weekday = (_split(word, field) for word, field in zip(words, _FIELDS, strict=True))
    days = [part for part in day if part.upper() != "L"]
    nth = [part for part in weekday if _is_nth(part)]
    weekdays = [part for part in weekday if not _is_nth(part)]
    cron = Cron(
        text=shown,
        minutes=tuple(sorted(_numbers(minute, _FIELDS[0]))),
        hours=tuple(sorted(_numbers(hour, _FIELDS[1]))),
        days=frozenset(_numbers(days, _FIELDS[2])),
        on_last_day=len(days) < len(day),
        months=frozenset(_numbers(month, _FIELDS[3])),
        weekdays=frozenset(number % 7 for number in _numbers(weekdays, _FIELDS[4])),
        nth_weekdays=frozenset(_nth(part) for part in nth),
        names_days=not words[2].startswith("*"),
        names_weekdays=not words[4].startswith("*"),
    )
    if cron.next_day(date(2000, 1, 1)) is None:
        raise WrongCron("expression", shown, "no day ever fits it", '"0 8 28 2 *", on 28 February')
    return cron


def _macro(word: str) -> str:
    found = MACROS.get(word.lower())
    if found is None:
        raise WrongCron("expression", word, f"is none of {', '.join(MACROS)}", "`@daily`, every midnight")
    return found


def _split(word: str, field: _Field) -> list[str]:
    parts = word.split(",")
    if not all(parts):
        raise WrongCron(field.name, word, "has a comma with nothing beside it", field.example)
    return parts


def _numbers(parts: list[str], field: _Field) -> set[int]:
    return {number for part in parts for number in _range(part, field)}


def _range(part: str, field: _Field) -> list[int]:
    """Return the numbers of one part: `*`, `a`, `a-b`, each with `/step` if wanted."""
    span, slash, step_text = part.partition("/")
    step = _step(part, step_text, field) if slash else 1
    if span == "*":
        return list(range(field.least, field.most + 1, step))
    first_text, dash, last_text = span.partition("-")
    first = _number(part, first_text, field)
    if not dash:
        return list(range(first, field.most + 1, step)) if slash else [first]
    last = _number(part, last_text, field)
    if last >= first:
        return list(range(first, last + 1, step))
    if field.names is not WEEKDAYS:
        raise WrongCron(field.name, part, f"the range ends before it begins ({first} to {last})", field.example)
    return [number % 7 for number in range(first, last + 8, step)]


def _step(part: str, text: str, field: _Field) -> int:
    span = field.most - field.least + 1
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:6]) <= span or len(text) > 6:
        raise WrongCron(field.name, part, f"after the slash stands a number from 1 to {span}", field.example)
    return int(text)


def _number(part: str, text: str, field: _Field) -> int:
    named = field.names.get(text.lower())
    if named is not None:
        return named
    if not text.isdecimal() or not text.isascii() or len(text) > 4:
        raise WrongCron(field.name, part, f"{_what(text)} is no {_kind(field)}", field.example)
    if not field.least <= int(text) <= field.most:
        reason = f"{int(text)} is not between {field.least} and {field.most}"
        raise WrongCron(field.name, part, reason, field.example)
    return int(text)


def _what(text: str) -> str:
    return repr(text[:20]) if text else "nothing"


def _kind(field: _Field) -> str:
    return f"number from {field.least} to {field.most}" + (" and no name" if field.names else "")


def _is_nth(part: str) -> bool:
    return "#" in part or (len(part) > 1 and part[-1] in "Ll" and "-" not in part and "/" not in part)


def _nth(part: str) -> tuple[int, int]:
    """Return what `5L` or `5#2` names."""
    field = _FIELDS[4]
    if "#" not in part:
        return _number(part, part[:-1], field) % 7, -1
    weekday, _, which = part.partition("#")
    if which not in ("1", "2", "3", "4", "5"):
        raise WrongCron(field.name, part, "after # stands which of the month's, from 1 to 5", field.example)
    return _number(part, weekday, field) % 7, int(which)
