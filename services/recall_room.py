"""The room of search, wired: what agents look for in their memory, and owners in that of their agents."""

from __future__ import annotations

from protocol.ids import GroupId
from runtime.control.recall import recall_verbs
from runtime.host_state import HostState
from runtime.recall.room import KIND, Recall
from runtime.refusal import OperationRefused
from runtime.waiting_tasks import Asked, WaitingTasks
from services.room import Room


def recall_room(recall: Recall, state: HostState, waiting: WaitingTasks) -> Room:
    """Return the room, answering the questions of its tool; rehearsals may search too: nothing changes by it."""

    async def asked(asked: Asked) -> str | None:
        group = state.groups.ready.get(asked.task.group_id)
        if group is not None and KIND in group.without_tools:
            raise OperationRefused("tool_not_given", f"the agent {asked.task.group_id} does not have the tool {KIND}")
        return await recall.asked(asked)

    def known(group: GroupId) -> GroupId:
        groups = state.groups
        if group not in groups.ready and group not in groups.suspended:
            names = ", ".join([*groups.ready, *groups.suspended]) or "none"
            message = f"there is no group {group[:40]!r} (known: {names})"
            raise OperationRefused("unknown_group", message, "./nightyard group list")
        return group

    waiting.answer_kind(KIND, asked)
    return Room(verbs=recall_verbs(recall, known))
