"""What running a task takes from the rest of the host, in one place. Wiring fills it in (`services/wired_host.py`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from channels.channel import Channel, HasDeletes, HasEdits, HasReactions, ShownKind
from credproxy.admin_client.answers import UsageSum
from protocol.ids import AttemptId, ChannelId, ChatKey, DoorId, FileId, GroupId, TaskId
from protocol.link import Answered, Assignment, Finished, Steer
from protocol.proxy_admin import Fetched, ProxyCall
from protocol.task import Lease, Limits, ModelRoute, Purse, Task
from runtime.agent_events import AgentEvent, FileArrived
from runtime.agent_link_rules import LinkMemory
from runtime.approvals.constraint_terms import Constraint
from runtime.asks.absent_tools import absent_tools
from runtime.config import ParsedSettings, Settings
from runtime.container_command import ContainerKind, SpaceMount
from runtime.container_session import CannotStart
from runtime.crash_holds import CrashHolds
from runtime.group import Group, Groups
from runtime.home import Home
from runtime.mcp.plan import NO_SERVERS, McpPlan
from runtime.money.payers import Payer
from runtime.pauses import Pauses
from runtime.progress.book import ProgressBook
from runtime.store.records import OutboxRow, StoredMessage, TaskRow
from runtime.store.store import Store
from runtime.task_ends import TaskEnds
from runtime.task_listeners import TaskListeners
from runtime.waiting_tasks import WaitingTasks


class AgentSession(Protocol):
    """A container with its agent, as `container_session.ContainerSession` is one."""

    @property
    def door_id(self) -> DoorId: ...
    @property
    def memory(self) -> LinkMemory: ...

    container_id: str

    async def hand_over_ahead(self, lease: Lease, assignment: Assignment) -> None: ...
    async def release(self) -> None: ...
    async def hand_over(
        self, lease: Lease, assignment: Assignment, *, recorded: Awaitable[None] | None = None
    ) -> CannotStart | None: ...
    def events(self) -> AsyncIterator[AgentEvent]: ...
    def take_finished(self) -> Finished | None: ...
    async def ack(self, seq: int) -> None: ...
    async def file_stored(self, file_id: FileId) -> None: ...
    async def file_refused(self, file_id: FileId, reason: str) -> None: ...
    async def send(self, frame: Answered | Steer) -> bool: ...
    async def stop(self, reason: str) -> None: ...
    async def end(self, reason: str) -> None: ...
    def leave(self) -> None: ...
    def dismiss(self, seq: int) -> None: ...


class ContainerRoom(Protocol):
    """The part of `containers.Containers` that gives tasks their containers."""

    async def take(self, kind: ContainerKind) -> AgentSession | CannotStart: ...
    async def take_spare(self, kind: ContainerKind) -> AgentSession | None: ...
    def give_back(self, door_id: DoorId, kind: ContainerKind) -> None: ...
    async def adopt(self, memory: LinkMemory, group_id: GroupId, lease: Lease | None = None) -> AgentSession: ...


class CallRecords(Protocol):
    """The part of `credproxy.admin_client.link.ProxyAdmin` that tells what tasks have done."""

    async def calls(self, task_id: TaskId, attempt_id: AttemptId | None = None) -> tuple[ProxyCall, ...]:
        """Return the calls that may have changed something; raise ProxyError."""

    async def usage(self, *, task_id: TaskId | None = None, day: str | None = None) -> tuple[UsageSum, ...]:
        """Return the model use of one task (or of one day); raise ProxyError."""


class FileRoom(Protocol):
    """The part of `asks.sending.Sending` that files of agents come to."""

    async def file_arrived(self, row: TaskRow, event: FileArrived) -> None:
        """Send a file that has arrived whole; raise OperationRefused where it may not go where it is to."""


class HistoryRoom(Protocol):
    """The part of `history.history.Histories` that tasks need."""

    async def before_tools(self, task_id: TaskId, group_id: GroupId) -> None:
        """Return when what the group's folders hold is kept: a tool of the task may change them now."""


class MemoryRoom(Protocol):
    """The part of `approvals.memory.MemoryGuard` that tasks need."""

    async def is_watched(self, task_id: TaskId) -> bool:
        """Return whether what a task has noted is to be looked at when nothing of it runs any more."""

    async def look(self, task_id: TaskId, group_id: GroupId) -> None:
        """Look at it: what it may not note is taken back."""


class SpaceRoom(Protocol):
    """The part of `spaces.room.Spaces` that tasks need."""

    async def begin(self, task_id: TaskId, mounts: Iterable[SpaceMount]) -> None:
        """Return when a task's tools may look into the spaces that it is shown."""

    def is_inside(self, task_id: TaskId) -> bool:
        """Return whether `end` is to be called when nothing of the task runs any more."""

    async def end(self, task_id: TaskId) -> None:
        """Hear that nothing of it runs any more: what it has written is noted."""


