"""Time zones by name, as schedules and settings give them."""

from __future__ import annotations

import difflib
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from runtime.refusal import OperationRefused

MAX_NAME_CHARS = 60


def find_zone(name: str) -> tzinfo:
    """Return the zone of a name (`Europe/Berlin`, `UTC`); raise OperationRefused, with a near one, for any other."""
    try:
        return ZoneInfo(name) if 0 < len(name) <= MAX_NAME_CHARS else _unknown(name)
    except (
        ZoneInfoNotFoundError,
        ValueError,
        OSError,
    ):  # ValueError: no path, as `../x`; OSError: a folder, as `Europe`
        return _unknown(name)


def zone_of(name: str) -> tzinfo:
    """Return the zone of a name that was known once: UTC if the machine does not know it any more."""
    try:
        return find_zone(name)
    except OperationRefused:
        return UTC


def _unknown(name: str) -> tzinfo:
    if not available_timezones():
        raise OperationRefused("unknown_zone", "this machine has no time zones", "install its package tzdata")
    near = difflib.get_close_matches(name[:MAX_NAME_CHARS], sorted(available_timezones()), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise OperationRefused("unknown_zone", f"there is no time zone {name[:40]!r}{hint}", "--zone Europe/Berlin")
