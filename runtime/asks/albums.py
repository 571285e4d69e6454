"""Files of one call, gathered until all are there that go in one message.

In memory only: where the host restarts in the middle the agent is told, and sends them again.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.ids import TaskId
from runtime.agent_events import FileArrived
from runtime.refusal import OperationRefused

MAX_FILES = 10
"""In one message."""


class Albums:
    """What has come of each call under way."""

    def __init__(self) -> None:
        self._files: dict[TaskId, dict[str, dict[int, FileArrived]]] = {}
        """By task, call and place."""

    def gather(self, task_id: TaskId, event: FileArrived) -> Sequence[FileArrived] | None:
        """Return all files of a message, in order, once the last has come; None: others follow."""
        if not 1 <= event.place <= event.of <= MAX_FILES:
            raise OperationRefused("too_many_files", f"at most {MAX_FILES} files go together: it was not sent")
        if event.of == 1:
            return (event,)
        is_last = event.place == event.of
        call_id = event.call_id if is_last else event.call_id.removesuffix(f".{event.place}")
        calls = self._files.setdefault(task_id, {})
        files = calls.setdefault(call_id, {})
        files[event.place] = event
        if not is_last:
            return None
        del calls[call_id]
        if len(files) < event.of:
            lost = f"{event.of - len(files)} of the {event.of} files were lost on the way: send all of them again"
            raise OperationRefused("files_lost", lost)
        return [files[place] for place in sorted(files)]

    def forget(self, task_id: TaskId) -> None:
        """Forget what a task has sent only some of."""
        self._files.pop(task_id, None)
