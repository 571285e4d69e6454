"""Which image is built next, when a failed one is tried again, and what people are told meanwhile. Pure.

`house.py` performs it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

RETRY_AFTER = (timedelta(minutes=15), timedelta(hours=2), timedelta(hours=12), timedelta(days=1))
"""After the first failure, the second, …; then always the last: a mended file or network is seen within a day, and
`nightyard image build GROUP` tries at once."""
QUIET_FROM, QUIET_UNTIL = time(2), time(6)
"""In the machine's time zone: when images are refreshed."""
OVERDUE = 2
"""A refresh that has waited for so many times its days is not put off to the night: this machine sleeps at night."""
USUAL_REFRESH_DAYS = 7
MAX_REASON_CHARS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What could not be built, or refreshed, so far."""

    count: int
    at: datetime
    why: str
    mend: str

    @property
    def retry_at(self) -> datetime:
        return self.at + RETRY_AFTER[min(self.count, len(RETRY_AFTER)) - 1]


def next_build(
    wanted: Sequence[str], present: Collection[str], failures: Mapping[str, Failure], now: datetime
) -> str | None:
    """Return the reference to build now: of those that never failed the first, else one whose time has come."""
    missing = [reference for reference in dict.fromkeys(wanted) if reference not in present]
    fresh = [reference for reference in missing if reference not in failures]
    due = [reference for reference in missing if reference in failures and failures[reference].retry_at <= now]
    return next(iter([*fresh, *due]), None)


def next_look(
    wanted: Sequence[str], present: Collection[str], failures: Mapping[str, Failure], now: datetime
) -> float | None:
    """Return in how many seconds a failed build is tried again; None: nothing waits for that."""
    waiting = [failures[each].retry_at for each in wanted if each not in present and each in failures]
    return max(0.0, (min(waiting) - now).total_seconds()) if waiting else None


def is_refresh_due(made_at: datetime, days: int, failure: Failure | None, now: datetime) -> bool:
    """Return whether the images are to be refreshed now. `made_at`: the agent image's; `now`: in the machine's zone.
    0 days: never."""
    age = now - made_at
    if not days or age < timedelta(days=days) or (failure is not None and now < failure.retry_at):
        return False
    return QUIET_FROM <= now.time() < QUIET_UNTIL or age >= OVERDUE * timedelta(days=days)


def waiting_text(group_id: str, summary: str, failure: Failure | None) -> str:
    """Return what a chat reads whose agent's image is not there."""
    if failure is None:
        return (
            f"⏳ {group_id} gets an image with {summary} first; your message is kept, and is taken up by itself as "
            "soon as that is built."
        )
    return (
        f"⚠ {group_id} cannot work: its image with {summary} could not be built: {failure.why[:MAX_REASON_CHARS]}\n"
        f"Your message is kept and waits. The build is tried again at {failure.retry_at:%Y-%m-%d %H:%M} UTC.\n"
        f"To mend it: {failure.mend}"
    )


def status_text(summary: str, failure: Failure | None, progress: str | None) -> str:
    """Return the same for a line of the status. `progress`: of its build, None while it is not its turn."""
    if progress is not None:
        how_far = progress.strip().removeprefix(f"an image with {summary}").strip(" :…")
        return f"its image with {summary} is being built{f': {how_far}' if how_far else ''}"
    if failure is None:
        return f"its image with {summary} is built as soon as it is its turn"
    return f"its image with {summary} could not be built: {failure.why[:MAX_REASON_CHARS]}; mend: {failure.mend}"
