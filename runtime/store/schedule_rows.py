"""Rows of schedules and their runs.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). What a due
time leads to is decided in `schedules/decisions.py`; here it is kept, each step with what makes it happen only once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from protocol.ids import ChatKey, GroupId, PersonKey, SubmissionId, TaskId, mint
from protocol.message import OutboundMessage
from runtime.journal import JournalKind
from runtime.schedules.decisions import SUPERSEDED, DuePlan, RunEnd
from runtime.schedules.records import (
    NewSchedule,
    PlannedRun,
    Run,
    RunId,
    Schedule,
    ScheduleId,
    ScheduleState,
    ScheduleText,
)
from runtime.schedules.timing_text import timing_of, timing_row
from runtime.store import outbox_rows
from runtime.store.blank import FORGOTTEN
from runtime.store.database import Transaction, time_of, time_text
from runtime.store.journal_rows import append
from runtime.store.letter_rows import end_letter
from runtime.store.payload_text import from_text, to_text

MAX_PER_GROUP = 100
"""Schedules that may still run."""
KEPT_RUNS = 200
"""Of each schedule; older ones that have ended go."""
AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A run whose answer was given up by the delivery."""

    run: Run
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeByAgents:
    """How many schedules agents have made."""

    by_task: int
    by_group: int


def add_schedule(transaction: Transaction, new: NewSchedule, next_due_at: datetime, key: str = "") -> Schedule | None:
    """Make a schedule; None where the group has MAX_PER_GROUP already. The same `key` again is the one made first."""
    known = transaction.one("schedule_by_key", made_key=key) if key else None
    if known is not None:
        return _schedule(known)
    counted = transaction.one("count_schedules", group_id=new.group_id)
    if counted and counted["number"] >= MAX_PER_GROUP:
        return None
    kind, timing = timing_row(new.timing)
    body = to_text(new.text)
    schedule_id = ScheduleId(
        transaction.insert(
            "insert_schedule",
            group_id=new.group_id,
            chat=new.chat,
            kind=kind,
            timing=timing,
            zone=new.zone,
            jitter_s=new.jitter_s,
            missed=new.missed,
            overlap=new.overlap,
            session=new.session,
            retries=new.retries,
            limits=json.dumps(dict(new.limits)),
            trust=new.trust,
            made_by=new.made_by,
            made_key=key,
            payload_id=transaction.insert("insert_payload", subject=new.subject, body=body),
            next_due_at=time_text(next_due_at),
            made_at=transaction.now_text(),
        )
    )
    _note(transaction, JournalKind.SCHEDULE_MADE, schedule_id, new.group_id, body)
    return _known(transaction, schedule_id)


def schedule(transaction: Transaction, schedule_id: ScheduleId) -> Schedule | None:
    row = transaction.one("schedule_by_id", schedule_id=schedule_id)
    return _schedule(row) if row else None


def schedules(
    transaction: Transaction, group_id: GroupId | None, after: ScheduleId | None = None, limit: int = AT_ONCE
) -> tuple[Schedule, ...]:
    """Return what was not removed: of all groups or one, above a number."""
    page = {"after": after or 0, "limit": limit}
    if group_id is None:
        rows = transaction.all("listed_schedules", **page)
    else:
        rows = transaction.all("listed_schedules_of_group", group_id=group_id, **page)
    return tuple(_schedule(row) for row in rows)


def made_by_agents(transaction: Transaction, *, group_id: GroupId, task_id: TaskId, but: str) -> MadeByAgents:
    """Return how many schedules agents made: one task, and a group's that may still run; `but` the one of this key."""
    row = transaction.one(
        "count_made_by_agents",
        made_by=f"group:{group_id}",
        group_id=group_id,
        first=f"{task_id}:",
        last=f"{task_id};",
        but=but,
    )
    assert row is not None  # counts always give a row
    return MadeByAgents(by_task=row["by_task"], by_group=row["by_group"])


def zone_of_person(transaction: Transaction, person: PersonKey) -> str:
    """Return the name of the zone that somebody lives by; empty: they have said none."""
    row = transaction.one("zone_of_person", person=person)
    return str(row["zone"]) if row else ""


