"""All parts of one host, wired, and run together. Each part says in its own file what it does; the process around
them is `host.py`'s business."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from functools import partial
from pathlib import Path

from channels.registry import PLATFORMS
from channels.terminal.channel import TerminalChannel
from credproxy.admin_client.audit import read_fetched
from credproxy.admin_client.link import ProxyAdmin
from protocol.ids import ChannelId, ChatKey
from protocol.proxy_admin import ProxyEvent
from runtime.approvals.house import DecisionHouse
from runtime.approvals.memory import MemoryGuard
from runtime.channel_house import ChannelHouse
from runtime.channel_watch import ChannelWatch
from runtime.commands.approvals import approval_handlers
from runtime.commands.desk import CommandDesk, join_handlers
from runtime.config import TERMINAL, WEBHOOK
from runtime.container_engine import ContainerEngine
from runtime.control.approvals import approval_verbs
from runtime.control.server import ControlServer
from runtime.control.verb import join_verbs
from runtime.crash_holds import CrashHolds
from runtime.delivery import Delivery
from runtime.dispatcher import Dispatcher
from runtime.history.history import Histories
from runtime.home import Home
from runtime.hooks.desk import HookDesk
from runtime.host_state import HostState
from runtime.intake_ends import IntakeEnds
from runtime.kept_files import FileSweeper
from runtime.model_book import ModelBook
from runtime.money.house import MoneyHouse
from runtime.operations import Operations
from runtime.owner_alarm import OwnerAlarm
from runtime.pauses import Pauses
from runtime.people.destinations import Destinations
from runtime.progress.book import ProgressBook
from runtime.progress.marks import MessageMarks
from runtime.proxy_log import log_event
from runtime.recovery import recover
from runtime.store.records import StoredMessage
from runtime.store.store import Store
from runtime.submissions import Submissions
from runtime.task_desk import TaskDesk
from runtime.task_ends import TaskEnds
from runtime.task_listeners import TaskListeners
from runtime.waiting_tasks import WaitingTasks
from services.containers_room import make_containers
from services.conversations_room import conversations_room
from services.hooks_room import hooks_of
from services.host_setup import MB, agent_image, make_channels
from services.images_room import images_room
from services.intake_room import make_intake
from services.lasting_room import lasting_room
from services.money_room import money_room
from services.people_room import people_room
from services.programs_room import programs_room
from services.ready import say_ready
from services.time_room import time_room
from services.tool_rooms import tool_rooms

log = logging.getLogger("services.host")

SETTLE_TIMEOUT_S = 10.0
"""How long a shutdown waits for the last replies to go out; what is left goes out after the next start."""


class Host:
    """All parts of one host, wired."""

    def __init__(self, home: Home, fork: Path, store: Store, engine: ContainerEngine) -> None:
        self._store = store
        self._proxy = ProxyAdmin(home.proxy_socket)
        self._terminal = TerminalChannel(ChannelId(TERMINAL), home.path / "terminal")
        self._house = ChannelHouse(
            make_channels(self._terminal, self._proxy, home.path / "channels", lambda: hooks_of(self.state.groups))
        )
        self.state = HostState(home, fork, self._house, self._proxy, platforms=(*PLATFORMS, WEBHOOK))
        settings = self.state.settings.settings
        self._containers = make_containers(home, fork, store, engine, self._proxy, self.state)
        self._delivery = Delivery(store, lambda: self.state.channels, settings.delivery_attempts)
        self._histories = Histories(home, store, lambda: self.state.settings.settings.containers.disk_mb * MB)
        self._alarm = OwnerAlarm(store, self._delivery.wake)
        self._watch = ChannelWatch(
            store, self._alarm, lambda: self.state.channels, lambda: self.state.settings.settings.channels
        )
        self._waiting = WaitingTasks(store)
        self._pauses = Pauses(store)
        self._decisions = DecisionHouse(store, self._proxy, home, self.state, self._waiting, self._delivery.wake)
        decisions = self._decisions
        self._memory = MemoryGuard(home, store, self._histories, decisions.approvals, decisions.taints, self._pauses)
        self._money = MoneyHouse(
            store,
            self._proxy,
            self.state,
            self._decisions.approvals,
            self._pauses,
            self._waiting,
            tasks=lambda: self._dispatcher,
            wake_delivery=self._delivery.wake,
        )
        listeners, ends, image = TaskListeners(), TaskEnds(), agent_image(home)
        self._destinations = Destinations(store)
        self._tools = tool_rooms(
            home,
            fork,
            store,
            self._proxy,
            self.state,
            decisions,
            self._money.spending,
            destinations=self._destinations,
            waiting=self._waiting,
            ends=ends,
            wake_delivery=self._delivery.wake,
        )
        self._models = ModelBook(store, self.state)
        self._progress = ProgressBook()
        self._marks = MessageMarks(store, lambda: self.state.channels)
        self._images = images_room(
            home,
            image,
            store,
            self.state,
            engine,
            wake_dispatcher=lambda: self._dispatcher.wake(),
            wake_delivery=self._delivery.wake,
            drop_spares=self._containers.drop_spares,
            alarm=self._alarm.tell,
            approvals=decisions.approvals,
            waiting=self._waiting,
            hand_back=lambda task_id: self._dispatcher.hand_back(task_id),
            fork=fork,
        )
        images = self._images.images
        self._dispatcher = Dispatcher(
            TaskDesk(
                store=store,
                containers=self._containers,
                calls=self._proxy,
                fetched=partial(read_fetched, self._proxy),
                around=self.state,
                home=home,
                fork=fork,
                image=image,
                own_image=images.image_of,
                lacks_image=images.lacks,
                delivery=self._delivery,
                money=self._money.spending,
                listeners=listeners,
                ends=ends,
                destinations=self._destinations.names,
                files=self._tools.sending,
                histories=self._histories,
                memory=self._memory,
                spaces=self._tools.spaces,
                waiting=self._waiting,
                pauses=self._pauses,
                crash_holds=CrashHolds(self._pauses, self._alarm.tell),
                constraints=self._decisions.book.of,
                usual_model=self._models.model_of,
                mcp=decisions.mcp.of,
                progress=self._progress,
                taken=self._marks.taken,
            )
        )
        self._submissions = Submissions(store, self.state, self._dispatcher, ends)
        ends.subscribe(self._decisions.task_ended)
        ends.subscribe(self._marks.task_ended)
        ends.subscribe(images.task_ended)
        self._programs = programs_room(
            home,
            fork,
            store,
            self.state,
            self._submissions,
            listeners,
            settle=self._money.mirror.settle,
            changed=self._money.load,
        )
        self._operations = Operations(
            desk=self.state,
            store=store,
            proxy=self._proxy,
            containers=self._containers,
            tasks=self._dispatcher,
            usual_model=self._models.model_of,
            held_back=lambda group_id: (*self._pauses.reasons(group_id), *images.reasons(group_id)),
            images=images.status,
        )
        self._conversations = conversations_room(
            home,
            fork,
            store,
            self.state,
            self._submissions,
            self._operations,
            models=self._models,
            recall=self._tools.recall,
            pauses=self._pauses,
            ends=ends,
            wake_delivery=self._delivery.wake,
        )
        self._lasting = lasting_room(
            home,
            store,
            self._proxy,
            self.state,
            self._histories,
            wake_dispatcher=self._dispatcher.wake,
            wake_schedules=lambda: self._time.wake(),
            wake_delivery=self._delivery.wake,
            wake_intake=lambda: self._intake.recover(),
            drop_index=self._tools.recall.drop,
        )
        self._people = people_room(
            fork,
            store,
            self.state,
            self._decisions.approvals,
            self._destinations,
            take_up=lambda request: self._intake.take_up(request),
            wake_delivery=self._delivery.wake,
        )
        self._time = time_room(
            home,
            store,
            self.state,
            self._submissions,
            self._decisions,
            destinations=self._destinations,
            waiting=self._waiting,
            pauses=self._pauses,
            ends=ends,
            operations=self._operations,
            money=self._money.spending,
            delivery=self._delivery,
        )
        money = money_room(self._money, store, decisions.approvals, ends)
        handlers = join_handlers(
            *(room.handlers for room in self._tools.rooms),
            self._conversations.handlers,
            money.handlers,
            self._lasting.handlers,
            self._people.handlers,
            self._time.handlers,
            approval_handlers(self._decisions.desk),
        )
        self._commands = CommandDesk(handlers, store)
        self._intake = make_intake(
            home,
            store,
            self._proxy,
            self.state,
            self._money.spending,
            self._tools.questions,
            IntakeEnds(
                queued=self._queued,
                command=self._command,
                outbox=self._delivery.wake,
                changed=self._dispatcher.changed,
                replaced=self._dispatcher.replaced,
                withdrawn=self._dispatcher.withdrawn,
                moved=self._chat_moved,
                work=HookDesk(store, self._submissions, lambda: self.state.groups, fork / "groups").file,
                head_starts=self._dispatcher,
            ),
        )
        self._sweeper = FileSweeper(
            home.path / "groups", store, lambda: self.state.settings.settings.containers.disk_mb * MB
        )
        self._control = ControlServer(
            home.control_socket,
            join_verbs(
                *(room.verbs for room in self._tools.rooms),
                self._conversations.verbs,
                self._images.room.verbs,
                self._lasting.verbs,
                money.verbs,
                self._programs.verbs,
                self._people.verbs,
                self._time.verbs,
                approval_verbs(self._decisions.desk),
            ),
            self._operations.open_terminal,
            self._terminal,
        )
        self.state.when_reloaded(self._follow_reload)

    async def run(self) -> None:
        """Run until cancelled, or until a shutdown is done."""
        await recover(self._store)
        await self._destinations.load()
        await self._tools.questions.load()
        await self._decisions.load()
        await self._pauses.load()
        await self._memory.recover()
        await self._tools.spaces.recover()
        await self._models.load()
        await self._money.load()
        await self._images.images.load()
        async with asyncio.TaskGroup() as parts:
            running = [
                parts.create_task(part)
                for part in (
                    self._proxy.run(self._note),
                    self._containers.run(),
                    self._dispatcher.run(),
                    self._waiting.run(),
                    self._memory.run(),
                    self._delivery.run(),
                    self._intake.run(),
                    self._house.run(self._intake),
                    *self._decisions.parts(),
                    *(part() for part in (*self._money.parts, *self._programs.parts)),
                    self._alarm.run(),
                    self._watch.run(),
                    self._sweeper.run(),
                    *(part() for part in self._images.room.parts),
                    *(part() for part in self._lasting.parts),
                    *(part() for part in self._time.parts),
                    *(part() for part in self._conversations.parts),
                    *(part() for part in self._people.parts),
                    self._progress.run(self._dispatcher.show_progress),
                    self._marks.run(),
                    self._control.run(),
                    self._operations.keep_freeze(),
                )
            ]
            await self._control.listening.wait()
            await self._dispatcher.recovered.wait()
            log.info("the host is ready", extra={"action": "host_ready", "pid": os.getpid()})
            # What the start has made lives as long as the process: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            say_ready()
            await self.state.shutdown.wait()
            await self._shut_down()
            for part in running:
                part.cancel()

    async def _shut_down(self) -> None:
        """Let running tasks finish, end the other containers, let the last words go out."""
        grace_s = self.state.settings.settings.shutdown_grace_s
        log.info("a shutdown was asked for", extra={"action": "shutdown", "working": self._dispatcher.running_count})
        await self._dispatcher.close(grace_s)
        await self._containers.drop_spares()
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await self._delivery.settled()
        except TimeoutError:
            log.warning("messages wait for the next start", extra={"action": "outbox_waits"})

    def _note(self, event: ProxyEvent) -> None:
        log_event(event)
        self._money.note(event)
        self._decisions.note(event)
        self._alarm.note(event)

    def _queued(self, message: StoredMessage) -> None:
        self._marks.taken((message,))
        self._dispatcher.arrived(message)

    async def _command(self, message: StoredMessage) -> None:
        await self._commands.perform(message)
        self._delivery.wake()
        self._marks.look(message.inbound.chat)  # a stop ends what has not become a task

    async def _chat_moved(self, former: ChatKey, chat: ChatKey) -> None:
        self._dispatcher.chat_moved(former, chat)
        await self._destinations.load()
        await self._tools.questions.load()
        self._time.wake()

    def _follow_reload(self) -> None:
        self._delivery.attempts = self.state.settings.settings.delivery_attempts
        self._delivery.wake()
        self._dispatcher.wake()
        self._money.spending.wake()
        self._decisions.book.reload(*self.state.reloaded_by)
        self._decisions.mcp.wake()
        self._intake.recover()
