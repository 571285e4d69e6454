"""What a due time, and a run's end, lead to. Pure.

`keeper.py` asks and performs; `store/schedule_rows.py` keeps. A failed run never ends a series: nothing here does but
the timing itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from runtime.schedules.calendar import GoneBy, dues_gone_by, next_due
from runtime.schedules.records import PRE_CHECK_SKIPPED, PlannedRun, Run, RunState, Schedule

GRACE = timedelta(seconds=60)
"""A due time that is not older was not missed: the host wakes a little late, or was just being restarted."""
MAX_CATCH_UP = 10
"""`run_all` makes up for so many due times, the newest; older ones are only counted."""
MAX_WAITING = 10
"""With `queue`, so many runs may wait for the one that works."""
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
MAX_RETRIES = len(RETRY_AFTER)
NEVER_RETRIED = frozenset({"uncertain_effect", "daily_cap", "group_suspended", "budget"})
"""What another try a little later would repeat at the risk of doing something twice, or could not change."""

MISSED, OVERLAP, TOO_MANY_WAIT, SUPERSEDED = "missed", "overlap", "too_many_wait", "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePlan:
    """What is recorded of due times that have come. A waiting try of an earlier due time gives way to a waiting run."""

    runs: tuple[PlannedRun, ...]
    next_due_at: datetime | None
    """None: nothing will be due any more."""


def decide_due(schedule: Schedule, now: datetime, zone: tzinfo, *, open_runs: int, waiting: int) -> DuePlan:
    """Return what becomes of the due times up to `now`. `open_runs`: those of this schedule that are submitted or
    waiting, another try of a failed one apart; `waiting`: the part of them that is not submitted."""
    first = schedule.next_due_at
    if first is None or first > now:
        return DuePlan(runs=(), next_due_at=first)
    gone_by = dues_gone_by(schedule.timing, first, now, zone, keep=MAX_CATCH_UP + 1)
    is_timely = now - gone_by.newest[-1] <= GRACE
    runs = _runs(schedule, gone_by, is_timely=is_timely)
    makes_up = schedule.missed == "run_all" and gone_by.count > 1
    return DuePlan(
        runs=_fit(runs, open_runs, waiting, may_queue=schedule.overlap == "queue" or makes_up),
        next_due_at=next_due(schedule.timing, max(now, gone_by.newest[-1]), zone),
    )


def _runs(schedule: Schedule, gone_by: GoneBy, *, is_timely: bool) -> list[PlannedRun]:
    """Return what the missed policy makes of the due times, before it is asked whether anything still works."""
    *missed, newest = gone_by.newest
    before = gone_by.count - 1
    if schedule.missed == "run_once" or not before:
        if is_timely or schedule.missed != "skip":
            origin: Literal["due", "missed"] = "due" if is_timely else "missed"
            return [_waits(schedule, newest, origin, gone_by=before)]
        return [_skipped(newest, MISSED, gone_by=before)]
    if schedule.missed == "skip":
        if not is_timely:
            return [_skipped(newest, MISSED, gone_by=before)]
        return [_skipped(missed[-1], MISSED, gone_by=before - 1), _waits(schedule, newest, "due")]
    # run_all: as many as the cap says, the newest of them on time if it is; what is older is counted in one record.
    made_up = [*missed, newest][-MAX_CATCH_UP:]
    left_out = gone_by.count - len(made_up)
    runs = [_waits(schedule, due, "missed") for due in made_up[:-1]]
    runs.append(_waits(schedule, newest, "due" if is_timely else "missed"))
    return [_skipped(gone_by.newest[0], MISSED, gone_by=left_out - 1), *runs] if left_out else runs


def _fit(runs: Sequence[PlannedRun], open_runs: int, waiting: int, *, may_queue: bool) -> tuple[PlannedRun, ...]:
    """Skip what comes while an earlier run works, or what too many wait before already."""
    fitted = []
    for run in runs:
        if run.state == "waiting" and open_runs and not may_queue:
            run = _skipped(run.due_at, OVERLAP, gone_by=run.gone_by)
        elif run.state == "waiting" and waiting >= MAX_WAITING:
            run = _skipped(run.due_at, TOO_MANY_WAIT, gone_by=run.gone_by)
        elif run.state == "waiting":
            open_runs, waiting = open_runs + 1, waiting + 1
        fitted.append(run)
    return tuple(fitted)


def _waits(schedule: Schedule, due: datetime, origin: Literal["due", "missed"], gone_by: int = 0) -> PlannedRun:
    start = due + _jitter(schedule, due) if origin == "due" else due
    return PlannedRun(due_at=due, start_at=start, origin=origin, state="waiting", gone_by=gone_by)


def _skipped(due: datetime, reason: str, gone_by: int) -> PlannedRun:
    origin: Literal["due", "missed"] = "missed" if reason == MISSED else "due"
    return PlannedRun(due_at=due, start_at=due, origin=origin, state="skipped", reason=reason, gone_by=gone_by)


def _jitter(schedule: Schedule, due: datetime) -> timedelta:
    """Return the delay of a due time: the same whenever it is asked, and spread evenly."""
    if not schedule.jitter_s:
        return timedelta(0)
    seed = hashlib.sha256(f"{schedule.schedule_id} {due.isoformat()}".encode()).digest()
    return timedelta(seconds=int.from_bytes(seed[:6], "big") % (schedule.jitter_s + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """What a run's end changes."""

    state: RunState
    reason: str
    failures: int
    """Of the schedule, one after the other, with this one."""
    retry: PlannedRun | None
    tell: Literal["failed", "recovered", ""]
    """What the owners are told."""


def decide_end(schedule: Schedule, run: Run, task_state: str, code: str, now: datetime) -> RunEnd:
    """Return what follows from the end of a run's task: `task_state` is a TaskStatus, `code` its stable word."""
    if task_state == "stopped":
        return RunEnd(state="stopped", reason=code, failures=schedule.failures, retry=None, tell="")
    if task_state != "failed":
        is_skipped = code == PRE_CHECK_SKIPPED
        return RunEnd(
            state="skipped" if is_skipped else "done",
            reason=code if is_skipped else "",
            failures=0,
            retry=None,
            tell="recovered" if schedule.failures else "",
        )
    retry = _retry(schedule, run, code, now)
    if retry is not None:
        return RunEnd(state="failed", reason=code, failures=schedule.failures, retry=retry, tell="")
    failures = schedule.failures + 1
    tell: Literal["failed", ""] = "failed" if failures & (failures - 1) == 0 else ""
    return RunEnd(state="failed", reason=code, failures=failures, retry=None, tell=tell)


def _retry(schedule: Schedule, run: Run, code: str, now: datetime) -> PlannedRun | None:
    if run.number > min(schedule.retries, MAX_RETRIES) or code in NEVER_RETRIED or schedule.state == "removed":
        return None
    start = now + RETRY_AFTER[run.number - 1]
    return PlannedRun(
        due_at=run.due_at, start_at=start, origin="retry", state="waiting", gone_by=run.gone_by, number=run.number + 1
    )


def decide_realigned(schedule: Schedule, now: datetime, zone: tzinfo, recorded: frozenset[datetime]) -> datetime | None:
    """Return the next due time of an active schedule after the clock was set back, or a start: what `recorded` names
    has been dealt with, and never is again."""
    due = next_due(schedule.timing, now, zone)
    while due is not None and due in recorded:
        due = next_due(schedule.timing, due, zone)
    stored = schedule.next_due_at
    if due is None or stored is None:
        return stored
    return min(due, stored)
