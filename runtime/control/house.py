"""The verbs of the house as a whole: what runs, what waits, stopping, settings. Each is one of operations.py."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json
from protocol.ids import ChannelId, ChatKey, GroupId, TaskId
from runtime.control.verb import BY, NoArguments, VerbTable, verb
from runtime.operations import Operations
from runtime.store.records import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class StopArguments:
    chat: ChatKey | None = None
    task: TaskId | None = None
    """Neither: every task."""
    keep_waiting: bool = False
    """Of a chat: what waits is answered in its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArguments:
    chat: ChatKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PairArguments:
    group: GroupId | None = None
    channel: ChannelId | None = None
    role: Role = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupShowArguments:
    group: GroupId


def house_verbs(operations: Operations) -> VerbTable:
    """Return the verbs that operations carry out."""

    async def freeze(_: NoArguments) -> Json:
        frozen = await operations.freeze(BY)
        return {"tasks": list(frozen.tasks), "egress": frozen.egress or "stopped"}

    async def unfreeze(_: NoArguments) -> Json:
        return {"waiting": await operations.unfreeze(BY)}

    async def stop(given: StopArguments) -> Json:
        return await operations.stop(chat=given.chat, task=given.task, keep_waiting=given.keep_waiting)

    return {
        "health": verb(NoArguments, lambda _: operations.health()),
        "status": verb(NoArguments, lambda _: operations.status()),
        "stop": verb(StopArguments, stop),
        "new": verb(NewArguments, lambda given: operations.new(given.chat)),
        "freeze": verb(NoArguments, freeze),
        "unfreeze": verb(NoArguments, unfreeze),
        "pair": verb(PairArguments, lambda given: operations.pair(given.group, given.channel, given.role)),
        "group_list": verb(NoArguments, lambda _: operations.group_list()),
        "group_show": verb(GroupShowArguments, lambda given: operations.group_show(given.group)),
        "channel_list": verb(NoArguments, lambda _: operations.channel_list()),
        "reload": verb(NoArguments, lambda _: operations.reload()),
        "shutdown": verb(NoArguments, lambda _: operations.shutdown()),
    }
