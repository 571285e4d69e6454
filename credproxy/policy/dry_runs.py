"""Dry runs: until when each group's denials are only taken down. Pure; the proxy keeps the marks with its audit."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace

from credproxy.policy.rules import Policy
from protocol.ids import GroupId, is_group_id

MARK_PREFIX = "dry_run:"
MAX_S = 7 * 86400.0
"""A dry run lets a group reach every public address: it must end by itself."""


class DryRuns:
    """The last of each group. One that has ended does nothing, and stays known for what it proposes."""

    def __init__(self) -> None:
        self._spans: dict[GroupId, tuple[float, float]] = {}

    def set(self, group_id: GroupId, since: float, until: float) -> None:
        """Begin a dry run, or let it end at another time."""
        self._spans[group_id] = (since, until)

    def span(self, group_id: GroupId) -> tuple[float, float] | None:
        """Return when a group's last dry run began and when it ends, or ended."""
        return self._spans.get(group_id)

    def spans(self) -> Mapping[GroupId, tuple[float, float]]:
        return dict(self._spans)

    def notices(self, now: float) -> tuple[str, ...]:
        """Say which are on: an open door should be seen wherever somebody looks."""
        return tuple(
            f"groups/{group_id}: a dry run is on, little is denied until {_clock(until)}: "
            f"`nightyard policy dry-run {group_id} --off` ends it"
            for group_id, (_since, until) in self._spans.items()
            if until > now
        )

    def lay_over(self, policy: Policy) -> Policy:
        """Return the policy with the dry runs in it."""
        if not self._spans:
            return policy
        return replace(policy, dry_until={group_id: until for group_id, (_since, until) in self._spans.items()})

    def load(self, marks: Mapping[str, str]) -> None:
        """Take up what was on when the proxy ended; a mark that is none does not count."""
        for name, value in marks.items():
            group_id = name.removeprefix(MARK_PREFIX)
            since_text, _, until_text = value.partition(" ")
            try:
                since, until = float(since_text), float(until_text)
            except ValueError:
                continue
            if is_group_id(group_id) and since <= until <= since + MAX_S:
                self._spans[GroupId(group_id)] = (since, until)

    def mark(self, group_id: GroupId) -> tuple[str, str]:
        """Return a dry run's mark: name and value."""
        since, until = self._spans[group_id]
        return MARK_PREFIX + group_id, f"{since!r} {until!r}"


def _clock(at: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at, datetime.UTC):%Y-%m-%d %H:%M} UTC"
