"""What an operator may ask of the host: one async method per verb of control.sock, and of the chat commands.

Each takes plain values and returns a JSON value (docs/control.md says which); what cannot be done is an
OperationRefused. No sockets here (control/), no screens (cli/); shapes are made in operation_views.py.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from channels.channel import Channel
from credproxy.admin_client.answers import UsageSum
from credproxy.admin_client.link import ProxyAdmin, ProxyError, ProxyRefused, ProxyUnavailable
from protocol.codec import Json
from protocol.frames import PROTOCOL_VERSION
from protocol.ids import ChannelId, ChatKey, GroupId, TaskId, is_group_id
from protocol.task import ModelRoute
from runtime.commands.words import ChatStatus
from runtime.config import REHEARSAL, TERMINAL, ParsedSettings, channel_platform
from runtime.containers import ContainerStatistics
from runtime.group import Group, Groups
from runtime.home import Home
from runtime.operation_views import (
    view_agents,
    view_chat,
    view_delivery,
    view_group,
    view_groups,
    view_problems,
    view_queue,
    view_running,
    view_suspended_line,
    view_today,
)
from runtime.people.pairing import make_pairing_code
from runtime.refusal import OperationRefused
from runtime.store.records import Binding, Role
from runtime.store.store import Store

log = logging.getLogger(__name__)

MAX_LISTED = 50
STOP_REASON = "stopped by a person"
EVERY_NUMBER = 1 << 62
"""Above every message's."""
FREEZE_REASON = "everything was frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What a stop reached."""

    tasks: tuple[TaskId, ...]
    """Running tasks that were told to end."""
    messages: int
    """Waiting messages that will not be answered any more."""
    kept: int = 0
    """Those that wait on, and are answered in their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What a freeze reached."""

    tasks: tuple[TaskId, ...]
    """Running tasks that were told to end."""
    egress: str
    """Empty, or why the proxy could not be told."""


class Tasks(Protocol):
    """What operations need of the dispatcher."""

    async def stop_chat(self, chat: ChatKey, reason: str, keep_before: int = 0, *, tell: bool = False) -> Stopped:
        """Stop the chat's running tasks and end its waiting messages (dead, with the reason), but for those of a
        smaller number than `keep_before`; `tell` the chat. Returns as soon as that is on its way: processes are gone
        within 2 s."""

    async def stop_task(self, task_id: TaskId, reason: str) -> Stopped:
        """Stop one running task; nothing if it does not run."""

    async def stop_all(self, reason: str) -> Stopped:
        """Stop every running task; waiting messages keep waiting."""

    def wake(self) -> None:
        """Look at the store again: something was unfrozen or changed."""


class AgentRoom(Protocol):
    """What operations need of `containers.Containers`."""

    def statistics(self) -> ContainerStatistics: ...
    async def drop_spares(self) -> None: ...


class HostDesk(Protocol):
    """What operations need of the running host."""

    @property
    def home(self) -> Home: ...
    @property
    def settings(self) -> ParsedSettings: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def channels(self) -> Mapping[ChannelId, Channel]: ...
    @property
    def started_at(self) -> str:
        """ISO 8601 UTC."""

    @property
    def is_stopping(self) -> bool: ...

    async def reload(self) -> tuple[str, ...]:
        """Read settings and groups again, tell the proxy, start and stop channels; return what is wrong."""

    def begin_shutdown(self) -> None:
        """Stop taking work in, let running tasks finish for `shutdown_grace_s`, then end. Returns at once."""


