"""Which conversations end by themselves now, and when to look again. Pure.

What is used again meanwhile stays: `session_rows.expire` looks again, in its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from runtime.sessions.records import CurrentSession
from runtime.sessions.settings import SessionSettings

IDLE = "idle"
DAILY = "daily"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What ends now, by reason, and when the next one would."""

    idle: tuple[CurrentSession, ...]
    daily: tuple[CurrentSession, ...]
    next_at: datetime | None
    """When to look again: a conversation that begins right after this look ends no sooner. None: there is no policy."""


def decide_ends(sessions: Iterable[CurrentSession], settings: SessionSettings, now: datetime, zone: tzinfo) -> Ends:
    """Return what ends now."""
    last_daily = daily_before(settings.daily_at, now, zone) if settings.daily_at else None
    idle, daily = [], []
    next_at = [] if settings.idle_hours is None else [now + timedelta(hours=settings.idle_hours)]
    if settings.daily_at:
        next_at.append(daily_after(settings.daily_at, now, zone))
    for session in sessions:
        used_at = datetime.fromisoformat(session.used_at)
        if last_daily is not None and used_at < last_daily:
            daily.append(session)
            continue
        if settings.idle_hours is not None:
            ends_at = used_at + timedelta(hours=settings.idle_hours)
            if ends_at <= now:
                idle.append(session)
                continue
            next_at.append(ends_at)
    return Ends(idle=tuple(idle), daily=tuple(daily), next_at=min(next_at, default=None))


def daily_before(at: str, now: datetime, zone: tzinfo) -> datetime:
    """Return the last moment, now or before, at which the zone's clocks showed this time."""
    return max(moment for moment in _moments(at, now, zone) if moment <= now)


def daily_after(at: str, now: datetime, zone: tzinfo) -> datetime:
    """Return the next such moment."""
    return min(moment for moment in _moments(at, now, zone) if moment > now)


def _moments(at: str, now: datetime, zone: tzinfo) -> list[datetime]:
    """Return the time on the days around now; on a day whose clocks skip it, as far behind the gap as it would be."""
    hour, minute = (int(part) for part in at.split(":"))
    today = now.astimezone(zone).date()
    days = [today + timedelta(days=offset) for offset in (-2, -1, 0, 1, 2)]
    return [datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC) for day in days]
