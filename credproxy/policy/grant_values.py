"""The small values in a grant: rates, sizes, durations, instants, yes and no. Pure.

Each is taken from its own text, so that YAML's ideas of dates and numbers do not come in between.
"""

from __future__ import annotations

import datetime
import re

import yaml

from credproxy.policy.yaml_nodes import NodeReader

_UNIT_S = {
    "s": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}
_RATE = re.compile(r"([1-9][0-9]{0,6})/([a-z]+)")
_DURATION = re.compile(r"([1-9][0-9]{0,6})([a-z]+)")
_SIZE = re.compile(r"([0-9]{1,10})(B|KB|MB|GB)?")
_SIZE_UNITS = {None: 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_duration(text: str) -> float | None:
    """Return the seconds of `90s`, `10m`, `2h`, `7d`; None for anything else."""
    found = _DURATION.fullmatch(text)
    unit_s = _UNIT_S.get(found[2]) if found is not None else None
    return None if found is None or unit_s is None else int(found[1]) * unit_s


def parse_instant(text: str) -> float | None:
    """Return the epoch seconds of `2026-12-31` (its end, UTC) or `2026-12-31T18:00Z`; None for anything else."""
    try:
        at = datetime.datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=datetime.UTC)
        if _DAY.fullmatch(text) is not None:
            at += datetime.timedelta(days=1)
        return at.timestamp()
    except (ValueError, OverflowError):
        return None


def read_rate(reader: NodeReader, node: yaml.Node, key: str) -> tuple[int, float] | None:
    """Return (how many, in how many seconds) of `30/m`."""
    found = _RATE.fullmatch(reader.word(node))
    unit_s = _UNIT_S.get(found[2]) if found is not None else None
    if found is None or unit_s is None:
        reader.complain(node, key, "expected a number per s, m, h or d, such as 30/m")
        return None
    return int(found[1]), unit_s


def read_duration(reader: NodeReader, node: yaml.Node, key: str, *, least_s: float, most_s: float) -> float | None:
    seconds = parse_duration(reader.word(node))
    if seconds is None or not least_s <= seconds <= most_s:
        reader.complain(node, key, f"expected a time from {least_s:g}s to {most_s:g}s, such as 90s, 10m or 2h")
        return None
    return seconds


def read_instant(reader: NodeReader, node: yaml.Node, key: str) -> float | None:
    at = parse_instant(reader.word(node))
    if at is None:
        reader.complain(node, key, "expected a day such as 2026-12-31 (to its end, UTC) or 2026-12-31T18:00Z")
    return at


def read_size(reader: NodeReader, node: yaml.Node, key: str, most: int) -> int | None:
    """Return the bytes of `500`, `64KB`, `10MB`, `1GB`."""
    found = _SIZE.fullmatch(reader.word(node))
    size = int(found[1]) * _SIZE_UNITS[found[2]] if found is not None else -1
    if not 0 <= size <= most:
        reader.complain(node, key, f"expected a size up to {most >> 20}MB, such as 500KB or 10MB")
        return None
    return size


def read_yes(reader: NodeReader, node: yaml.Node, key: str) -> bool:
    word = reader.word(node)
    if word not in ("true", "false"):
        reader.complain(node, key, "must be true or false")
    return word == "true"