class Operations:
    """The verbs. `desk` is the running host, `tasks` its dispatcher."""

    def __init__(
        self,
        *,
        desk: HostDesk,
        store: Store,
        proxy: ProxyAdmin,
        containers: AgentRoom,
        tasks: Tasks,
        usual_model: Callable[[Group, ChatKey | None], ModelRoute] = lambda group, _: group.model,
        held_back: Callable[[GroupId], Sequence[str]] = lambda _: (),
        images: Callable[[], Json] = lambda: None,
    ) -> None:
        """`usual_model`: which model answers in a chat of a group; `held_back`: why a group is paused, if it is;
        `images`: what is built just now."""
        self._desk = desk
        self._store = store
        self._proxy = proxy
        self._containers = containers
        self._tasks = tasks
        self._usual_model = usual_model
        self._held_back = held_back
        self._images = images
        self._freezes = 0
        self._when_unfrozen: list[Callable[[], None]] = []

    async def health(self) -> Json:
        """Say that the host answers, since when, and whether it is stopping."""
        return {
            "protocol": PROTOCOL_VERSION,
            "pid": os.getpid(),
            "started_at": self._desk.started_at,
            "is_stopping": self._desk.is_stopping,
        }

    async def status(self) -> Json:
        """Return the whole overview. The proxy is asked for tokens only while it is connected."""
        desk, stored = self._desk, await self._store.status()
        today = _today()
        running = await self._store.running_tasks()
        return {
            "host": await self.health(),
            "home": str(desk.home.path),
            "proxy": await self._proxy_state(),
            "frozen": stored.frozen,
            "model": desk.settings.settings.model,
            "rehearsal": list(desk.groups.rehearsing),
            "groups": view_groups(desk.groups, self._held_back),
            "channels": self._channel_states(),
            "agents": view_agents(self._containers.statistics(), desk.settings.settings.containers.max_running),
            "running": [view_running(task) for task in running[:MAX_LISTED]],
            "approvals": stored.approvals,
            "queue": view_queue(stored),
            "delivery": view_delivery(stored),
            "today": view_today(today, await self._store.model_calls(today), await self._usage(today)),
            "disk": {
                "store_bytes": stored.file_bytes,
                "free_bytes": shutil.disk_usage(desk.home.path).free,
                "floor_bytes": desk.settings.settings.containers.disk_floor_mb << 20,
            },
            "images": self._images(),
            "problems": view_problems(desk.settings.problems),
        }

    async def _proxy_state(self) -> Json:
        if not self._proxy.is_connected:
            return {"state": "away", "problems": ["the credential proxy does not answer"]}
        try:
            health = await self._proxy.health()
        except ProxyError as error:
            return {"state": "away", "problems": [str(error)]}
        return {
            "state": "frozen" if health.is_frozen else "ok",
            "problems": list(health.problems),
            "approvals": health.approvals,
        }

    async def _usage(self, day: str) -> tuple[UsageSum, ...] | None:
        if not self._proxy.is_connected:
            return None
        try:
            return await self._proxy.usage(day=day)
        except ProxyError:
            return None

    def _channel_states(self) -> list[Json]:
        """Return the channels that run, and those in the settings that do not."""
        settings = self._desk.settings.settings.channels
        running = self._desk.channels
        return [
            {
                "channel": name,
                "platform": channel_platform(name, channel),
                "group": channel.group,
                "health": running[ChannelId(name)].health() if ChannelId(name) in running else "is not running",
            }
            for name, channel in settings.items()
        ]

    async def stop(
        self, *, chat: ChatKey | None = None, task: TaskId | None = None, keep_waiting: bool = False
    ) -> Json:
        """Stop a chat's work, one task, or (neither given) every task."""
        if task is not None:
            if await self._store.task(task) is None:
                raise OperationRefused("unknown_task", f"there is no task {task[:80]!r}", "./nightyard status")
            stopped = await self._tasks.stop_task(task, STOP_REASON)
        elif chat is not None:
            stopped = await self._tasks.stop_chat(chat, STOP_REASON, EVERY_NUMBER if keep_waiting else 0, tell=True)
        else:
            stopped = await self._tasks.stop_all(STOP_REASON)
        return {"tasks": list(stopped.tasks), "messages": stopped.messages, "kept": stopped.kept}

    async def stop_chat(self, chat: ChatKey, keep_before: int = 0) -> Stopped:
        """Stop a chat's work; what waits goes too, but for messages of a smaller number."""
        return await self._tasks.stop_chat(chat, STOP_REASON, keep_before)

    async def stop_task(self, task: TaskId) -> Stopped:
        return await self._tasks.stop_task(task, STOP_REASON)

    async def chat_status(self, chat: ChatKey) -> ChatStatus:
        """Return what `/status` tells in a chat; OperationRefused where no agent is bound."""
        group_id = (await self._binding(chat)).group_id
        group, stored = self._desk.groups.ready.get(group_id), await self._store.status()
        model = self._usual_model(group, chat) if group else None
        running = await self._store.running_tasks()
        waiting = await self._store.waiting_messages()
        return ChatStatus(
            group=group_id,
            model=f"{model.route}/{model.model}" if model else "none",
            is_rehearsal=model is not None and model.route == REHEARSAL,
            is_frozen=stored.frozen,
            held_back=tuple(self._held_back(group_id)),
            is_working=any(task.chat == chat for task in running),
            waiting_here=sum(message.inbound.chat == chat for message in waiting),
            working_everywhere=len(running),
            calls_today=(await self._store.model_calls(_today())).get(group_id, 0),
            calls_per_day=group.limits.calls_per_day if group else 0,
            undelivered=stored.outbox_dead,
            problems=tuple(str(problem) for problem in self._desk.groups.problems_of(group_id)),
        )

    async def _binding(self, chat: ChatKey) -> Binding:
        binding = await self._store.binding_of(chat)
        if binding is None:
            raise OperationRefused("unknown_chat", f"no agent is bound to the chat {chat[:80]!r}", "./nightyard pair")
        return binding

    async def new(self, chat: ChatKey) -> Json:
        """Start another session in a chat: the agent will not see what was said before."""
        binding = await self._binding(chat)
        return {"session": await self._store.new_session(binding.group_id, chat), "group": binding.group_id}

    async def freeze(self, by: str) -> Frozen:
        """Stop all agents and all egress until unfrozen; messages are kept waiting. `by`: `cli` or a person.

        The flag comes first, so that nothing starts behind it. A proxy that is away does not hold the agents up: it is
        told when it is back, and until then nothing goes out through it either.
        """
        self._freezes += 1
        await self._store.set_frozen(True, by)
        stopped = await self._tasks.stop_all(FREEZE_REASON)
        await self._containers.drop_spares()
        try:
            await self._proxy.freeze(True)
        except ProxyError as error:
            return Frozen(tasks=stopped.tasks, egress=str(error))
        return Frozen(tasks=stopped.tasks, egress="")

    async def unfreeze(self, by: str) -> int:
        """Lift the freeze; return how many messages go on. The proxy first: agents must find their way out open.

        Raises ProxyError while the proxy cannot be told: everything stays frozen then.
        """
        freezes = self._freezes
        await self._proxy.freeze(False)
        if freezes != self._freezes:
            await self._proxy.freeze(True)
            raise OperationRefused("frozen_again", "somebody froze everything again meanwhile", "./nightyard unfreeze")
        await self._store.set_frozen(False, by)
        self._tasks.wake()
        for call in self._when_unfrozen:
            call()
        return (await self._store.status()).queued

    def when_unfrozen(self, call: Callable[[], None]) -> None:
        """Have `call` called when a freeze has been lifted."""
        self._when_unfrozen.append(call)

    async def keep_freeze(self) -> None:
        """Bring store and proxy together after a start: frozen if either says so (`nightyard freeze` with the host
        down may have reached the proxy alone). Ends when that is done."""
        while True:
            freezes = self._freezes
            try:
                if await self._store.is_frozen():
                    await self._proxy.freeze(True)
                elif (await self._proxy.health()).is_frozen and freezes == self._freezes:
                    log.warning("the proxy is frozen: everything is", extra={"action": "freeze_taken_up"})
                    await self.freeze("credproxy")
                return
            except ProxyUnavailable as error:
                log.debug("whether the proxy is frozen is not known yet: %s", error)
            except ProxyRefused as refused:
                log.warning("the proxy would not freeze: %s", refused, extra={"action": "freeze_refused"})
                return

    async def pair(self, group: GroupId | None = None, channel: ChannelId | None = None, role: Role = "owner") -> Json:
        """Make a pairing code: who sends it to a bot in a direct chat gets the role, an owner's everywhere, another
        role with the agent."""
        settings = self._desk.settings.settings
        if channel is not None and channel not in settings.channels:
            message = f"there is no channel {channel[:40]!r} (known: {', '.join(settings.channels)})"
            raise OperationRefused("unknown_channel", message, "./nightyard channel list")
        chosen = group or GroupId(settings.channels[channel or TERMINAL].group)
        self._check_group(chosen)
        code = make_pairing_code(os.urandom(5))
        expires_at = await self._store.add_pairing_code(code, chosen, "cli", role=role)
        return {
            "code": code,
            "group": chosen,
            "role": role,
            "expires_at": expires_at.isoformat(),
            "rehearsal": chosen in self._desk.groups.rehearsing,
        }

    def _check_group(self, group: GroupId) -> None:
        groups = self._desk.groups
        if group not in groups.ready and group not in groups.suspended:
            known = ", ".join([*groups.ready, *groups.suspended]) or "none"
            message = f"there is no group {group[:40]!r} (known: {known})"
            raise OperationRefused("unknown_group", message, f"./nightyard group new {group[:40]}")

    async def group_list(self) -> Json:
        """Return the groups, running and suspended."""
        return {"groups": view_groups(self._desk.groups, self._held_back)}

    async def group_show(self, group: GroupId) -> Json:
        """Return one group with its settings, chats and problems."""
        self._check_group(group)
        chats = await self._store.bindings(group)
        ready = self._desk.groups.ready.get(group)
        if ready is not None:
            calls_today = (await self._store.model_calls(_today())).get(group, 0)
            return view_group(ready, chats, calls_today, self._held_back(group))
        line = view_suspended_line(group, self._desk.groups.problems_of(group))
        return {**line, "chats": [view_chat(binding) for binding in chats]}

    async def channel_list(self) -> Json:
        """Return the channels and their health."""
        return {"channels": self._channel_states()}

    async def reload(self) -> Json:
        """Have the settings read again."""
        return {"problems": view_problems(await self._desk.reload())}

    async def shutdown(self) -> Json:
        """Begin to stop, in two steps; returns at once. The host is gone when its socket is."""
        running = self._containers.statistics().working
        self._desk.begin_shutdown()
        return {"working": running, "grace_s": self._desk.settings.settings.shutdown_grace_s}

    async def open_terminal(self, group: str, name: str) -> ChatKey:
        """Bind a terminal chat to its group; return its key.

        Who can open control.sock owns the home, so no pairing is asked of a terminal (access.py).
        """
        chosen = GroupId(group or self._desk.settings.settings.channels[TERMINAL].group)
        self._check_group(chosen)
        if name and not is_group_id(name):
            message = f"a chat's name is 1-32 of a-z, 0-9 and inner hyphens, not {name[:40]!r}"
            raise OperationRefused("wrong_name", message)
        chat = ChatKey(":".join(part for part in (TERMINAL, chosen, name) if part))
        bound = await self._store.binding_of(chat)
        if bound is None or bound.group_id != chosen:
            await self._store.bind(Binding(chat=chat, chat_kind="direct", group_id=chosen, added_by="cli"))
        return chat


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
