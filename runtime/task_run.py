"""One task from its claim, or from where a restart finds it, to its one end: attempts, waits between them, the result.

The end is one transaction of the store: result, what goes out, the session's new turns, the end of its messages. What
follows from an attempt is decided in `attempt_outcome.py`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from protocol.ids import GroupId, MessageId, TaskId
from protocol.link import SteerMessage
from protocol.task import Task, TaskResult, TaskStatus
from protocol.transcript import Entry
from runtime.approvals.constraint_terms import tool_rules
from runtime.approvals.reviews import waits_in_its_chat
from runtime.approvals.tool_gate import ToolGate
from runtime.attempt import Attempt, link_memory
from runtime.attempt_outcome import (
    LOST,
    TAKEN_BY_CRASH,
    AttemptOutcome,
    Crashed,
    Done,
    EndTask,
    Interrupted,
    NeverStarted,
    Silent,
    StoppedBy,
    TaskHistory,
    count_crashes,
    decide_next,
    end_reason,
    misbehaved,
)
from runtime.attempt_plan import AttemptPlan, plan_attempt, plan_lease
from runtime.attempt_talk import AttemptTalk
from runtime.container_session import CannotStart
from runtime.envelope import LongText
from runtime.group import Group
from runtime.insist import insist
from runtime.programs.start import note_start
from runtime.store.database import time_text
from runtime.store.errors import StepOutOfOrder
from runtime.store.people_rows import people_with
from runtime.store.question_rows import approved_calls, suspend, waits_for_answer
from runtime.store.records import (
    AttemptRow,
    Claim,
    LastStep,
    MessageState,
    OutboxRow,
    StoredMessage,
    TaskRow,
)
from runtime.task_beginning import build_task, write_long_texts
from runtime.task_builder import build_told, inbox_paths, speakers
from runtime.task_desk import AgentSession, TaskDesk
from runtime.task_end import build_end
from runtime.task_words import failure_text, suspended_text
from runtime.uncertainty import may_have_changed_something, unsettled_since

log = logging.getLogger(__name__)

ADOPTED_WALL_FLOOR_S = 10.0
ANSWER_FIRST_S = 0.1


class TaskRun:
    """Runs one task to its end, once."""

    def __init__(
        self,
        desk: TaskDesk,
        row: TaskRow,
        claim: Claim | None = None,
        *,
        taken: AgentSession | None = None,
        transcript: tuple[Entry, ...] | None = None,
        plan: AttemptPlan | None = None,
    ) -> None:
        """`claim` is what a fresh task came of; None: the store is asked where the task stands. `taken`: the container
        at which the store knows its first attempt to run; `plan`: of that attempt, if it is made already."""
        self._desk = desk
        self._row = row
        self._claim = claim
        self._transcript = transcript
        """The session before this task, once it is known."""
        self._plan = plan
        self.talk = AttemptTalk(desk.waiting, row)
        """What its agent asks and is told."""
        self._telling = asyncio.Lock()
        """Held while something is made ready to be told: what came first is told first."""
        self._attempt = Attempt(desk, row, claim.attempt, self.talk, taken) if claim and taken else None
        self._task = row.spec
        self._stop_reason = ""
        self._tell_stop = False
        self._is_interrupted = False
        self.is_suspended = False
        """Set when it waits for a person without a container: `run` is over, the task is not."""
        self._stopped = asyncio.Event()
        self._failed_starts = 0
        self._waiting_since: float | None = None

    @property
    def row(self) -> TaskRow:
        return self._row

    @property
    def has_container(self) -> bool:
        return self._attempt is not None and self._attempt.has_container

    @property
    def group_id(self) -> GroupId:
        return self._row.group_id

    @property
    def task_id(self) -> TaskId:
        return self._row.task_id

    async def stop(self, reason: str, *, tell: bool) -> None:
        """Have the task end as stopped; `tell`: its chat has not been told by whoever stops it."""
        if self._stopped.is_set():
            return
        self._stop_reason, self._tell_stop = reason, tell
        self._stopped.set()
        if self._attempt is not None:
            await self._attempt.stop(reason)

    async def interrupt(self) -> None:
        """End the task's container, not the task: the next start of the host goes on with it."""
        self._is_interrupted = True
        if self._attempt is not None:
            await self._attempt.stop("shutdown")
        self._stopped.set()

    async def tell(self, message_ids: Sequence[MessageId]) -> None:
        """Have the agent hear of messages that came while it works. They wait until the model has seen them."""
        async with self._telling:
            await self._tell(message_ids)

    async def _tell(self, message_ids: Sequence[MessageId]) -> None:
        found = [await self._desk.store.message(message_id) for message_id in message_ids]
        messages = [message for message in found if message is not None and message.state is MessageState.QUEUED]
        people = await self._desk.store.read(people_with, speakers(messages), self.group_id)
        told = [build_told(message, people, self._desk.zone) for message in messages]
        for envelope in told:
            await self._write_long_texts(envelope.long_texts)
        await self.talk.tell(
            [
                SteerMessage(message_id=message.message_id, text=envelope.text, files=inbox_paths([message]))
                for message, envelope in zip(messages, told, strict=True)
            ]
        )

    async def tell_of_change(self, message: StoredMessage) -> None:
        """Have the agent hear of an edit or a deletion of what it works on; what it does not hear is context later."""
        async with self._telling:
            await self._tell_of_change(message)

    async def _tell_of_change(self, message: StoredMessage) -> None:
        people = await self._desk.store.read(people_with, speakers([message]), self.group_id)
        told = build_told(message, people, self._desk.zone)
        await self._write_long_texts(told.long_texts)
        await self.talk.tell([SteerMessage(message_id=message.message_id, text=told.text)])

    async def run(self) -> None:
        """Bring the task to its end. Cancelled: its container works on, for the next start to take up."""
        self._begin_progress()
        if self._attempt is None:
            await self._desk.show(self._row.chat, "accepted", "")
        try:
            end = await self._run_to_end()
            if end is None:
                return
            await self._finish(end)
            await self._let_the_answer_go_first()
            await self._leave_container("finished", end.seq)
        except asyncio.CancelledError:
            if self._attempt is not None:
                self._attempt.leave()
            raise
        except Exception as error:
            extra = {"action": "task_broke", "task_id": self._row.task_id, "group_id": self._row.group_id}
            log.exception("Nightyard failed in a task; the task ends, others go on", extra=extra)
            reason = f"Nightyard itself failed while it worked on this ({type(error).__name__})."
            end = EndTask(
                result=TaskResult(status=TaskStatus.FAILED, code="host_error", reason=reason),
                mend="`nightyard logs host` tells more",
            )
            await self._finish(end)
            await self._leave_container("host_error")
        finally:
            self._desk.progress.end(self.task_id)
            await self._desk.show(self._row.chat, "done", "")

    def _begin_progress(self) -> None:
        group = self._desk.around.groups.ready.get(self.group_id)
        is_submission = self._row.submission_id is not None
        is_held = group is None or waits_in_its_chat(group.mode, self._row.submitter, is_submission=is_submission)
        style = "off" if group is None or is_held else group.progress
        self._desk.progress.begin(self.task_id, self._row.chat, style, asyncio.get_running_loop().time())
        if self._claim is not None:
            self._desk.taken(self._claim.messages)

    # --- Attempts

    async def _run_to_end(self) -> EndTask | None:
        """Make attempts until the task's end; None: interrupted, the task goes on after the next start."""
        group = self._desk.around.groups.ready.get(self._row.group_id)
        if group is None:
            return self._suspended()
        task = self._task = self._row.spec or await self._build_task(group)
        claim = self._claim
        outcome = await self._run_attempt(claim.attempt, task, group) if claim else await self._take_up(task, group)
        while True:
            end = await self._decide(outcome, task)
            if end is not None or self._is_interrupted or self.is_suspended:
                return end
            attempt = await insist(lambda: self._desk.store.begin_attempt(self._row.task_id), "an attempt")
            outcome = await self._run_attempt(attempt, task, group)

    async def _run_attempt(self, row: AttemptRow, task: Task, group: Group) -> AttemptOutcome:
        """Start a container for an attempt that the store knows, and follow it."""
        plan, self._plan = self._plan or await self._plan_attempt(row, task, group), None
        if self._stopped.is_set():  # also while that was planned
            return StoppedBy(reason=self._stop_reason)
        self._attempt = self._attempt or Attempt(self._desk, self._row, row, self.talk)
        return await self._attempt.start(plan)

    async def _plan_attempt(self, row: AttemptRow, task: Task, group: Group) -> AttemptPlan:
        store = self._desk.store
        await note_start(store, self._desk.fork, self._row, group)
        if self._transcript is None:
            self._transcript = await store.transcript_of(task.session_id) if task.session_id else ()
        steps = await store.steps_of(task.task_id) if row.number > 1 else ()
        return plan_attempt(
            self._desk,
            self._row,
            row,
            task,
            group,
            transcript=self._transcript,
            steps=steps,
            approved=await store.read(approved_calls, task.task_id, row.number) if row.number > 1 else (),
            payer=await self._desk.money.payer_of(self._row),
            unsettled_since=await unsettled_since(self._desk, task.task_id, steps) if row.number > 1 else "",
        )

    async def _take_up(self, task: Task, group: Group) -> AttemptOutcome:
        """Find where an earlier host left the task: follow its container again, or say how its last attempt ended."""
        attempts = await self._desk.store.attempts_of(self._row.task_id)
        last = attempts[-1] if attempts else None
        if last is None:
            return NeverStarted()
        if last.state == "running":
            memory = link_memory(last, await self._desk.store.outbox_of(self._row.task_id))
            if memory is not None:
                self._attempt = Attempt(self._desk, self._row, last, self.talk)
                if self._stopped.is_set():
                    await self._attempt.stop(self._stop_reason)
                task = replace(task, limits=self._desk.money.limits_of(task))
                payer = await self._desk.money.payer_of(self._row)
                steps = await self._desk.store.steps_of(self.task_id)
                since = await unsettled_since(self._desk, self.task_id, steps) if last.number > 1 else ""
                lease = plan_lease(self._desk, self._row, last, task, group, payer, since)
                gate = ToolGate(
                    self._desk.store,
                    self.task_id,
                    tool_rules(self._desk.constraints(group.group_id)),
                    without=self._desk.absent_tools(group, self._row.chat),
                    steps=steps,
                )
                return await self._attempt.adopt(memory, lease, gate, _wall_left_s(task, last))
        if last.state == "ended" and last.end_reason.startswith("crashed"):
            return Crashed(exit_code=None, out_of_memory=False, stderr_tail="")
        if last.end_reason == "silent":
            return Silent(for_s=0.0)
        return Interrupted() if last.end_reason == "shutdown" else NeverStarted()

    async def _decide(self, outcome: AttemptOutcome, task: Task) -> EndTask | None:
        """Return the task's end; None after the wait for another attempt. A lost attempt is stored and cleared away."""
        last_seq = outcome.seq if isinstance(outcome, Done | StoppedBy) else None
        if isinstance(outcome, Done | StoppedBy) and last_seq is not None and not self._is_interrupted:
            stopped = TaskResult(status=TaskStatus.STOPPED, reason=self._stop_reason)
            result = outcome.result if isinstance(outcome, Done) else stopped
            self._desk.crash_holds.worked(self.group_id)
            if isinstance(outcome, Done) and await self._waits_for_money(outcome, task):
                return self._stopped_end() if self._stopped.is_set() else None
            return EndTask(result=result, seq=last_seq, last_step=outcome.last_step)
        if isinstance(outcome, Done | StoppedBy) and outcome.last_step is not None:
            # Interrupted in the moment of its last word: the next start goes on from the model's last turn.
            await self._store_step(outcome.last_step)
        if self._is_interrupted:
            outcome = Interrupted()
        reason = end_reason(outcome)
        if isinstance(outcome, LOST) and await self._desk.store.read(waits_for_answer, self.task_id):
            return await self._suspend(reason)
        if reason.partition(":")[0] in TAKEN_BY_CRASH:
            await self._desk.crash_holds.crashed(self.group_id, self.task_id)
        attempts = await self._desk.store.attempts_of(self._row.task_id)
        if attempts:
            last = attempts[-1]
            await insist(lambda: self._desk.store.attempt_ended(last.attempt_id, reason), "the end of an attempt")
            attempts = (*attempts[:-1], replace(last, state="ended", end_reason=last.end_reason or reason))
        await self._close_attempt(reason, last_seq)
        if self._is_interrupted:
            return None
        decision = decide_next(outcome, await self._history(outcome, attempts, task))
        if isinstance(decision, EndTask):
            return decision
        extra = {"action": "attempt_again", "task_id": task.task_id, "reason": reason, "after_s": decision.after_s}
        log.warning("an attempt ended, another follows", extra=extra)
        return await self._wait(decision.after_s)

    async def _suspend(self, reason: str) -> EndTask | None:
        """Have the task wait without a container; return its end if it was stopped meanwhile."""
        self.is_suspended = True
        await insist(lambda: self._desk.store.write(suspend, self.task_id, reason), "a suspended task")
        await self._leave_container(reason)
        extra = {"action": "task_suspended", "task_id": self.task_id, "group_id": self.group_id}
        log.info("a task waits for a person without a container", extra=extra)
        return self._stopped_end() if self._stopped.is_set() and not self._is_interrupted else None

    async def _waits_for_money(self, outcome: Done, task: Task) -> bool:
        """Suspend the task if its agent was refused a model call for money; False: it ends as its agent says."""
        is_of_money = outcome.result.status is TaskStatus.FAILED and outcome.result.code.startswith("limit_")
        if not is_of_money or self._attempt is None:
            return False
        if outcome.last_step is not None:
            await self._store_step(outcome.last_step)
        code, attempt_id = outcome.result.code, self._attempt.attempt_id
        self.is_suspended = await self._desk.money.suspend(self._row, task, attempt_id, code)
        if self.is_suspended:
            await self._leave_container("spent", outcome.seq)
        return self.is_suspended

    def _stopped_end(self) -> EndTask:
        return EndTask(result=TaskResult(status=TaskStatus.STOPPED, reason=self._stop_reason))

    async def end_suspended(self, reason: str, *, tell: bool) -> None:
        """End a suspended task as stopped, instead of running it."""
        self._task, self._stop_reason, self._tell_stop = self._row.spec, reason, tell
        await self._finish(self._stopped_end())

    async def _store_step(self, last: LastStep) -> None:
        try:
            await insist(lambda: self._desk.store.store_step(last.attempt_id, last.seq, last.step), "a step")
        except StepOutOfOrder as error:
            log.warning("an agent's last step was left out: %s", error, extra={"action": "step_out_of_order"})

    async def _history(self, outcome: AttemptOutcome, attempts: Sequence[AttemptRow], task: Task) -> TaskHistory:
        if isinstance(outcome, CannotStart):
            self._failed_starts += 1
            self._waiting_since = self._waiting_since or time.monotonic()
        else:
            self._failed_starts, self._waiting_since = 0, None
        return TaskHistory(
            crashes=count_crashes(attempts),
            max_attempts=task.max_attempts,
            attempts=len(attempts),
            is_uncertain=isinstance(outcome, Crashed | Silent | Interrupted)
            and await may_have_changed_something(self._desk, self.task_id, attempts[-1]),
            failed_starts=self._failed_starts,
            waited_s=time.monotonic() - (self._waiting_since or time.monotonic()),
            chance=random.random(),
        )

    async def _wait(self, seconds: float) -> EndTask | None:
        """Wait before another attempt; return the end if the task is stopped meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return None
        return None if self._is_interrupted else self._stopped_end()

    async def _let_the_answer_go_first(self) -> None:
        """Wait a moment for the delivery: an engine that clears a container away keeps two cores busy for 40 ms."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_FIRST_S):
                await self._desk.delivery.settled()

    async def _leave_container(self, reason: str, last_seq: int | None = None) -> None:
        """Free the container where another task of the group may be next: what this one noted is looked at before, and
        what it wrote into spaces."""
        is_watched = await self._desk.memory.is_watched(self.task_id)
        is_inside = self._desk.spaces.is_inside(self.task_id)
        await self._close_attempt(reason, last_seq, at_once=is_watched or is_inside)
        if is_watched:
            await self._desk.memory.look(self.task_id, self.group_id)
        if is_inside:
            await self._desk.spaces.end(self.task_id)

    async def _close_attempt(self, reason: str, last_seq: int | None = None, *, at_once: bool = False) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            await attempt.close(reason, last_seq, at_once=at_once)

    # --- The beginning

    async def _build_task(self, group: Group) -> Task:
        """Return the task as all its attempts are given it."""
        begun = await build_task(self._desk, self._row, self._claim, group)
        self._transcript = begun.transcript
        await self._write_long_texts(begun.long_texts)
        return begun.task

    async def _write_long_texts(self, long_texts: Sequence[LongText]) -> None:
        await write_long_texts(self._desk.home.inbox(self.group_id), long_texts)

    def _suspended(self) -> EndTask:
        problems = self._desk.around.groups.problems_of(self._row.group_id)
        text = suspended_text(self._row.group_id, problems)
        return EndTask(result=_failed("group_suspended", text), said=text)

    # --- The end

    async def _finish(self, end: EndTask) -> None:
        """Store the end in one transaction: result, what the chat reads, the session's new turns, its messages' end."""
        result, delivery = end.result, self._desk.delivery
        footer = await self._footer(end)
        try:
            claimed = await insist(lambda: self._store_end(end, footer), "a task's end")
        except StepOutOfOrder as error:
            await self._finish(misbehaved("step_out_of_order", str(error)))
            return
        delivery.deliver(claimed)
        if not claimed:
            delivery.wake()
        await asyncio.sleep(0)  # the answer is on its way before the rooms write and a line is logged
        ended_at = time_text(datetime.now(UTC))
        self._desk.ends.tell(replace(self._row, state=result.status, result=result, ended_at=ended_at, spec=self._task))
        extra = {"action": "task_finished", "task_id": self._row.task_id, "status": result.status, "code": result.code}
        log.info("a task ended", extra={"group_id": self._row.group_id, **extra})

    async def _footer(self, end: EndTask) -> str:
        """Return the line under an answer that says what it cost, where the group wants one."""
        group = self._desk.around.groups.ready.get(self.group_id)
        if group is None or not group.footer or end.result.status is not TaskStatus.REPLY:
            return ""
        return await self._desk.money.footer_of(group, self.task_id)

    async def _store_end(self, end: EndTask, footer: str) -> tuple[OutboxRow, ...]:
        build = partial(build_end, self._row, end, self._words(end), footer=footer)
        return await self._desk.store.end_task(
            self.task_id, build, last_step=end.last_step, deliveries=self._desk.delivery.room
        )

    def _words(self, end: EndTask) -> str:
        """Return what the chat reads at the end, empty for nothing."""
        match end.result.status:
            case TaskStatus.REPLY:
                return end.result.text
            case TaskStatus.FAILED:
                group = self._desk.around.groups.ready.get(self._row.group_id)
                route = self._desk.settings.routes.get(group.model.route) if group else None
                secret = route.secret if route else None
                return end.said or failure_text(end.result, mend=end.mend, group=group, secret=secret)
            case TaskStatus.STOPPED if self._tell_stop:
                return failure_text(end.result, mend="", group=None, secret=None)
            case _:
                return ""


def _failed(code: str, reason: str) -> TaskResult:
    return TaskResult(status=TaskStatus.FAILED, code=code, reason=reason)


def _wall_left_s(task: Task, attempt: AttemptRow) -> float:
    """Return what is left of an attempt's time; a little at least, so that words on their way still arrive, and never
    more than all of it, though the clock was set back meanwhile."""
    ran_s = (datetime.now(UTC) - datetime.fromisoformat(attempt.started_at)).total_seconds()
    return min(max(task.limits.wall_s - ran_s, ADOPTED_WALL_FLOOR_S), task.limits.wall_s)
