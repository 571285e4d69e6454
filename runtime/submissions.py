"""Takes in work that no chat message brought, once, and tells its submitter what becomes of it.

Schedules, programs, other agents, the command line submit here. Each submission is on disk before `submit` returns,
queues fairly with what people say, survives restarts, and ends in exactly one task.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from protocol.ids import SubmissionId
from protocol.task import TaskStatus
from runtime.config import resolve_model, unknown_route
from runtime.insist import insist
from runtime.json_schema import SchemaError, check_schema
from runtime.refusal import OperationRefused
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.store.submission_rows import MAX_QUEUED, NotTaken, StoredSubmission, submission, take_in, task_of
from runtime.submission import NewSubmission, Submission, Trust, why_wrong
from runtime.task_desk import Surroundings
from runtime.task_ends import TaskEnds

__all__ = ["NewSubmission", "Submission", "Submissions", "Trust"]

SLOW_REREAD_S = 60.0
"""Whoever waits for an end looks into the store at least so often."""


class SubmissionQueue(Protocol):
    """The part of `dispatcher.Dispatcher` that works on submissions."""

    def submitted(self, submission: StoredSubmission) -> None:
        """Take work that has just been stored. Returns at once."""

    async def cancel(self, submission: StoredSubmission, reason: str) -> bool:
        """End it as stopped; False if it has ended."""


class Submissions:
    """One for the whole host."""

    def __init__(self, store: Store, around: Surroundings, queue: SubmissionQueue, ends: TaskEnds) -> None:
        self._store = store
        self._around = around
        self._queue = queue
        self._waiting: dict[SubmissionId, set[asyncio.Event]] = {}
        ends.subscribe(self._note_end)

    async def submit(self, new: NewSubmission) -> Submission:
        """Store new work and have it begin when its turn comes. The same submitter and key again: the first one.

        Raises OperationRefused; its code says what is wrong, or `key_reused` for other work under a used key.
        """
        self.check(new)
        taken = await insist(lambda: self._store.write(take_in, new), "a submission")
        if isinstance(taken, NotTaken):
            raise _refusal(taken, new)
        stored, is_new = taken
        self.begin(stored, is_new)
        return stored.shown(is_new=is_new)

    def begin(self, stored: StoredSubmission, is_new: bool) -> None:
        """Have work begin that has been stored, when its turn comes. Returns at once."""
        if is_new:
            self._queue.submitted(stored)

    async def get(self, submission_id: SubmissionId) -> Submission:
        """Return where a submission stands; OperationRefused for one that is not there."""
        return (await self._known(submission_id)).shown()

    async def cancel(self, submission_id: SubmissionId, reason: str) -> Submission:
        """Stop it, wherever it is: its task ends as `stopped` within 2 s. One that has ended stays as it is."""
        await self._queue.cancel(await self._known(submission_id), reason)
        return await self.get(submission_id)

    async def wait_ended(self, submission_id: SubmissionId) -> TaskRow:
        """Return the task that it became, when that has ended, with its result; OperationRefused for one unknown.
        Cancelled while waiting: nothing changes."""
        await self._known(submission_id)
        ended = asyncio.Event()
        waiting = self._waiting.setdefault(submission_id, set())
        waiting.add(ended)
        try:
            while True:
                task = await self._store.read(task_of, submission_id)
                if task is not None and task.state in set(TaskStatus):
                    return task
                ended.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(SLOW_REREAD_S):
                        await ended.wait()
        finally:
            waiting.discard(ended)
            if not waiting:
                self._waiting.pop(submission_id, None)

    def _note_end(self, row: TaskRow) -> None:
        if row.submission_id is not None:
            for ended in self._waiting.get(row.submission_id, ()):
                ended.set()

    async def _known(self, submission_id: SubmissionId) -> StoredSubmission:
        stored = await self._store.read(submission, submission_id)
        if stored is None:
            raise OperationRefused("unknown_submission", f"there is no submission {submission_id[:60]!r}")
        return stored

    def check(self, new: NewSubmission) -> None:
        """Raise OperationRefused for work that cannot be taken in as it is."""
        wrong = why_wrong(new)
        if wrong is not None:
            raise OperationRefused(*wrong)
        groups, routes = self._around.groups, self._around.settings.settings.routes
        groups.checked(new.group_id)
        if new.model_hint is not None and resolve_model(new.model_hint, routes) is None:
            raise OperationRefused("unknown_model", f"the model {unknown_route(new.model_hint, routes)}")
        group = groups.ready.get(new.group_id)
        if new.skill is not None and group is not None and new.skill not in group.skills:
            known = ", ".join(group.skills) or "none"
            raise OperationRefused(
                "unknown_skill",
                f"the group {group.group_id} has no skill {new.skill[:40]!r} (known: {known})",
                f"name it under skills in groups/{group.group_id}/group.yaml, then `nightyard config reload`",
            )
        if new.result_schema is not None:
            try:
                check_schema(new.result_schema)
            except SchemaError as error:
                raise OperationRefused("wrong_schema", f"the result schema cannot be used: {error}") from error


def _refusal(why: NotTaken, new: NewSubmission) -> OperationRefused:
    match why.code:
        case "key_reused":
            text = f"{new.submitter} has used the key {new.idempotency_key!r} for other work"
            return OperationRefused(why.code, text, "submit it under another key")
        case "queue_full":
            return OperationRefused(why.code, f"{MAX_QUEUED} submissions wait already", "submit it again later")
        case "unknown_session":
            return OperationRefused(why.code, f"{new.group_id} has no session {new.session[:60]!r}")
