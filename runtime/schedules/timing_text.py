"""A timing as the text that the store keeps, back, and as people read it. Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Literal

from runtime.schedules.calendar import ByCron, Every, Once, Timing
from runtime.schedules.cron import parse_cron

TimingKind = Literal["once", "cron", "every"]
_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def timing_row(timing: Timing) -> tuple[TimingKind, str]:
    """Return kind and text of a timing."""
    match timing:
        case Once(at=at):
            return "once", at.isoformat()
        case ByCron(cron=cron):
            return "cron", cron.text
        case Every(every_s=every_s, since=since):
            return "every", f"{every_s} {since.isoformat()}"


def timing_of(kind: str, text: str) -> Timing:
    """Return the timing that `timing_row` wrote."""
    if kind == "once":
        return Once(at=datetime.fromisoformat(text))
    if kind == "cron":
        return ByCron(cron=parse_cron(text))
    every_s, _, since = text.partition(" ")
    return Every(every_s=int(every_s), since=datetime.fromisoformat(since))


def describe_timing(timing: Timing, zone_name: str, zone: tzinfo) -> str:
    """Return a timing in words: `cron 0 8 * * 1-5 (Europe/Berlin)`, `every 2 hours`, `on 2026-12-01 09:00 (UTC)`."""
    match timing:
        case Once(at=at):
            return f"on {at.astimezone(zone):%Y-%m-%d %H:%M} ({zone_name})"
        case ByCron(cron=cron):
            return f"cron {cron.text} ({zone_name})"
        case Every(every_s=every_s):
            return f"every {describe_span(every_s)}"


def describe_span(seconds: int) -> str:
    """Return a span in its largest whole unit: `90 minutes`, `day`."""
    for unit, size in _UNITS:
        if seconds % size == 0 and seconds:
            number = seconds // size
            return unit if number == 1 else f"{number} {unit}s"
    return "0 seconds"
