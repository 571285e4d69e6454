"""One attempt: a container taken or taken up again, its agent's words stored and shown, until an outcome.

What follows from the outcome is `attempt_outcome.py`'s decision and `task_run.py`'s work; the container itself is
`container_session.py`'s. A step is acked only when it is on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from credproxy.admin_client.link import ProxyError
from protocol.ids import AttemptId, FileId
from protocol.link import Ask, Delta, Finished, Progress, StepTaken
from protocol.record import replace as replace_record
from protocol.task import Lease, TaskResult, TaskStatus
from runtime.agent_events import (
    AgentBack,
    AgentEvent,
    AgentMisbehaved,
    AgentSilent,
    AgentUnassigned,
    ContainerEnded,
    FileArrived,
    StrangerRefused,
)
from runtime.agent_link_rules import LinkMemory
from runtime.approvals.reviews import waits_in_its_chat
from runtime.approvals.tool_gate import ToolGate
from runtime.attempt_outcome import (
    AttemptOutcome,
    Crashed,
    Done,
    Misbehaved,
    NeverStarted,
    OverTime,
    Silent,
    StoppedBy,
    Suspended,
)
from runtime.attempt_plan import AttemptPlan
from runtime.attempt_talk import AttemptTalk
from runtime.checked_result import checked_result, sourced_result
from runtime.container_command import SpaceMount
from runtime.container_kinds import space_mounts
from runtime.container_session import CannotStart
from runtime.delegation.records import HandedFile
from runtime.insist import insist
from runtime.judgement import needs_sources
from runtime.refusal import OperationRefused
from runtime.store.delegation_rows import add_handed_file
from runtime.store.errors import StepOutOfOrder
from runtime.store.records import AttemptRow, LastStep, OutboxRow, TaskRow
from runtime.task_desk import AgentSession, TaskDesk

log = logging.getLogger(__name__)

MAX_CALL_ID_CHARS = 200


class Attempt:
    """Runs one attempt of a task, once."""

    def __init__(
        self, desk: TaskDesk, row: TaskRow, attempt: AttemptRow, talk: AttemptTalk, taken: AgentSession | None = None
    ) -> None:
        """`taken`: its container, at whose door the store knows it to run already; None: one is still to be found."""
        self._desk = desk
        self._row = row
        self._attempt = attempt
        self._talk = talk
        self._session = taken
        self._schema = row.spec.result_schema if row.spec else None
        self._gate = ToolGate(desk.store, row.task_id, ())
        self._starting: asyncio.Timeout | None = None
        self._stop_reason = ""
        self._may_use_tools = False
        self._spaces: Sequence[SpaceMount] = ()

    @property
    def attempt_id(self) -> AttemptId:
        return self._attempt.attempt_id

    @property
    def has_container(self) -> bool:
        return self._session is not None

    async def start(self, plan: AttemptPlan) -> AttemptOutcome:
        """Take a container, hand the task over, and follow it to an outcome."""
        task, assignment = plan.task, plan.assignment
        self._schema = task.result_schema
        self._spaces = plan.kind.spaces
        self._row = replace(self._row, spec=task)
        self._gate = ToolGate(
            self._desk.store,
            task.task_id,
            assignment.constraints,
            without=assignment.without,
            steps=assignment.steps,
        )
        try:
            async with asyncio.timeout(None) as self._starting:
                if self._stop_reason:
                    return StoppedBy(reason=self._stop_reason)
                refused = await self._hand_over(plan)
        except TimeoutError:
            if not self._stop_reason:
                raise
            return StoppedBy(reason=self._stop_reason)
        finally:
            self._starting = None
        if refused:
            return self._unless_stopped(refused)
        # Logged here and not before: a line costs a third of a millisecond, and a person waits until this moment.
        extra = {"action": "task_handed_over", "task_id": task.task_id, "group_id": task.group_id}
        log.info("an agent has its task", extra={**extra, "attempt": self._attempt.number})
        return await self._follow(task.limits.wall_s)

    async def adopt(self, memory: LinkMemory, lease: Lease | None, gate: ToolGate, wall_s: float) -> AttemptOutcome:
        """Take up the container that an earlier host handed this attempt to. `gate`: by the rules that hold now;
        `wall_s`: what is left."""
        self._gate = gate
        group = self._desk.around.groups.ready.get(self._row.group_id)
        self._spaces = space_mounts(group, self._desk.home) if group else ()
        self._session = await self._desk.containers.adopt(memory, self._row.group_id, lease)
        if self._stop_reason:
            await self._session.stop(self._stop_reason)
        return await self._follow(wall_s)

    async def stop(self, reason: str) -> None:
        """Have the attempt end: no process of its container is left after 2 s."""
        self._stop_reason = self._stop_reason or reason
        if self._session is not None:
            await self._session.stop(reason)
        elif self._starting is not None:
            self._starting.reschedule(asyncio.get_running_loop().time())

    async def close(self, reason: str, last_seq: int | None = None, *, at_once: bool = False) -> None:
        """Let the agent know that its last word is stored, and free its container. `at_once`: nothing of it is left on
        return."""
        if self._session is None:
            return
        if last_seq is not None and not self._stop_reason and not at_once:
            self._session.dismiss(last_seq)
            return
        if last_seq is not None:
            await self._session.ack(last_seq)
        await self._session.end(reason)

    def leave(self) -> None:
        """Only the host goes away: the container works on, for the next start to take up."""
        if self._session is not None:
            self._session.leave()

    async def _hand_over(self, plan: AttemptPlan) -> CannotStart | None:
        if self._session is not None:
            cannot = await self._session.hand_over(plan.lease, plan.assignment)
            # Shown when the task is on its way: with a container at hand that is no later than a person can see.
            await self._desk.show(self._row.chat, "accepted", "")
            return cannot
        taken = await self._desk.containers.take(plan.kind)
        if isinstance(taken, CannotStart):
            return taken
        self._session = taken
        recorded = insist(
            lambda: self._desk.store.attempt_running(
                self._attempt.attempt_id,
                door_id=taken.door_id,
                container_id=taken.container_id,
                nonce_hash=taken.memory.nonce_hash,
                spec=plan.task,
            ),
            "an attempt",
        )
        return await taken.hand_over(plan.lease, plan.assignment, recorded=recorded)

    async def _follow(self, wall_s: float) -> AttemptOutcome:
        assert self._session is not None
        wall, patience = asyncio.timeout(wall_s), asyncio.timeout(None)
        try:
            async with wall, patience:
                await self._talk.begin(self._session, wall, patience)
                async for event in self._session.events():
                    outcome = await self._take(self._session, event)
                    if outcome is not None:
                        return self._unless_stopped(outcome)
        except TimeoutError:
            return self._unless_stopped(OverTime(wall_s=wall_s) if wall.expired() else Suspended())
        finally:
            self._talk.end()
        return self._unless_stopped(Crashed(exit_code=None, out_of_memory=False, stderr_tail=""))

    def _unless_stopped(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Return the outcome, or that of a stop: whoever asked for it was told that nothing will come."""
        if not self._stop_reason:
            return outcome
        if not isinstance(outcome, Done):
            return StoppedBy(reason=self._stop_reason)
        return StoppedBy(reason=self._stop_reason, seq=outcome.seq, last_step=outcome.last_step)

    async def _take(self, session: AgentSession, event: AgentEvent) -> AttemptOutcome | None:
        """Store and show one event; return the outcome if it is the end."""
        match event:
            case StepTaken() if (finished := session.take_finished()) is not None:
                last_step = LastStep(attempt_id=self._attempt.attempt_id, seq=event.seq, step=event.step)
                return Done(seq=finished.seq, result=await self._last_word(finished.result), last_step=last_step)
            case StepTaken():
                return await self._store_step(session, event)
            case Finished(seq=seq, result=result):
                return Done(seq=seq, result=await self._last_word(result))
            case Ask():
                return await self._talk.asked(event)
            case Delta(text=text):
                self._desk.listeners.tell(self._row.submission_id, text)
                if not self._waits_for_review():
                    await self._desk.show(self._row.chat, "delta", text)
            case Progress():
                await self._desk.show_progress(self._row.chat, self._progress_line(event))
            case FileArrived():
                return await self._store_file(session, event)
            case AgentSilent(for_s=for_s):
                return Silent(for_s=for_s)
            case AgentMisbehaved(code=code, detail=detail):
                return Misbehaved(code=code, detail=detail)
            case AgentUnassigned():
                return NeverStarted()
            case AgentBack():
                await self._talk.send_unsent()
            case StrangerRefused():
                self._warn("a second connection to the agent's link was refused", "stranger_refused")
            case ContainerEnded():
                return self._crashed(event)
        return None

    def _waits_for_review(self) -> bool:
        group = self._desk.around.groups.ready.get(self._row.group_id)
        is_submission = self._row.submission_id is not None
        return group is None or waits_in_its_chat(group.mode, self._row.submitter, is_submission=is_submission)

    async def _last_word(self, said: TaskResult) -> TaskResult:
        """Return the result that the task ends with, its sources compared with what the proxy has fetched."""
        result = checked_result(said, self._schema)
        if result.judgement is None or not needs_sources(result.judgement):
            return result
        try:
            return sourced_result(result, await self._desk.fetched(self._row.task_id))
        except ProxyError as error:
            reason = f"What the result rests on cannot be checked: {error}"
            return replace_record(result, status=TaskStatus.FAILED, code="sources_unknown", reason=reason)

    def _progress_line(self, said: Progress) -> str:
        book = self._desk.progress
        if said.kind == "tool":
            return book.tool(self._row.task_id, said.text, asyncio.get_running_loop().time())
        if said.kind == "output":
            return book.output(self._row.task_id, said.text, asyncio.get_running_loop().time())
        return book.note(self._row.task_id, said.text)

    async def _store_step(self, session: AgentSession, event: StepTaken) -> AttemptOutcome | None:
        violation = await self._gate.violation(event.step)
        if violation:
            return Misbehaved(code="constraint_bypassed", detail=violation)
        try:
            stored_seq = await insist(
                lambda: self._desk.store.store_step(self._attempt.attempt_id, event.seq, event.step), "a step"
            )
        except StepOutOfOrder as error:
            return Misbehaved(code="step_out_of_order", detail=str(error))
        if not self._may_use_tools:
            # The tools that the step asks for run when it is acked, not sooner.
            await self._desk.histories.before_tools(self._row.task_id, self._row.group_id)
            await self._desk.spaces.begin(self._row.task_id, self._spaces)
            self._may_use_tools = True
        await session.ack(stored_seq)
        if event.step.kind == "model_turn":
            await self._desk.show(self._row.chat, "turn", "")
        line = self._desk.progress.stored(self._row.task_id, event.step, asyncio.get_running_loop().time())
        await self._desk.show_progress(self._row.chat, line)
        await self._talk.stored(event.step)
        return None

    async def _store_file(self, session: AgentSession, event: FileArrived) -> AttemptOutcome | None:
        if len(event.call_id) > MAX_CALL_ID_CHARS:
            return Misbehaved(code="wrong_shape", detail="a call id without end")
        try:
            await self._desk.files.file_arrived(self._row, event)
        except OperationRefused as refused:
            await session.file_refused(event.file_id, f"{refused.message}.")
            return None
        if event.is_for_agent or (self._row.submitter.startswith("group:") and not event.to):
            file = HandedFile(
                task_id=self._row.task_id,
                call_id=event.call_id,
                file_id=event.file_id,
                name=event.name,
                size_bytes=event.size,
                sha256=event.sha256,
            )
            await insist(lambda: self._desk.store.write(add_handed_file, file, self._row.group_id), "a file")
        await session.file_stored(event.file_id)
        return None

    def _crashed(self, event: ContainerEnded) -> Crashed:
        if not self._stop_reason:
            self._warn(
                "the agent's container ended",
                "container_ended",
                exit_code=event.exit_code,
                out_of_memory=event.out_of_memory,
                stderr_tail=event.stderr_tail[-2_000:],
            )
        return Crashed(exit_code=event.exit_code, out_of_memory=event.out_of_memory, stderr_tail=event.stderr_tail)

    def _warn(self, text: str, action: str, **facts: object) -> None:
        ids = {"task_id": self._row.task_id, "attempt_id": self._attempt.attempt_id}
        log.warning(text, extra={"action": action, "group_id": self._row.group_id, **ids, **facts})


def link_memory(attempt: AttemptRow, outbox: Sequence[OutboxRow]) -> LinkMemory | None:
    """Return what a link must know to be taken up again, None if the attempt never had one."""
    if attempt.door_id is None:
        return None
    labels = [row.message.labels for row in outbox if row.message.labels]
    files = {label["call_id"]: FileId(label["file_id"]) for label in labels if "call_id" in label}
    return LinkMemory(
        door_id=attempt.door_id, nonce_hash=attempt.nonce_hash, stored_seq=attempt.stored_seq, stored_files=files
    )