def set_person_zone(transaction: Transaction, person: PersonKey, zone: str) -> None:
    transaction.run("set_person_zone", person=person, zone=zone, set_at=transaction.now_text())
    append(transaction, JournalKind.ZONE_SET, f"{person} {zone}")


def due_schedules(transaction: Transaction, now: datetime) -> tuple[Schedule, ...]:
    rows = transaction.all("due_schedules", now=time_text(now))
    return tuple(_schedule(row) for row in rows)


def active_schedules(transaction: Transaction) -> tuple[Schedule, ...]:
    return tuple(_schedule(row) for row in transaction.all("active_schedules"))


def next_moment(transaction: Transaction, now: datetime) -> datetime | None:
    """Return the first moment after `now` at which something is due or may start."""
    row = transaction.one("next_schedule_moment", now=time_text(now))
    moments = [row["due_at"], row["start_at"]] if row else []
    return min((time_of(moment) for moment in moments if moment is not None), default=None)


def set_state(
    transaction: Transaction,
    known: Schedule,
    state: ScheduleState,
    next_due_at: datetime | None,
    by: str,
) -> bool:
    """Pause, resume or remove a schedule; False if its state is another by now. What waits of it is skipped, unless it
    goes on; what works is the caller's to stop."""
    changed = transaction.run(
        "set_schedule_state",
        schedule_id=known.schedule_id,
        expected=known.state,
        state=state,
        next_due_at=time_text(next_due_at) if next_due_at else None,
        ended_at=transaction.now_text() if state == "removed" else None,
    )
    if not changed:
        return False
    kinds = {
        "active": JournalKind.SCHEDULE_RESUMED,
        "paused": JournalKind.SCHEDULE_PAUSED,
        "removed": JournalKind.SCHEDULE_REMOVED,
        "done": JournalKind.SCHEDULE_DONE,
    }
    _note(transaction, kinds[state], known.schedule_id, known.group_id, by)
    if state in ("paused", "removed"):
        for run in open_runs(transaction, known.schedule_id):
            if run.state == "waiting":
                _end(transaction, run, "skipped", state, None)
    return True


def take_due(transaction: Transaction, known: Schedule, plan: DuePlan) -> bool:
    """Record what becomes of due times, together with the next one; False if the schedule changed meanwhile."""
    if known.next_due_at is None or not transaction.run(
        "set_schedule_due",
        schedule_id=known.schedule_id,
        expected=time_text(known.next_due_at),
        next_due_at=time_text(plan.next_due_at) if plan.next_due_at else None,
    ):
        return False
    if any(run.state == "waiting" for run in plan.runs):
        for run in open_runs(transaction, known.schedule_id):
            if run.state == "waiting" and run.origin == "retry":
                _end(transaction, run, "skipped", SUPERSEDED, None)
    for planned in plan.runs:
        _add_run(transaction, known, planned)
    if plan.next_due_at is None:
        now = transaction.now_text()
        transaction.run(
            "set_schedule_state",
            schedule_id=known.schedule_id,
            expected="active",
            state="done",
            next_due_at=None,
            ended_at=now,
        )
        _note(transaction, JournalKind.SCHEDULE_DONE, known.schedule_id, known.group_id)
    transaction.run("drop_old_runs", schedule_id=known.schedule_id, keep=KEPT_RUNS)
    return True


def realign(transaction: Transaction, known: Schedule, next_due_at: datetime) -> bool:
    """Store another next due time, after the clock was set back."""
    expected = time_text(known.next_due_at) if known.next_due_at else None
    changed = transaction.run(
        "set_schedule_due", schedule_id=known.schedule_id, expected=expected, next_due_at=time_text(next_due_at)
    )
    if changed:
        _note(transaction, JournalKind.SCHEDULE_REALIGNED, known.schedule_id, known.group_id)
    return changed > 0


def recorded_dues(transaction: Transaction, schedule_id: ScheduleId, after: datetime) -> frozenset[datetime]:
    rows = transaction.all("recorded_dues", schedule_id=schedule_id, after=time_text(after))
    return frozenset(time_of(row["due_at"]) for row in rows)


