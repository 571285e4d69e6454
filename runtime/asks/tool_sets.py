"""What tools ask of the host, held to what their agent has and may do: whatever it was told, and whatever it says."""

from __future__ import annotations

from collections.abc import Callable

from protocol.ids import GroupId
from protocol.task import Effects
from runtime.group import Groups
from runtime.refusal import OperationRefused
from runtime.waiting_tasks import Asked, Room


def checked(tool: str, room: Room, groups: Callable[[], Groups]) -> Room:
    """Return the room such that it hears only from tasks that have the tool, and that may change something outside."""

    async def asked(asked: Asked) -> str | None:
        check_given(tool, asked.task.group_id, groups())
        check_live(asked.task.spec.effects if asked.task.spec is not None else Effects.LIVE)
        return await room(asked)

    return asked


def check_given(tool: str, group_id: GroupId, groups: Groups) -> None:
    """Refuse a tool that the group's settings leave out."""
    group = groups.ready.get(group_id)
    if group is not None and tool in group.without_tools:
        raise OperationRefused("tool_not_given", f"the agent {group_id} does not have the tool {tool}")


def check_live(effects: Effects) -> None:
    """Refuse what would reach people or other agents in a task that only rehearses; what it asked stays on record."""
    if effects is not Effects.LIVE:
        raise OperationRefused(
            "rehearsal", f"this task only rehearses (effects: {effects}), so that was noted and not done; go on"
        )
