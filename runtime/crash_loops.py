"""Groups whose agents crash again and again: held back for longer and longer, until one attempt works. Pure.

Of all the group's tasks together: each task's own attempts are limited by itself, but messages go on coming, and a
container that dies at once costs a start every time. Times are monotonic and come in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import GroupId

CRASHES = 5
"""So many in a row, without an attempt that worked between them."""
WITHIN_S = 600.0
"""Crashes that lie further apart are no loop."""
FIRST_HOLD_S = 60.0
LONGEST_HOLD_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A group is held back from here on."""

    for_s: float
    number: int
    """Of its loop, from 1."""


@dataclass(slots=True)
class _Row:
    crashes: int = 0
    last_at: float = 0.0
    holds: int = 0
    held_until: float = 0.0


class CrashLoops:
    """What is known of each group since the host's start."""

    def __init__(self, first_hold_s: float = FIRST_HOLD_S) -> None:
        self._first_hold_s = first_hold_s
        self._rows: dict[GroupId, _Row] = {}

    def crashed(self, group_id: GroupId, now: float) -> Hold | None:
        """Note an agent's crash; return how its group is held back from here on, None if it is not, or is already."""
        row = self._rows.setdefault(group_id, _Row())
        if now - max(row.last_at, row.held_until) > WITHIN_S:
            row.crashes = row.holds = 0
        row.crashes += 1
        row.last_at = now
        if now < row.held_until or (row.crashes < CRASHES and not row.holds):
            return None
        hold_s = min(self._first_hold_s * float(2 ** min(row.holds, 10)), LONGEST_HOLD_S)
        row.holds += 1
        row.held_until = now + hold_s
        return Hold(for_s=hold_s, number=row.holds)

    def take_up(self, group_id: GroupId, now: float) -> None:
        """Go on with a hold that an earlier host began: as if it had just begun, for the shortest time."""
        self._rows[group_id] = _Row(crashes=CRASHES, last_at=now, holds=1, held_until=now + self._first_hold_s)

    def forget(self, group_id: GroupId) -> None:
        """End a loop: an attempt worked, or a person says that it is mended."""
        self._rows.pop(group_id, None)

    def held_until(self, group_id: GroupId, now: float) -> float | None:
        """Return until when a group is held back, None if it is not."""
        row = self._rows.get(group_id)
        return row.held_until if row is not None and row.held_until > now else None

    def next_release(self, now: float) -> float | None:
        """Return when the next group is let go, None if none is held."""
        return min((row.held_until for row in self._rows.values() if row.held_until > now), default=None)
