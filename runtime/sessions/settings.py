"""What group.yaml says about when a conversation ends by itself. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.yaml_record import key

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _check_time(text: str) -> str | None:
    return None if not text or _TIME.fullmatch(text) else f'should be a time of day such as "04:00", not {text[:40]!r}'


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Neither: a conversation goes on until somebody says /new."""

    idle_hours: float | None = key(None, least=0.1)
    """So long after its last message or task."""
    daily_at: str = key("", check=_check_time)
    """At this time of the day, by `time_zone`."""
    archive_days: int = key(30, least=0)
    """So long after its end, and its last use, a conversation is packed; 0: never."""
