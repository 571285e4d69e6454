"""Tells running tasks what concerns them: messages that came meanwhile, and edits of what they work on."""

from __future__ import annotations

from functools import partial

from protocol.ids import MessageId, TaskId
from runtime.session_queue import Lane, SessionQueue
from runtime.store.records import Original, StoredMessage
from runtime.task_run import TaskRun
from runtime.waiting_notices import WaitingNotices
from runtime.work import Work, Works


class Steering:
    """The part of the dispatcher that tells."""

    def __init__(self, queue: SessionQueue, works: Works, notices: WaitingNotices) -> None:
        self._queue = queue
        self._works = works
        self._notices = notices

    def steer(self, lane: Lane) -> None:
        """Have the task that runs in a lane hear of the messages that it may."""
        message_ids = self._queue.steer_next(lane)
        if message_ids:
            self._tell(self._works.in_lane(lane), message_ids)

    def changed(self, task_id: TaskId, message: StoredMessage) -> None:
        """Have a task hear that a message it works on was edited or taken back; if it runs no more, the session's next
        one reads it as context."""

        async def tell(run: TaskRun) -> None:
            await run.tell_of_change(message)

        self._works.tell_when_settled(self._works.of_task(task_id), tell)

    def replaced(self, original: Original) -> None:
        """Hear that a waiting message says something else now: who was handed the old words gets the new ones."""
        self._tell(self._handed(original), (original.message_id,))

    def withdrawn(self, original: Original) -> None:
        """Hear that a waiting message was taken back, and that the store has ended it."""
        if original.session_id is not None:
            self._queue.withdraw(Lane(original.session_id), original.message_id)
        self._notices.forget(original.message_id)
        self._handed(original)

    def _tell(self, works: list[Work], message_ids: tuple[MessageId, ...]) -> None:
        self._works.tell_when_settled(works, partial(TaskRun.tell, message_ids=message_ids))

    def _handed(self, original: Original) -> list[Work]:
        """Return the tasks that were handed a waiting message and have not taken it in; they are not told it now."""
        works = self._works.in_lane(Lane(original.session_id)) if original.session_id is not None else []
        return [work for work in works if work.run is not None and work.run.talk.withdraw(original.message_id)]
