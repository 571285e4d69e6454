"""Discord's ids: they grow with time and tell when they were made. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

EPOCH_MS = 1_420_070_400_000
_TIME_SHIFT = 22


class Snowflakes:
    """Mints ids that only grow, also where several fall into one millisecond."""

    def __init__(self) -> None:
        self._last = 0

    def mint(self, now_s: float) -> str:
        self._last = max(self._last + 1, first_id_at(now_s))
        return str(self._last)


def first_id_at(now_s: float) -> int:
    return (int(now_s * 1000) - EPOCH_MS) << _TIME_SHIFT


def made_at(snowflake: str) -> float:
    """Return when an id was made, in seconds since 1970."""
    return ((int(snowflake) >> _TIME_SHIFT) + EPOCH_MS) / 1000


def is_snowflake(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20


def as_timestamp(now_s: float) -> str:
    """Return an instant as Discord writes it: `2026-11-21T21:30:00.123000+00:00`."""
    return datetime.fromtimestamp(now_s, UTC).isoformat(timespec="microseconds")
