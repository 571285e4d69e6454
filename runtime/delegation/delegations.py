"""Delegations at work: an agent's question becomes another agent's task, whose result becomes the answer.

A question comes through `waiting_tasks.py`, which suspends a task that waits long and brings it the answer, be it after
a restart. Each step is a row before the next one begins, and the submission's key is the delegation's own, so that a
host killed anywhere goes on: nothing is asked twice, and no answer is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from protocol.codec import ShapeError, from_json
from protocol.ids import ChatKey, GroupId, SubmissionId, TaskId
from protocol.task import TaskResult, TaskStatus
from runtime.approvals.records import Approval, Taint, TaintSource
from runtime.approvals.reviews import let_go
from runtime.delegation.decisions import decide_delegation
from runtime.delegation.files import hand_over
from runtime.delegation.records import Delegation, DelegationAnswer, DelegationRequest
from runtime.delegation.words import build_answer, delegated_prompt
from runtime.group import Groups
from runtime.home import Home
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.store import delegation_rows, result_rows
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.submission import NewSubmission, Submission
from runtime.waiting_tasks import Asked

log = logging.getLogger(__name__)

SLOW_REREAD_S = 60.0
MAX_ATTEMPTS = 3
"""Of a delegated task whose container dies."""
GIVEN_UP = "the agent that asked does not wait for it any more"


class SubmissionRoom(Protocol):
    """The part of `submissions.Submissions` that work is handed to."""

    async def submit(self, new: NewSubmission) -> Submission: ...
    async def get(self, submission_id: SubmissionId) -> Submission: ...
    async def cancel(self, submission_id: SubmissionId, reason: str) -> Submission: ...


class TaintRoom(Protocol):
    """The part of `approvals.taint.Taints` that knows what tasks have read."""

    async def taint_of(self, task_id: TaskId) -> Taint: ...
    async def mark(self, task_id: TaskId, source: TaintSource, origin: str) -> None: ...


Resume = Callable[..., Awaitable[bool]]
"""`waiting_tasks.WaitingTasks.resume`."""


class Delegations:
    """One for the whole host."""

    def __init__(
        self,
        store: Store,
        submissions: SubmissionRoom,
        taints: TaintRoom,
        home: Home,
        *,
        groups: Callable[[], Groups],
        may_send: Callable[[GroupId, ChatKey], bool],
        resume: Resume,
    ) -> None:
        self._store = store
        self._submissions = submissions
        self._taints = taints
        self._home = home
        self._groups = groups
        self._may_send = may_send
        self._resume = resume
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Look now: a task has ended that may be delegated, or may have asked."""
        self._awake.set()

    async def reviewed(self, _: Approval) -> None:
        """Look now: a person has decided about an answer, perhaps."""
        self._awake.set()

    async def asked(self, asked: Asked) -> str | None:
        """Take an agent's question to another agent; the answer follows. Raises OperationRefused."""
        task, call_id = asked.task, asked.ask.call_id
        if await self._store.read(delegation_rows.delegation_of_call, task.task_id, call_id) is None:
            request = _request(asked)
            ancestors = await self._decide(task, request)
            add = partial(
                delegation_rows.add_delegation,
                from_group=task.group_id,
                from_task=task.task_id,
                call_id=call_id,
                ancestors=ancestors,
                request=request,
            )
            made = await insist(partial(self._store.write, add), "a delegation")
            ids = {"delegation": made.delegation_id, "group_id": task.group_id, "to": made.to_group}
            log.info("an agent asks another", extra={"action": "delegated", **ids})
        self._awake.set()
        return None

    async def _decide(self, task: TaskRow, request: DelegationRequest) -> tuple[GroupId, ...]:
        """Return the groups behind the work, the asking one last; raise OperationRefused."""
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        asking = partial(delegation_rows.asking_facts, to_group=request.to, since=hour_ago)
        facts = await self._store.read(asking, task.task_id, task.group_id)
        handed = await self._store.read(delegation_rows.handed_files_of, task.task_id)
        groups = self._groups()
        group = groups.ready.get(task.group_id)
        refused = decide_delegation(
            task.group_id,
            request,
            delegates=group.delegates if group else (),
            facts=facts,
            handed={file.call_id for file in handed},
        )
        if refused is not None:
            raise OperationRefused(refused.code, refused.message, refused.mend)
        if request.deliver:
            await self._check_delivery(task, GroupId(request.to))
        return (*facts.ancestors, task.group_id)

    async def _check_delivery(self, task: TaskRow, asked: GroupId) -> None:
        """Refuse an answer to a chat where the asked agent has no business."""
        if task.chat is None:
            raise OperationRefused("no_chat", "this task has no chat that an answer could be shown in")
        is_bound = await self._store.binding_of(task.chat, asked) is not None
        if not is_bound and not self._may_send(asked, task.chat):
            raise OperationRefused("not_there", f"the agent {asked} is not in this chat: show its answer yourself")

    async def run(self) -> None:
        """Bring delegations forward until cancelled."""
        while True:
            self._awake.clear()
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(SLOW_REREAD_S):
                    await self._awake.wait()

    async def look(self) -> None:
        """Bring every open delegation as far as it goes now."""
        for delegation in await self._store.read(delegation_rows.open_delegations):
            await self._go_on(delegation)

    async def _go_on(self, delegation: Delegation) -> None:
        if delegation.state != "ended" and await self._is_given_up(delegation):
            await self._give_up(delegation)
        elif delegation.state == "asked":
            await self._submit(delegation)
        elif delegation.state == "submitted":
            await self._settle(delegation)
        else:
            await self._answer(delegation)

    async def _is_given_up(self, delegation: Delegation) -> bool:
        """Say whether the asking task has ended: stopped, or out of time."""
        asking = await self._store.task(delegation.from_task)
        return asking is None or asking.state not in ("running", "suspended")

    async def _give_up(self, delegation: Delegation) -> None:
        if delegation.submission_id is not None:
            await self._submissions.cancel(delegation.submission_id, GIVEN_UP)
            job = partial(result_rows.withdraw, submission_id=delegation.submission_id, reason=GIVEN_UP)
            await insist(partial(self._store.write, job), "a review")
        await self._end(delegation, DelegationAnswer(is_done=False, text=GIVEN_UP))

    async def _submit(self, delegation: Delegation) -> None:
        sent = await self._store.read(delegation_rows.handed_files_of, delegation.from_task)
        files = await hand_over(
            self._home,
            delegation.delegation_id,
            [file for file in sent if file.call_id in delegation.request.files],
            giver=delegation.from_group,
            taker=delegation.to_group,
            direction="in",
        )
        asking = await self._store.task(delegation.from_task)
        taint = await self._taints.taint_of(delegation.from_task)
        new = NewSubmission(
            submitter=f"group:{delegation.from_group}",
            group_id=delegation.to_group,
            prompt=delegated_prompt(delegation, files),
            idempotency_key=delegation.delegation_id,
            chat=asking.chat if asking is not None and delegation.request.deliver else None,
            max_attempts=MAX_ATTEMPTS,
            trust="untrusted" if taint.is_tainted else "agent",
            labels={"delegation": delegation.delegation_id, "depth": str(delegation.depth)},
        )
        try:
            submission = await self._submissions.submit(new)
        except OperationRefused as refused:
            await self._end(delegation, DelegationAnswer(is_done=False, text=f"{refused.message}."))
            return
        submitted = partial(delegation_rows.delegation_submitted, known=delegation)
        write = partial(self._store.write, submitted, submission_id=submission.submission_id)
        await insist(write, "a delegation")
        if submission.state == "ended":  # a host before this one submitted it, and died before it noted that
            self._awake.set()

    async def _settle(self, delegation: Delegation) -> None:
        assert delegation.submission_id is not None  # it is submitted
        try:
            submission = await self._submissions.get(delegation.submission_id)
        except OperationRefused as refused:  # it is gone, whatever took it
            await self._end(delegation, DelegationAnswer(is_done=False, text=f"{refused.message}."))
            return
        if submission.state != "ended" or submission.task_id is None:
            return
        task = await self._store.task(submission.task_id)
        assert task is not None  # its submission became it
        review = await self._store.read(result_rows.review_of, task)
        result = let_go(task.result or TaskResult(status=TaskStatus(task.state)), review)
        if result is None:
            return  # a person looks at it first
        for source, origin in (await self._taints.taint_of(task.task_id)).sources:
            await self._taints.mark(delegation.from_task, source, origin)
        is_let_go = review is None or review.is_approved
        sent = await self._store.read(delegation_rows.handed_files_of, task.task_id) if is_let_go else ()
        files = await hand_over(
            self._home,
            delegation.delegation_id,
            sent,
            giver=delegation.to_group,
            taker=delegation.from_group,
            direction="back",
        )
        await self._end(delegation, build_answer(delegation, result, files))

    async def _end(self, delegation: Delegation, answer: DelegationAnswer) -> None:
        await insist(partial(self._store.write, delegation_rows.delegation_ended, delegation, answer), "a delegation")
        self._awake.set()

    async def _answer(self, delegation: Delegation) -> None:
        """Bring the answer to the task that asked; one that waits no more needs none."""
        assert delegation.answer is not None  # it has ended
        answer = delegation.answer
        await self._resume(delegation.from_task, delegation.call_id, answer.text, is_error=not answer.is_done)
        await insist(partial(self._store.write, delegation_rows.delegation_answered, delegation), "a delegation")


def _request(asked: Asked) -> DelegationRequest:
    try:
        return from_json(DelegationRequest, asked.ask.payload, "delegate")
    except ShapeError as error:
        raise OperationRefused("wrong_request", f"the request is not understood: {error}") from error
