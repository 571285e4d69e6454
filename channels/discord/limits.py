"""Discord's rate limits as far as they are known beforehand; its headers say the rest. Pure.

Each route has a limit of its own in each channel. Discord publishes the 50 requests a second of a bot; the others are
what its headers say, 2026.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from channels.pace import Pace, Rate


class Route(enum.Enum):
    """The kinds of calls that share a limit."""

    SAY = enum.auto()
    EDIT = enum.auto()
    DELETE = enum.auto()
    REACT = enum.auto()
    TYPE = enum.auto()
    READ = enum.auto()
    COMMANDS = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceKey:
    """A route in a channel; 0 where it belongs to none."""

    channel: int
    route: Route


_ACCOUNT = Rate(calls=20, in_s=0.7, reserve=6)
"""20 at once and 28 a second: in no second more than 49."""
_RATES = {
    Route.SAY: Rate(calls=5, in_s=5.0, reserve=2),
    Route.EDIT: Rate(calls=5, in_s=5.0, reserve=1),
    Route.DELETE: Rate(calls=5, in_s=1.0),
    Route.REACT: Rate(calls=2, in_s=0.5),
    Route.TYPE: Rate(calls=5, in_s=5.0),
    Route.READ: Rate(calls=5, in_s=1.0),
    Route.COMMANDS: Rate(calls=2, in_s=60.0),
}


def build_pace(haste: float = 1.0) -> Pace[PaceKey]:
    """Return the pace of a new account. `haste`: how much faster than Discord's the server's clock goes, a twin's."""
    return Pace((_hastened(_ACCOUNT, haste),), lambda key: (_hastened(_RATES[key.route], haste),))


def _hastened(rate: Rate, haste: float) -> Rate:
    return replace(rate, in_s=rate.in_s / haste)