def add_run(transaction: Transaction, known: Schedule, planned: PlannedRun) -> Run | None:
    """Add a run that a person asks for, if none that was asked for waits; None: the schedule has been removed, or one
    waits. The same due time again is the run that was added first."""
    current = schedule(transaction, known.schedule_id)
    if current is None or current.state == "removed":
        return None
    asked = {"schedule_id": known.schedule_id, "due_at": time_text(planned.due_at)}
    before = transaction.one("manual_run", **asked)
    if before is not None:
        return _run(before)
    if any(run.origin == "manual" and run.state == "waiting" for run in open_runs(transaction, known.schedule_id)):
        return None
    return _add_run(transaction, known, planned)


def retry_run(transaction: Transaction, run_id: RunId, by: str) -> Literal["", "unknown", "removed"]:
    """Have the due time of a failed run run once more, as a further try of it, and end its letter; return why not."""
    row = transaction.one("run_by_id", run_id=run_id)
    known = schedule(transaction, row["schedule_id"]) if row is not None else None
    if row is None or known is None:
        return "unknown"
    if known.state == "removed":
        return "removed"
    run = _run(row)
    again = PlannedRun(
        due_at=run.due_at,
        start_at=transaction.now(),
        origin="retry",
        state="waiting",
        gone_by=run.gone_by,
        number=run.number + 1,
    )
    _add_run(transaction, known, again)
    end_letter(transaction, run_id, "retried", by)
    return ""


def run_by_id(transaction: Transaction, run_id: RunId) -> Run | None:
    row = transaction.one("run_by_id", run_id=run_id)
    return _run(row) if row is not None else None


def startable_runs(transaction: Transaction, now: datetime) -> tuple[Run, ...]:
    """Return what may be submitted: of each schedule at most one, the oldest."""
    oldest: dict[int, Run] = {}
    for row in transaction.all("startable_runs", now=time_text(now)):
        oldest.setdefault(row["schedule_id"], _run(row))
    return tuple(oldest.values())


def run_submitted(transaction: Transaction, run: Run, group_id: GroupId, submission_id: SubmissionId) -> bool:
    changed = transaction.run("submit_run", run_id=run.run_id, submission_id=submission_id)
    if changed:
        _note_run(transaction, JournalKind.RUN_SUBMITTED, run, group_id, submission=submission_id)
    return changed > 0


def submitted_runs(transaction: Transaction) -> tuple[Run, ...]:
    return tuple(_run(row) for row in transaction.all("submitted_runs"))


def open_runs(transaction: Transaction, schedule_id: ScheduleId) -> tuple[Run, ...]:
    return tuple(_run(row) for row in transaction.all("open_runs_of_schedule", schedule_id=schedule_id))


def runs_of(transaction: Transaction, schedule_id: ScheduleId, limit: int) -> tuple[Run, ...]:
    """Return the newest runs, newest first."""
    return tuple(_run(row) for row in transaction.all("runs_of_schedule", schedule_id=schedule_id, limit=limit))


def delivery_of(transaction: Transaction, task_id: TaskId) -> Mapping[str, int]:
    """Return how many messages of a task are in which state of the outbox."""
    return {row["state"]: row["messages"] for row in transaction.all("delivery_of_task", task_id=task_id)}


def end_run(
    transaction: Transaction,
    known: Schedule,
    run: Run,
    end: RunEnd,
    task_id: TaskId | None,
    notices: Sequence[OutboundMessage],
) -> bool:
    """Record a run's end with all that follows: the count of failures, another try, what the owners are told."""
    if not _end(transaction, run, end.state, end.reason, task_id):
        return False
    transaction.run("set_schedule_failures", schedule_id=known.schedule_id, failures=end.failures)
    if end.retry is not None:
        _add_run(transaction, known, end.retry)
    elif end.state == "failed":
        transaction.run("put_run_letter", run_id=run.run_id)
    for notice in notices:
        outbox_rows.put_outbound(transaction, f"{run.run_id}:{end.tell}:{notice.chat}", notice, None, known.group_id)
    transaction.run("drop_old_runs", schedule_id=known.schedule_id, keep=KEPT_RUNS)
    return True


def undelivered(transaction: Transaction) -> tuple[Undelivered, ...]:
    """Return the runs whose answer was not delivered and whose owners have not been told."""
    rows = transaction.all("undelivered_runs")
    return tuple(Undelivered(run=_run(row), reason=row["delivery_reason"]) for row in rows)


