"""Ends what people and programs want ended: tasks that run, tasks that wait for a person, work that waits its turn."""

from __future__ import annotations

from collections.abc import Callable

from protocol.ids import ChatKey, MessageId, SubmissionId, TaskId
from runtime.insist import insist
from runtime.operations import Stopped
from runtime.session_queue import SessionQueue
from runtime.store import question_rows, submission_rows
from runtime.store.records import MessageState, TaskRow
from runtime.store.submission_rows import StoredSubmission
from runtime.task_desk import TaskDesk
from runtime.task_run import TaskRun
from runtime.waiting_notices import WaitingNotices
from runtime.waiting_work import lane_of
from runtime.work import Work, Works


class Stops:
    """The part of the dispatcher that stops."""

    def __init__(self, desk: TaskDesk, queue: SessionQueue, works: Works, notices: WaitingNotices) -> None:
        self._desk = desk
        self._queue = queue
        self._works = works
        self._notices = notices

    async def stop_chat(self, chat: ChatKey, reason: str, keep_before: int = 0, *, tell: bool = False) -> Stopped:
        """Stop the chat's tasks and end its waiting messages, but for those of a number below `keep_before`. What
        is being stored or claimed just now is stopped as soon as that is done. Not `tell`: who asked tells the chat."""
        works = self._works.of_chat(chat)
        self._works.stop(works, reason, tell=tell)
        dropped = await self._end_waiting(chat, reason, keep_before)
        for work in works:
            await work.settled.wait()
        dropped += await self._end_waiting(chat, reason, keep_before)
        tasks = tuple(work.run.task_id for work in works if work.run is not None)
        suspended = await self._end_suspended(lambda row: row.chat == chat, reason, tell=tell)
        if tell and dropped:
            await self._notices.tell_dropped(chat, dropped)
        kept = sum(waiting.kind == "message" for waiting in self._queue.waiting_of(chat))
        return Stopped(tasks=(*tasks, *suspended), messages=len(dropped), kept=kept)

    async def stop_task(self, task_id: TaskId, reason: str) -> Stopped:
        """Stop one task that runs or waits for a person; its chat is told."""
        tasks = self._works.stop(await self._works_of(task_id), reason, tell=True)
        suspended = await self._end_suspended(lambda row: row.task_id == task_id, reason, tell=True)
        return Stopped(tasks=(*tasks, *suspended), messages=0)

    async def stop_all(self, reason: str) -> Stopped:
        """Stop every task that runs or waits for a person; their chats are told. Waiting messages keep waiting."""
        tasks = self._works.stop(self._works.all(), reason, tell=True)
        suspended = await self._end_suspended(lambda _: True, reason, tell=True)
        return Stopped(tasks=(*tasks, *suspended), messages=0)

    async def cancel(self, submission: StoredSubmission, reason: str) -> bool:
        """End a submission that waits or runs, as stopped; False if it has ended. Its chat is not told."""
        if await self._cancel(submission.submission_id, reason):
            return True
        task = await self._desk.store.read(submission_rows.task_of, submission.submission_id)
        if task is None or task.ended_at is not None:
            return False
        self._works.stop(await self._works_of(task.task_id), reason, tell=False)
        await self._end_suspended(lambda row: row.task_id == task.task_id, reason, tell=False)
        return True

    async def _works_of(self, task_id: TaskId) -> list[Work]:
        """Return the work on a task. What was claimed this moment does not know its task yet, and is waited for."""
        if not self._works.of_task(task_id):
            for work in self._works.all():
                if work.task_id is None:
                    await work.settled.wait()
        return self._works.of_task(task_id)

    async def _end_waiting(self, chat: ChatKey, reason: str, keep_before: int) -> list[MessageId]:
        """End what waits for a chat; return the messages among it."""
        dropped = self._queue.drop(chat, keep_before)
        for waiting in dropped:
            self._notices.forget(waiting.work)
        for waiting in dropped:
            if waiting.kind == "message":
                await self._desk.store.end_message(MessageId(waiting.work), MessageState.DEAD, reason)
            elif waiting.kind == "submission":
                await self._cancel(SubmissionId(waiting.work), reason)
        return [MessageId(waiting.work) for waiting in dropped if waiting.kind == "message"]

    async def _cancel(self, submission_id: SubmissionId, reason: str) -> bool:
        """End a submission that is not a task yet."""
        cancel = submission_rows.cancel
        ended = await insist(lambda: self._desk.store.write(cancel, submission_id, reason), "a cancelled submission")
        if ended is None:
            return False
        self._queue.withdraw(lane_of(ended), submission_id)
        self._desk.ends.tell(ended)
        return True

    async def _end_suspended(
        self, is_meant: Callable[[TaskRow], bool], reason: str, *, tell: bool
    ) -> tuple[TaskId, ...]:
        """End tasks that wait for a person; those that go on just now have been stopped as any that runs."""
        ended = []
        for row in await self._desk.store.read(question_rows.suspended_tasks):
            if is_meant(row) and not self._works.of_task(row.task_id):
                self._queue.withdraw(lane_of(row), row.task_id)
                await TaskRun(self._desk, row).end_suspended(reason, tell=tell)
                ended.append(row.task_id)
        return tuple(ended)
