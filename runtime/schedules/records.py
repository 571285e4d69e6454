"""Schedule, its runs, and what is asked of them: the nouns of this room. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType

from protocol import pre_check
from protocol.ids import ChatKey, GroupId, PersonKey, SubmissionId, TaskId
from protocol.record import Record
from runtime.schedules.calendar import Timing

ScheduleId = NewType("ScheduleId", int)
"""A small number, because people type it: `/schedule pause 3`. Never given twice."""
RunId = NewType("RunId", str)

MissedPolicy = Literal["run_once", "skip", "run_all"]
"""What becomes of due times that went by while nothing could run: one run for all, none, or one each up to a cap."""
OverlapPolicy = Literal["skip", "queue"]
"""What becomes of a due time while the run before it still works."""
SessionChoice = Literal["chat", "own", "none"]
"""The chat's conversation, one that the schedule's runs share, or none at all."""
Trust = Literal["person", "program", "agent", "untrusted"]
ScheduleState = Literal["active", "paused", "done", "removed"]
RunOrigin = Literal["due", "missed", "manual", "retry"]
RunState = Literal["waiting", "submitted", "done", "skipped", "failed", "stopped"]

PRE_CHECK_SKIPPED = pre_check.SKIPPED
"""The code of a task that ended because its pre-check said that there is nothing to do."""
PRE_CHECK_FAILED = pre_check.FAILED


class ScheduleText(Record):
    """What people or agents wrote of a schedule: kept as a payload under their subject."""

    prompt: str
    name: str = ""
    pre_check: str = ""
    """A shell script; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A schedule as it is asked for, checked."""

    group_id: GroupId
    chat: ChatKey | None
    """Where its answers go; None: nowhere."""
    timing: Timing
    zone: str
    """The name of the time zone whose clocks count."""
    text: ScheduleText
    made_by: str
    """`person:<key>`, `cli`, or `group:<id>` of the agent that asked."""
    subject: PersonKey | GroupId
    """Whose text it is."""
    trust: Trust = "person"
    jitter_s: int = 0
    missed: MissedPolicy = "run_once"
    overlap: OverlapPolicy = "skip"
    session: SessionChoice = "chat"
    retries: int = 0
    limits: Mapping[str, float] = field(default_factory=dict)
    """Over the group's, key by key, as group.yaml names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as it is kept."""

    schedule_id: ScheduleId
    group_id: GroupId
    chat: ChatKey | None
    timing: Timing
    zone: str
    text: ScheduleText | None
    """None: it was forgotten with the person who wrote it; such a schedule is `removed`."""
    made_by: str
    trust: Trust
    jitter_s: int
    missed: MissedPolicy
    overlap: OverlapPolicy
    session: SessionChoice
    retries: int
    limits: Mapping[str, float]
    state: ScheduleState
    next_due_at: datetime | None
    failures: int
    """Runs that failed one after the other, up to now."""
    made_at: str
    ended_at: str | None

    @property
    def submitter(self) -> str:
        return f"schedule:{self.schedule_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One due time, and what became of it."""

    run_id: RunId
    schedule_id: ScheduleId
    due_at: datetime
    start_at: datetime
    """Not before this: jitter, or the wait before another try."""
    origin: RunOrigin
    state: RunState
    reason: str
    """A stable word for one that was skipped, a code for one that failed."""
    gone_by: int
    """Due times before it that it stands for, or that it says were left out."""
    number: int
    """Which try it is, from 1."""
    submission_id: SubmissionId | None
    task_id: TaskId | None
    made_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run that is to be recorded."""

    due_at: datetime
    start_at: datetime
    origin: RunOrigin
    state: Literal["waiting", "skipped"]
    reason: str = ""
    gone_by: int = 0
    number: int = 1