def tell_undelivered(transaction: Transaction, run: Run, group_id: GroupId, notices: Sequence[OutboundMessage]) -> None:
    """Note that the owners are told, with what they are told."""
    if transaction.run("tell_delivery", run_id=run.run_id):
        for notice in notices:
            key = f"{run.run_id}:undelivered:{notice.chat}"
            outbox_rows.put_outbound(transaction, key, notice, None, group_id)


def _add_run(transaction: Transaction, known: Schedule, planned: PlannedRun) -> Run | None:
    run_id, now = RunId(mint("run")), transaction.now_text()
    transaction.run(
        "insert_run",
        run_id=run_id,
        schedule_id=known.schedule_id,
        due_at=time_text(planned.due_at),
        start_at=time_text(planned.start_at),
        origin=planned.origin,
        state=planned.state,
        reason=planned.reason,
        gone_by=planned.gone_by,
        number=planned.number,
        made_at=now,
        ended_at=now if planned.state == "skipped" else None,
    )
    row = transaction.one("run_by_id", run_id=run_id)
    if row is None:
        return None  # this due time has been dealt with before, or this run asked for
    run = _run(row)
    kind = JournalKind.RUN_DUE if run.state == "waiting" else JournalKind.RUN_ENDED
    _note_run(transaction, kind, run, known.group_id)
    return run


def _end(transaction: Transaction, run: Run, state: str, reason: str, task_id: TaskId | None) -> bool:
    changed = transaction.run(
        "end_run", run_id=run.run_id, state=state, reason=reason, task_id=task_id, ended_at=transaction.now_text()
    )
    if changed:
        _note_run(transaction, JournalKind.RUN_ENDED, run, None, task=task_id)
    return changed > 0


def _note(
    transaction: Transaction, kind: JournalKind, schedule_id: ScheduleId, group_id: GroupId, payload: str = ""
) -> None:
    append(transaction, kind, payload, schedule=str(schedule_id), group=group_id)


def _note_run(
    transaction: Transaction, kind: JournalKind, run: Run, group_id: GroupId | None, **refs: str | None
) -> None:
    append(transaction, kind, "", run=run.run_id, schedule=str(run.schedule_id), group=group_id, **refs)


def _known(transaction: Transaction, schedule_id: ScheduleId) -> Schedule:
    found = schedule(transaction, schedule_id)
    assert found is not None  # made above
    return found


def _schedule(row: sqlite3.Row) -> Schedule:
    text = _text(row["body"])
    return Schedule(
        schedule_id=ScheduleId(row["schedule_id"]),
        group_id=GroupId(row["group_id"]),
        chat=ChatKey(row["chat"]) if row["chat"] is not None else None,
        timing=timing_of(row["kind"], row["timing"]),
        zone=row["zone"],
        text=text,
        made_by=row["made_by"],
        trust=row["trust"],
        jitter_s=row["jitter_s"],
        missed=row["missed"],
        overlap=row["overlap"],
        session=row["session"],
        retries=row["retries"],
        limits=json.loads(row["limits"]),
        state=row["state"],
        next_due_at=time_of(row["next_due_at"]) if row["next_due_at"] is not None else None,
        failures=row["failures"],
        made_at=row["made_at"],
        ended_at=row["ended_at"],
    )


def _text(body: str) -> ScheduleText | None:
    """Return what was written, None where it was destroyed with the person whose it was."""
    text = from_text(ScheduleText, body)
    return None if text.prompt == FORGOTTEN else text


def _run(row: sqlite3.Row) -> Run:
    return Run(
        run_id=RunId(row["run_id"]),
        schedule_id=ScheduleId(row["schedule_id"]),
        due_at=time_of(row["due_at"]),
        start_at=time_of(row["start_at"]),
        origin=row["origin"],
        state=row["state"],
        reason=row["reason"],
        gone_by=row["gone_by"],
        number=row["number"],
        submission_id=SubmissionId(row["submission_id"]) if row["submission_id"] is not None else None,
        task_id=TaskId(row["task_id"]) if row["task_id"] is not None else None,
        made_at=row["made_at"],
        ended_at=row["ended_at"],
    )
