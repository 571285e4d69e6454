"""Dry runs: kept over a restart, and never without an end."""

from __future__ import annotations

from credproxy.policy.dry_runs import MARK_PREFIX, MAX_S, DryRuns
from credproxy.policy.rules import Policy
from tests.credproxy.policy.judging import MAIN, NOW


def test_what_is_on_is_kept_seen_and_in_the_policy() -> None:
    """A dry run's mark brings it back as it was; while it is on, whoever looks is told."""
    before, after = DryRuns(), DryRuns()
    before.set(MAIN, NOW, NOW + 3600)
    after.load(dict([before.mark(MAIN)]))
    assert after.span(MAIN) == (NOW, NOW + 3600)
    assert after.lay_over(Policy()).dry_until == {MAIN: NOW + 3600}
    assert after.notices(NOW) == (
        "groups/main: a dry run is on, little is denied until 2027-01-15 09:00 UTC: "
        "`nightyard policy dry-run main --off` ends it",
    )
    assert after.notices(NOW + 3600) == ()
    assert DryRuns().lay_over(policy := Policy()) is policy


def test_mark_that_makes_no_sense_opens_nothing() -> None:
    """A mark without an end, with one too far off, or for no group does not count."""
    dry_runs = DryRuns()
    for name, value in (
        ("main", "x y"),
        ("main", f"{NOW}"),
        ("main", f"{NOW} inf"),
        ("main", f"{NOW} nan"),
        ("main", f"{NOW} {NOW + MAX_S + 1}"),
        ("main", f"{NOW} {NOW - 1}"),
        ("No Group", f"{NOW} {NOW + 1}"),
    ):
        dry_runs.load({MARK_PREFIX + name: value})
    assert dry_runs.spans() == {}