class MoneyRoom(Protocol):
    """The part of `money.spending.Spending` that tasks need."""

    def purses_of(self, group: Group, submitter: str, payer: Payer | None = None) -> tuple[Purse, ...]:
        """Return what a task of this submitter pays from; `payer`: whose limits it counts for."""

    async def payer_of(self, row: TaskRow) -> Payer | None:
        """Return whose limits a task counts for; None: nobody's."""

    def limits_of(self, task: Task) -> Limits:
        """Return a task's own limits, with what it was given besides."""

    async def suspend(self, row: TaskRow, task: Task, attempt_id: AttemptId, code: str) -> bool:
        """Have a task wait that was refused a model call with this code; False if it is to end with it."""

    async def footer_of(self, group: Group, task_id: TaskId) -> str:
        """Return the line under a group's answer that says what it cost, empty for none."""


class DeliveryRoom(Protocol):
    """The part of `delivery.Delivery` that tasks give their messages to."""

    @property
    def room(self) -> int:
        """How many more deliveries may be under way now."""

    def wake(self) -> None:
        """Say that the outbox may have something that is due."""

    def deliver(self, rows: Sequence[OutboxRow]) -> None:
        """Send messages that have been claimed, at most as many as there was room for."""

    async def settled(self) -> None:
        """Return when nothing that is due waits to be sent."""


class Surroundings(Protocol):
    """What may change while the host runs."""

    @property
    def settings(self) -> ParsedSettings: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def channels(self) -> Mapping[ChannelId, Channel]: ...


async def _nothing_fetched(_: TaskId) -> Sequence[Fetched]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDesk:
    """The rooms that a task passes through."""

    store: Store
    containers: ContainerRoom
    calls: CallRecords
    around: Surroundings
    home: Home
    fork: Path
    image: str
    """`nightyard-agent:<hash>`."""
    delivery: DeliveryRoom
    histories: HistoryRoom
    memory: MemoryRoom
    spaces: SpaceRoom
    files: FileRoom
    """Where what agents send goes."""
    waiting: WaitingTasks
    """Where the questions of tools go."""
    pauses: Pauses
    """Which groups are held back."""
    crash_holds: CrashHolds
    """Which of them because their agents crash."""
    money: MoneyRoom
    constraints: Callable[[GroupId], Sequence[Constraint]] = lambda _: ()
    """What of a group's work somebody is asked about first."""
    own_image: Callable[[Group], str] | None = None
    """Which image a group's containers stand on; None: `image`, all of them."""
    lacks_image: Callable[[GroupId], str] = lambda _: ""
    """What a chat reads while a group's image is being built; empty: it is there."""
    destinations: Callable[[GroupId], Sequence[str]] = lambda _: ()
    """The names of the chats that a group may send to of its own accord."""
    usual_model: Callable[[Group, ChatKey | None], ModelRoute] = lambda group, _: group.model
    """Which model answers in a chat of a group, where a task names none."""
    mcp: Callable[[Group], McpPlan] = lambda _: NO_SERVERS
    """Which MCP servers a group's agents may use."""
    progress: ProgressBook = field(default_factory=ProgressBook)
    """What each task does just now."""
    taken: Callable[[Sequence[StoredMessage]], None] = lambda _: None
    """Is told of messages that are worked on. Returns at once."""
    fetched: Callable[[TaskId], Awaitable[Sequence[Fetched]]] = _nothing_fetched
    """Asks the proxy what a task was brought from outside. Raises ProxyError."""
    ends: TaskEnds = field(default_factory=TaskEnds)
    """Who is told that a task has ended."""
    listeners: TaskListeners = field(default_factory=TaskListeners)
    """Programs that hear an answer grow."""

    @property
    def settings(self) -> Settings:
        return self.around.settings.settings

    @property
    def zone(self) -> tzinfo:
        """The zone of the times that agents are shown; UTC for a name that the settings check complains of."""
        try:
            return ZoneInfo(self.settings.time_zone)
        except (ZoneInfoNotFoundError, ValueError):  # ValueError: a name that is no path, such as `../x`
            return UTC

    def image_of(self, group: Group) -> str:
        """Return the image that a group's containers stand on."""
        return self.image if self.own_image is None else self.own_image(group)

    def absent_tools(self, group: Group, chat: ChatKey | None) -> tuple[str, ...]:
        """Return the tools that a group's agent does not have for a task of a chat."""
        channel: object = self.around.channels.get(channel_of(chat)) if chat else None
        can = {"edit_message": isinstance(channel, HasEdits | HasDeletes), "react": isinstance(channel, HasReactions)}
        return absent_tools(
            group.without_tools,
            chat=chat,
            has_destinations=bool(self.destinations(group.group_id)),
            has_grants=group.has_grants,
            has_browser=group.browser,
            can=[tool for tool, is_there in can.items() if is_there],
        )

    async def show_progress(self, chat: ChatKey | None, line: str) -> None:
        """Show in a chat what is done just now, if there is something to show."""
        if line:
            await self.show(chat, "progress", line)

    async def show(self, chat: ChatKey | None, kind: ShownKind, text: str) -> None:
        """Show in a chat that work goes on, if its channel runs."""
        channel = self.around.channels.get(channel_of(chat)) if chat else None
        if channel is not None and chat is not None:
            await channel.show(chat, kind, text)


def channel_of(chat: ChatKey) -> ChannelId:
    """Return the channel that a chat is on."""
    return ChannelId(chat.partition(":")[0])
