"""Lives by the clock: records what is due, submits what may start, notes what ended, tells the owners of failures.

`decisions.py` decides, `store/schedule_rows.py` keeps. Each step is a row before the next one begins, and the
submission's key is the run's own, so that a host killed at any moment goes on where it was: no due time is lost, and
none is worked on twice. Sleeps until the next moment, woken by what is made and what ends, with a slow re-read behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Protocol

from protocol import record
from protocol.ids import ChatKey, GroupId, SessionId, SubmissionId
from protocol.message import OutboundMessage
from protocol.task import Limits, TaskResult, TaskStatus
from runtime.config import TERMINAL
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.schedules.decisions import RunEnd, decide_due, decide_end, decide_realigned
from runtime.schedules.records import Run, Schedule
from runtime.schedules.words import failed_notice, recovered_notice, run_prompt, undelivered_notice
from runtime.store import schedule_rows
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.submission import NewSubmission, Submission

log = logging.getLogger(__name__)

SLOW_REREAD_S = 60.0
"""Everything is looked at again at least so often: for a wake that was lost, and a clock that was set."""
STEP_BACK_S = 2.0
"""A clock that lost more than this against the time that passed was set back."""
MAX_ATTEMPTS = 3
"""Of a run whose container dies; one whose task fails is tried again only as the schedule says."""
NO_LIMIT = 10**9
"""A schedule's limits only tighten its group's: what it does not name is left as wide as can be."""


class SubmissionRoom(Protocol):
    """The part of `submissions.Submissions` that runs are handed to."""

    async def submit(self, new: NewSubmission) -> Submission: ...
    async def get(self, submission_id: SubmissionId) -> Submission: ...
    async def cancel(self, submission_id: SubmissionId, reason: str) -> Submission: ...


class ScheduleKeeper:
    """Runs all schedules of a host."""

    def __init__(
        self,
        store: Store,
        submissions: SubmissionRoom,
        *,
        owner_chats: Callable[[], Awaitable[tuple[ChatKey, ...]]],
        is_held: Callable[[GroupId], bool],
        zone_of: Callable[[str], tzinfo],
        wake_delivery: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`is_held` says whether a group may begin nothing now (paused)."""
        self._store = store
        self._submissions = submissions
        self._owner_chats = owner_chats
        self._is_held = is_held
        self._zone_of = zone_of
        self._wake_delivery = wake_delivery
        self._clock = clock
        self._awake = asyncio.Event()
        self._seen: tuple[datetime, float] | None = None
        self.rounds = 0
        """How often it has looked."""

    def wake(self) -> None:
        """Look now: a schedule was made or changed, or what held groups was lifted."""
        self._awake.set()

    def task_ended(self, row: TaskRow) -> None:
        """Take a task's end, of whoever's task."""
        if row.submitter.startswith("schedule:"):
            self._awake.set()

    async def run(self) -> None:
        """Keep the schedules until cancelled."""
        while True:
            self._awake.clear()
            pause_s = await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._awake.wait()

    async def look(self) -> float:
        """Do all that is to be done now; return how long nothing will be, in seconds."""
        now = self._clock()
        if self._is_set_back(now):
            await self._realign(now)
        await self._note_ends()
        if not await self._store.is_frozen():
            await self._take_due(now)
            await self._start(now)
        await self._tell_undelivered()
        self.rounds += 1
        following = await self._store.read(schedule_rows.next_moment, now)
        if following is None:
            return SLOW_REREAD_S
        return min(SLOW_REREAD_S, max(0.0, (following - self._clock()).total_seconds()))

    def _is_set_back(self, now: datetime) -> bool:
        """Say whether the clock lost time since the last look; at a start nobody knows, so it may have."""
        before, self._seen = self._seen, (now, asyncio.get_running_loop().time())
        if before is None:
            return True
        passed = timedelta(seconds=self._seen[1] - before[1])
        return now - before[0] < passed - timedelta(seconds=STEP_BACK_S)

    async def _realign(self, now: datetime) -> None:
        for schedule in await self._store.read(schedule_rows.active_schedules):
            recorded = await self._store.read(schedule_rows.recorded_dues, schedule.schedule_id, now)
            due = decide_realigned(schedule, now, self._zone_of(schedule.zone), recorded)
            if due is not None and due != schedule.next_due_at:
                await self._insist(partial(self._store.write, schedule_rows.realign, schedule, due))

    async def _take_due(self, now: datetime) -> None:
        for schedule in await self._store.read(schedule_rows.due_schedules, now):
            if schedule.text is None:
                await self._end_forgotten(schedule)
            elif not self._is_held(schedule.group_id):
                await self._take(schedule, now)

    async def _take(self, schedule: Schedule, now: datetime) -> None:
        known = await self._store.read(schedule_rows.open_runs, schedule.schedule_id)
        open_runs = [run for run in known if run.origin != "retry" or run.state == "submitted"]
        plan = decide_due(
            schedule,
            now,
            self._zone_of(schedule.zone),
            open_runs=len(open_runs),
            waiting=sum(run.state == "waiting" for run in open_runs),
        )
        await self._insist(partial(self._store.write, schedule_rows.take_due, schedule, plan))
        for run in plan.runs:
            ids = {"schedule": schedule.schedule_id, "group_id": schedule.group_id, "reason": run.reason}
            log.info("a schedule is due: %s", run.state, extra={"action": "schedule_due", **ids})

    async def _end_forgotten(self, schedule: Schedule) -> None:
        """End a schedule whose words were destroyed with the person who wrote them."""
        end = partial(self._store.write, schedule_rows.set_state, schedule, "removed", None, "forget")
        await self._insist(end)

    async def _start(self, now: datetime) -> None:
        for run in await self._store.read(schedule_rows.startable_runs, now):
            schedule = await self._store.read(schedule_rows.schedule, run.schedule_id)
            if schedule is None or self._is_held(schedule.group_id):
                continue
            if schedule.text is None:
                await self._end_forgotten(schedule)
                continue
            await self._submit(schedule, run)

    async def _submit(self, schedule: Schedule, run: Run) -> None:
        try:
            submission = await self._submissions.submit(await self._submission(schedule, run))
        except OperationRefused as refused:
            log.warning(
                "a schedule's run was refused: %s",
                refused,
                extra={"action": "schedule_refused", "schedule": schedule.schedule_id, "code": refused.code},
            )
            failed = TaskResult(status=TaskStatus.FAILED, code=refused.code, reason=refused.message)
            await self._end(schedule, run, failed, None)
            return
        submitted = partial(
            self._store.write, schedule_rows.run_submitted, run, schedule.group_id, submission.submission_id
        )
        await self._insist(submitted)
        if submission.state == "ended":  # a host before this one submitted it, and died before it noted that
            self.wake()

    async def _submission(self, schedule: Schedule, run: Run) -> NewSubmission:
        assert schedule.text is not None  # looked at before
        return NewSubmission(
            submitter=schedule.submitter,
            group_id=schedule.group_id,
            prompt=run_prompt(schedule, run, self._zone_of(schedule.zone)),
            idempotency_key=f"{run.origin}:{run.due_at.isoformat()}:{run.number}",
            chat=schedule.chat,
            session=await self._session(schedule),
            max_attempts=MAX_ATTEMPTS,
            limits=_limits(schedule),
            trust="program" if schedule.trust == "person" else schedule.trust,
            pre_check=schedule.text.pre_check,
            labels={"schedule": str(schedule.schedule_id)},
        )

    async def _session(self, schedule: Schedule) -> str:
        if schedule.session == "chat":
            return "chat" if schedule.chat is not None else "none"
        if schedule.session == "none":
            return "none"
        # The runs' own conversation is that of a place that no channel has.
        place = ChatKey(schedule.submitter)
        known: SessionId | None = await self._store.current_session(schedule.group_id, place)
        return known or await self._store.new_session(schedule.group_id, place)

    # --- Ends

    async def _note_ends(self) -> None:
        for run in await self._store.read(schedule_rows.submitted_runs):
            schedule = await self._store.read(schedule_rows.schedule, run.schedule_id)
            if schedule is None:
                continue
            try:
                task = await self._ended_task(run)
            except OperationRefused as refused:  # its submission is gone: whatever took it, the series goes on
                failed = TaskResult(status=TaskStatus.FAILED, code=refused.code, reason=refused.message)
                await self._end(schedule, run, failed, None)
                continue
            if task is not None:
                result = task.result or TaskResult(status=TaskStatus(task.state))
                await self._end(schedule, run, result, task)

    async def _ended_task(self, run: Run) -> TaskRow | None:
        assert run.submission_id is not None  # it is submitted
        submission = await self._submissions.get(run.submission_id)
        if submission.state != "ended" or submission.task_id is None:
            return None
        return await self._store.task(submission.task_id)

    async def _end(self, schedule: Schedule, run: Run, result: TaskResult, task: TaskRow | None) -> None:
        end = decide_end(schedule, run, result.status, result.code, self._clock())
        notices = await self._notices(schedule, run, end, result.reason)
        if end.tell and not notices:
            extra = {"action": "schedule_untold", "schedule": schedule.schedule_id}
            log.warning("no chat of an owner's is there to tell of a schedule", extra=extra)
        task_id = task.task_id if task is not None else None
        ended = partial(self._store.write, schedule_rows.end_run, schedule, run, end, task_id, notices)
        if await insist(ended, "a schedule's run") and notices:
            self._wake_delivery()
        if end.state == "failed":
            ids = {"schedule": schedule.schedule_id, "group_id": schedule.group_id, "code": result.code}
            log.warning("a schedule's run failed", extra={"action": "schedule_failed", **ids})

    async def _notices(self, schedule: Schedule, run: Run, end: RunEnd, reason: str) -> list[OutboundMessage]:
        """Return what goes to the owners' own chats. They get it whatever chat the schedule has: the other way."""
        if not end.tell:
            return []
        chats = await self._owner_chats()
        if end.tell == "recovered":
            return [recovered_notice(schedule, chat) for chat in chats]
        current = await self._store.read(schedule_rows.schedule, schedule.schedule_id) or schedule
        return [
            failed_notice(
                schedule,
                chat,
                run=run,
                reason=reason or end.reason,
                failures=end.failures,
                next_due_at=current.next_due_at if current.state == "active" else None,
                zone=self._zone_of(schedule.zone),
            )
            for chat in chats
        ]

    async def _tell_undelivered(self) -> None:
        for lost in await self._store.read(schedule_rows.undelivered):
            schedule = await self._store.read(schedule_rows.schedule, lost.run.schedule_id)
            if schedule is None:
                continue
            zone = self._zone_of(schedule.zone)
            elsewhere = [chat for chat in await self._owner_chats() if chat != schedule.chat]
            # Where the owners have no other chat, it waits at the machine for whoever opens a terminal next.
            notices = [
                undelivered_notice(schedule, chat, run=lost.run, reason=lost.reason, zone=zone)
                for chat in elsewhere or [ChatKey(f"{TERMINAL}:{schedule.group_id}")]
            ]
            told = partial(self._store.write, schedule_rows.tell_undelivered, lost.run, schedule.group_id, notices)
            await self._insist(told)
            self._wake_delivery()

    async def _insist(self, write: Callable[[], Awaitable[object]]) -> None:
        await insist(write, "a schedule")


def _limits(schedule: Schedule) -> Limits | None:
    if not schedule.limits:
        return None
    wide = Limits(
        model_calls=NO_LIMIT, input_tokens=NO_LIMIT, output_tokens=NO_LIMIT, rounds=NO_LIMIT, wall_s=float(NO_LIMIT)
    )
    reals = ("cost_usd", "wall_s")
    return record.replace(
        wide, **{key: value if key in reals else int(value) for key, value in schedule.limits.items()}
    )
