"""When something is due: the next time of a timing, and those that have gone by. Pure.

All times here are aware and in UTC. Where the clocks of a zone change:
- a local time that does not exist is due once, in the moment in which the gap ends;
- a local time that exists twice is due once, the first time;
- a cron expression that names no hour (`*/15 * * * *`, `0 * * * *`) goes by elapsed time instead: it is due in each
  real hour, so that an hour that comes twice has its runs twice, and nothing is made up for one that never was;
- an interval counts seconds from where it began, whatever the clocks show.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from runtime.schedules.cron import Cron

MINUTE = timedelta(minutes=1)
MAX_COUNTED = 1000
"""Times gone by are counted up to here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """One moment."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCron:
    """A cron expression's times on the clocks of a zone."""

    cron: Cron


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """So many seconds apart, counted from `since`; the first is due one interval after it."""

    every_s: int
    since: datetime


Timing = Once | ByCron | Every


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneBy:
    """The due times of a span."""

    count: int
    """At most MAX_COUNTED, which then means that many or more."""
    newest: tuple[datetime, ...]
    """The last of them, oldest first."""


def next_due(timing: Timing, after: datetime, zone: tzinfo) -> datetime | None:
    """Return the first due time after a moment; None: there is none any more."""
    match timing:
        case Once(at=at):
            return at if at > after else None
        case Every(every_s=every_s, since=since):
            rounds = max(0, (after - since) // timedelta(seconds=every_s))
            return since + timedelta(seconds=every_s) * (rounds + 1)
        case ByCron(cron=cron):
            return _next_elapsed(cron, after, zone) if cron.is_every_hour else _next_shown(cron, after, zone)


def dues_gone_by(timing: Timing, first: datetime, until: datetime, zone: tzinfo, keep: int) -> GoneBy:
    """Return the due times from `first`, which is one, to `until`, both included; the last `keep` of them by name."""
    count, moment = 0, first - MINUTE / 60
    kept: list[datetime] = []
    while count < MAX_COUNTED:
        due = next_due(timing, moment, zone)
        if due is None or due > until:
            return GoneBy(count=count, newest=tuple(kept[-keep:]))
        count, moment = count + 1, due
        kept.append(due)
    return GoneBy(count=count, newest=_newest(timing, first, until, zone, keep))


def _newest(timing: Timing, first: datetime, until: datetime, zone: tzinfo, keep: int) -> tuple[datetime, ...]:
    """Look back over spans of double length until enough is found: a year of minutes is not walked through."""
    span = timedelta(hours=1)
    while True:
        moment = max(until - span, first - MINUTE / 60)
        found: deque[datetime] = deque(maxlen=keep)
        while (due := next_due(timing, moment, zone)) is not None and due <= until:
            moment = due
            found.append(due)
        if len(found) >= keep or until - span <= first:
            return tuple(found)
        span *= 2


def utc_of(local: datetime, zone: tzinfo) -> datetime:
    """Return the moment of a local time without a zone: the first of two, or the gap's end for one that never is."""
    moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == local:
        return moment
    # In a gap both offsets are known: the clocks jump between what the later and what the earlier one make of it.
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _jump(min(early, moment), max(early, moment), zone)


def _jump(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the first second in (before, after] that has the later offset."""
    offset = after.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        moment = before + timedelta(seconds=middle)
        low, high = (low, middle) if moment.astimezone(zone).utcoffset() == offset else (middle, high)
    return before + timedelta(seconds=high)


def _next_shown(cron: Cron, after: datetime, zone: tzinfo) -> datetime | None:
    """The moments of local times never go backwards, so that the first that is late enough is the next."""
    for local in cron.times_after(after.astimezone(zone).replace(tzinfo=None)):
        moment = utc_of(local, zone)
        if moment > after:
            return moment
    return None


def _next_elapsed(cron: Cron, after: datetime, zone: tzinfo) -> datetime | None:
    """Go from minute to minute of real time, over days that do not count in one step."""
    moment = after.replace(second=0, microsecond=0) + MINUTE
    while True:
        local = moment.astimezone(zone)
        day = cron.next_day(local.date())
        if day is None:
            return None
        if day != local.date():
            start = utc_of(datetime(day.year, day.month, day.day), zone)
            moment = max(start, moment + MINUTE)
        elif local.minute in cron.minutes:
            return moment
        else:
            moment += MINUTE
