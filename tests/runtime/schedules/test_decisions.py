"""What due times lead to, over any course of downtimes, slow runs and clocks: counted, capped, never twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import GroupId
from runtime.schedules.calendar import ByCron, Every, Timing, next_due
from runtime.schedules.cron import parse_cron
from runtime.schedules.decisions import GRACE, MAX_CATCH_UP, MAX_WAITING, decide_due, decide_realigned
from runtime.schedules.records import MissedPolicy, OverlapPolicy, PlannedRun, Schedule, ScheduleId, ScheduleText

START = datetime(2026, 1, 5, tzinfo=UTC)
MISSED = st.sampled_from(get_args(MissedPolicy))
OVERLAP = st.sampled_from(get_args(OverlapPolicy))
TIMINGS: st.SearchStrategy[Timing] = st.sampled_from(
    [
        Every(every_s=600, since=START),
        Every(every_s=3600, since=START),
        ByCron(cron=parse_cron("*/7 * * * *")),
        ByCron(cron=parse_cron("0 8,20 * * *")),
    ]
)


def made(timing: Timing, missed: MissedPolicy, overlap: OverlapPolicy, due: datetime | None) -> Schedule:
    return Schedule(
        schedule_id=ScheduleId(1),
        group_id=GroupId("main"),
        chat=None,
        timing=timing,
        zone="UTC",
        text=ScheduleText(prompt="x"),
        made_by="cli",
        trust="person",
        jitter_s=0,
        missed=missed,
        overlap=overlap,
        session="own",
        retries=0,
        limits={},
        state="active",
        next_due_at=due,
        failures=0,
        made_at="",
        ended_at=None,
    )


COURSE = st.lists(
    st.tuples(st.sampled_from([5, 30, 61, 300, 900, 7_200, 50_000]), st.booleans()), min_size=1, max_size=40
)
"""How many seconds until the next look, and whether what works by then has ended."""


@given(TIMINGS, MISSED, OVERLAP, COURSE)
def test_every_due_time_is_accounted_for_once(
    timing: Timing, missed: MissedPolicy, overlap: OverlapPolicy, course: list[tuple[int, bool]]
) -> None:
    """Whatever the host's course: each due time stands in exactly one record, no more runs wait than may, what is made
    up for is capped, and the next due time lies ahead."""
    now, due = START, next_due(timing, START, UTC)
    records: list[PlannedRun] = []
    dues, waiting, is_working = 0, 0, False
    for seconds, has_ended in course:
        now += timedelta(seconds=seconds)
        if has_ended:
            is_working = False
        if waiting and not is_working:
            waiting, is_working = waiting - 1, True
        plan = decide_due(made(timing, missed, overlap, due), now, UTC, open_runs=waiting + is_working, waiting=waiting)
        assert plan.next_due_at is not None
        assert plan.next_due_at > now
        moment = due
        while moment is not None and moment <= now:
            dues += 1
            moment = next_due(timing, moment, UTC)
        assert moment == plan.next_due_at
        begun = [run for run in plan.runs if run.state == "waiting"]
        late = [run for run in begun if now - run.due_at > GRACE]
        assert len(begun) <= (MAX_CATCH_UP if missed == "run_all" else 1)
        assert missed != "skip" or not late
        assert overlap == "queue" or missed == "run_all" or not (begun and (waiting or is_working))
        records += plan.runs
        waiting += len(begun)
        assert waiting <= MAX_WAITING
        due = plan.next_due_at
    assert sum(1 + run.gone_by for run in records) == dues
    times = [run.due_at for run in records]
    assert times == sorted(set(times))


@given(TIMINGS, st.integers(-(10**6), 10**6), st.integers(0, 40))
def test_a_clock_set_back_finds_the_next_time_that_has_no_record(timing: Timing, shift_s: int, count: int) -> None:
    """After any change of the clock the next due time lies ahead, is new, and none before it is left out."""
    moment, recorded = START, set()
    for _ in range(count):
        due = next_due(timing, moment, UTC)
        assert due is not None
        recorded.add(due)
        moment = due
    stored = next_due(timing, moment, UTC)
    now = moment + timedelta(seconds=shift_s)
    due = decide_realigned(made(timing, "run_once", "skip", stored), now, UTC, frozenset(recorded))
    assert due is not None
    assert due not in recorded
    assert due > now or due == stored
    between = next_due(timing, now, UTC)
    while between is not None and between < due:
        assert between in recorded
        between = next_due(timing, between, UTC)
