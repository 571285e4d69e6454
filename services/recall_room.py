"""The room of search, wired: what agents look for in their memory, and owners in that of their agents."""

from __future__ import annotations

from runtime.asks.tool_sets import check_given
from runtime.control.recall import recall_verbs
from runtime.host_state import HostState
from runtime.recall.room import KIND, Recall
from runtime.waiting_tasks import Asked, WaitingTasks
from services.room import Room


def recall_room(recall: Recall, state: HostState, waiting: WaitingTasks) -> Room:
    """Return the room, answering the questions of its tool; rehearsals may search too: nothing changes by it."""

    async def asked(asked: Asked) -> str | None:
        check_given(KIND, asked.task.group_id, state.groups)
        return await recall.asked(asked)

    waiting.answer_kind(KIND, asked)
    return Room(verbs=recall_verbs(recall, lambda group_id: state.groups.checked(group_id)))
