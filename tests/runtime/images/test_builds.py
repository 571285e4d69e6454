"""Which image is built next, when again, when all are refreshed, and the words for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.images.builds import RETRY_AFTER, Failure, is_refresh_due, next_build, next_look, status_text, waiting_text

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=6)


def failure(count: int = 1, at: datetime = NOW) -> Failure:
    return Failure(count=count, at=at, why="no such thing", mend="./nightyard image build main")


def test_the_first_that_is_missing_is_built() -> None:
    """One that failed waits its time, and lets others by."""
    assert next_build(["a", "b"], ["a"], {}, NOW) == "b"
    assert next_build(["a", "b"], [], {"a": failure()}, NOW) == "b"
    assert next_build(["a"], [], {"a": failure()}, NOW) is None
    assert next_build(["a"], [], {"a": failure()}, NOW + RETRY_AFTER[0]) == "a"
    assert next_build([], [], {"a": failure()}, NOW + DAY) is None


@given(NAMES, NAMES, NAMES)
def test_nothing_is_built_that_is_there_or_unwanted(wanted: list[str], present: list[str], failed: list[str]) -> None:
    """And with all failures over, whatever is missing is built."""
    failures = {name: failure() for name in failed}
    chosen = next_build(wanted, present, failures, NOW)
    assert chosen is None or (chosen in wanted and chosen not in present and chosen not in failures)
    later = next_build(wanted, present, failures, NOW + DAY)
    assert (later is None) == (set(wanted) <= set(present))


def test_a_failure_is_tried_again_later_and_later() -> None:
    """Never in a loop, at least daily."""
    waits = [failure(count).retry_at - NOW for count in range(1, 9)]
    assert waits == sorted(waits)
    assert waits[0] >= timedelta(minutes=10) and waits[-1] == DAY
    assert next_look(["a"], [], {"a": failure()}, NOW) == RETRY_AFTER[0].total_seconds()
    assert next_look(["a"], [], {"a": failure()}, NOW + 2 * DAY) == 0
    assert next_look(["a"], ["a"], {"a": failure()}, NOW) is None


@pytest.mark.parametrize(
    ("age_days", "days", "now", "is_due"),
    [
        (8, 7, NIGHT, True),
        (6, 7, NIGHT, False),
        (8, 7, NOW, False),
        (15, 7, NOW, True),
        (99, 0, NIGHT, False),
        (8, 7, datetime(2026, 3, 4, 3, 0, tzinfo=ZoneInfo("Asia/Tokyo")), True),
        (8, 7, datetime(2026, 3, 4, 6, 0, tzinfo=UTC), False),
    ],
)
def test_images_are_refreshed_at_night(age_days: int, days: int, now: datetime, is_due: bool) -> None:
    """In the machine's own night; by day only where nights have gone by unused."""
    assert is_refresh_due(now - age_days * DAY, days, None, now) is is_due


def test_a_failed_refresh_waits() -> None:
    """As any failure does."""
    assert not is_refresh_due(NIGHT - 8 * DAY, 7, failure(3, NIGHT), NIGHT + timedelta(hours=1))
    assert is_refresh_due(NIGHT - 8 * DAY, 7, failure(3, NIGHT), NIGHT + DAY)


def test_a_chat_is_told_what_it_waits_for() -> None:
    """That it is built; or why not, when again, and what mends it."""
    assert "main gets an image with pip: pandas first" in waiting_text("main", "pip: pandas", None)
    told = waiting_text("main", "pip: pandas", failure())
    assert "no such thing" in told and "2026-03-04 12:15 UTC" in told
    assert told.endswith("To mend it: ./nightyard image build main")


def test_the_status_shows_how_far_it_is() -> None:
    """Waiting its turn, being built, failed."""
    assert status_text("codex", None, None).endswith("as soon as it is its turn")
    assert status_text("codex", None, "fetching").endswith("is being built: fetching")
    assert status_text("codex", None, "an image with codex: fetching").endswith("is being built: fetching")
    assert status_text("codex", None, "an image with codex …").endswith("is being built")
    assert "could not be built: no such thing; mend: " in status_text("codex", failure(), None)
