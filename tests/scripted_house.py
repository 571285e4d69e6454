"""A host without agents: real store, intake, delivery, operations, control socket and terminal channel.

In the place of dispatcher and containers stands `ScriptedAgent`, which answers by what is said to it: `slow` works
until stopped, `quiet` says nothing, `buttons` asks, `file` sends one, anything else is echoed in two pieces.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path

from channels.channel import Channel
from channels.terminal.channel import TerminalChannel
from credproxy.admin_client.link import ProxyAdmin
from protocol.ids import ChannelId, ChatKey, TaskId
from protocol.message import Button, OutboundMessage
from protocol.task import TaskResult, TaskStatus
from runtime.approvals.house import DecisionHouse
from runtime.asks.questions import UserQuestions
from runtime.asks.sending import Sending
from runtime.channel_house import ChannelHouse
from runtime.commands.approvals import approval_handlers
from runtime.commands.desk import CommandDesk, join_handlers
from runtime.commands.schedules import schedule_handlers
from runtime.containers import ContainerStatistics
from runtime.control.approvals import approval_verbs
from runtime.control.delegation import delegation_verbs
from runtime.control.schedules import schedule_verbs
from runtime.control.server import ControlServer
from runtime.control.verb import join_verbs
from runtime.delivery import Delivery
from runtime.history.history import Histories
from runtime.home import Home
from runtime.host_state import HostState
from runtime.intake import Intake
from runtime.intake_ends import IntakeEnds
from runtime.model_book import ModelBook
from runtime.money.house import MoneyHouse
from runtime.operations import Operations, Stopped
from runtime.pauses import Pauses
from runtime.people.destinations import Destinations
from runtime.people.owners import Owners
from runtime.recall.room import Recall
from runtime.schedules.room import Schedules
from runtime.spaces.room import Spaces
from runtime.store import submission_rows
from runtime.store.records import MessageState, NewOutbound, StoredMessage
from runtime.store.store import Store, open_store
from runtime.store.submission_rows import StoredSubmission
from runtime.submissions import Submissions
from runtime.task_ends import TaskEnds
from runtime.task_listeners import TaskListeners
from runtime.waiting_tasks import WaitingTasks
from services.asks_room import asks_room
from services.conversations_room import conversations_room
from services.lasting_room import lasting_room
from services.money_room import money_room
from services.people_room import people_room
from services.programs_room import programs_room
from services.recall_room import recall_room
from services.spaces_room import spaces_room

EVIL = "\x1b]0;owned\x07\x1b[2J\u202etxt"


class NoContainers:
    """The part of `runtime.containers.Containers` that operations ask."""

    spares_dropped = 0

    def statistics(self) -> ContainerStatistics:
        return ContainerStatistics(
            working=0,
            spares=1,
            starting=0,
            removing=0,
            started_total=3,
            taken_from_spare_total=2,
            engine="scripted 1.0",
        )

    async def drop_spares(self) -> None:
        self.spares_dropped += 1


class ScriptedAgent:
    """Claims each message alone and answers it."""

    def __init__(self, store: Store, channel: TerminalChannel, outside: Path) -> None:
        self._store = store
        self._channel = channel
        self._outside = outside
        self._running: dict[TaskId, tuple[ChatKey, asyncio.Event]] = {}
        self._queue: asyncio.Queue[StoredMessage] = asyncio.Queue()
        self.delivery: Delivery | None = None
        self.working = asyncio.Event()
        self.woken = 0

    def arrived(self, message: StoredMessage) -> None:
        self._queue.put_nowait(message)

    async def run(self) -> None:
        while True:
            await self._answer(await self._queue.get())

    async def stop_chat(self, chat: ChatKey, reason: str, keep_before: int = 0, *, tell: bool = False) -> Stopped:
        return self._stop(tuple(task for task, (where, _) in self._running.items() if where == chat))

    async def stop_task(self, task_id: TaskId, reason: str) -> Stopped:
        return self._stop(tuple(task for task in self._running if task == task_id))

    async def stop_all(self, reason: str) -> Stopped:
        return self._stop(tuple(self._running))

    def wake(self) -> None:
        self.woken += 1

    def submitted(self, submission: StoredSubmission) -> None:
        """Work that no message brought stays queued here."""

    async def cancel(self, submission: StoredSubmission, reason: str) -> bool:
        return await self._store.write(submission_rows.cancel, submission.submission_id, reason) is not None

    def _stop(self, tasks: tuple[TaskId, ...]) -> Stopped:
        for task in tasks:
            self._running[task][1].set()
        return Stopped(tasks=tasks, messages=0)

    async def _answer(self, message: StoredMessage) -> None:
        chat, text = message.inbound.chat, message.inbound.text
        claim = await self._store.claim_messages([message.message_id])
        await self._channel.show(chat, "accepted", "")
        result, outbound = await self._work(claim.task.task_id, chat, text, message)
        await self._store.finish_task(
            claim.task.task_id, result, outbound=outbound, message_state=MessageState.ANSWERED
        )
        assert self.delivery is not None
        self.delivery.wake()
        await self._channel.show(chat, "done", "")

    async def _work(
        self, task: TaskId, chat: ChatKey, text: str, message: StoredMessage
    ) -> tuple[TaskResult, list[NewOutbound]]:
        def said(text: str, **more: object) -> OutboundMessage:
            return OutboundMessage(chat=chat, text=text, **more)  # type: ignore[arg-type]  # test's own keywords

        if text == "slow":
            stop = asyncio.Event()
            self._running[task] = (chat, stop)
            await self._channel.show(chat, "progress", "shell: sleep 1000")
            self.working.set()
            await stop.wait()
            del self._running[task]
            return TaskResult(status=TaskStatus.STOPPED, reason="stopped by a person"), []
        if text == "quiet":
            return TaskResult(status=TaskStatus.NOTHING_TO_SAY, reason="nothing to add"), []
        if text == "buttons":
            buttons = (Button(label=f"Yes{EVIL}", value="yes!"), Button(label="No", value="no!"))
            return _reply("Sure?"), [NewOutbound(step="reply", message=said("Sure?", buttons=buttons))]
        if text == "file":
            path = self._outside / "made.txt"
            path.write_text("made")
            sent = said("here", file_path=str(path), file_name="made.txt")
            return _reply("Sent."), [
                NewOutbound(step="file:1", message=sent),
                NewOutbound(step="reply", message=said("Sent.")),
            ]
        if text == "evil":
            return _reply(EVIL), [NewOutbound(step="reply", message=said(EVIL))]
        files = "".join(f" [{file.name}: {file.size}]" for file in message.inbound.attachments)
        answer = f"**You** said {text}{files}"
        await self._channel.show(chat, "delta", answer[:7])
        await self._channel.show(chat, "delta", answer[7:])
        return _reply(answer), [NewOutbound(step="reply", message=said(answer))]


def _reply(text: str) -> TaskResult:
    return TaskResult(status=TaskStatus.REPLY, text=text)


class House:
    """What a test may look at."""

    def __init__(self, home: Home, fork: Path, store: Store, others: Mapping[str, Channel]) -> None:
        self.home = home
        self.fork = fork
        self.store = store
        self.proxy = ProxyAdmin(home.proxy_socket, answer_timeout_s=0.2)
        self.channel = TerminalChannel(ChannelId("terminal"), home.path / "terminal")
        self.channel_house = ChannelHouse(lambda channel_id, _: others.get(channel_id, self.channel))
        self.state = HostState(home, fork, self.channel_house, self.proxy)
        self.agent = ScriptedAgent(store, self.channel, home.path)
        self.containers = NoContainers()
        self.delivery = Delivery(store, lambda: self.state.channels, self.state.settings.settings.delivery_attempts)
        self.agent.delivery = self.delivery
        self.models = ModelBook(store, self.state)
        self.operations = Operations(
            desk=self.state,
            store=store,
            proxy=self.proxy,
            containers=self.containers,
            tasks=self.agent,
            usual_model=self.models.model_of,
        )
        self.lasting = lasting_room(
            home,
            store,
            self.proxy,
            self.state,
            Histories(home, store, lambda: 1 << 30),
            wake_dispatcher=self.agent.wake,
            wake_schedules=lambda: self.schedules.keeper.wake(),
            wake_delivery=self.delivery.wake,
            wake_intake=lambda: self.intake.recover(),
            drop_index=lambda: self.recall.drop(),
        )
        self.destinations = Destinations(store)
        self.ends = TaskEnds()
        self.waiting = WaitingTasks(store)
        self.questions = UserQuestions(store, self.waiting, wake_delivery=self.delivery.wake, zone=lambda: UTC)
        self.decisions = DecisionHouse(store, self.proxy, home, self.state, WaitingTasks(store), self.delivery.wake)
        sending = Sending(
            store,
            self.destinations,
            lambda: self.state.channels,
            self.delivery.wake,
            taint_of=self.decisions.taints.taint_of,
            groups=lambda: self.state.groups,
        )
        self.asks = asks_room(self.state, sending, self.questions, waiting=self.waiting, ends=self.ends)
        self.submissions = Submissions(store, self.state, self.agent, self.ends)
        self.schedules = Schedules(
            store,
            self.submissions,
            self.state,
            owner_chats=Owners(store).owner_chats,
            is_held=lambda group_id: False,
            addresses=self.destinations,
            wake_delivery=self.delivery.wake,
        )
        self.money = MoneyHouse(
            store,
            self.proxy,
            self.state,
            self.decisions.approvals,
            Pauses(store),
            WaitingTasks(store),
            tasks=lambda: self.agent,
            wake_delivery=self.delivery.wake,
        )
        till = money_room(self.money, store, self.decisions.approvals, self.ends)
        self.people = people_room(
            fork,
            store,
            self.state,
            self.decisions.approvals,
            self.destinations,
            take_up=lambda request: self.intake.take_up(request),
            wake_delivery=self.delivery.wake,
        )
        self.programs = programs_room(
            home,
            fork,
            store,
            self.state,
            self.submissions,
            TaskListeners(),
            settle=self.money.mirror.settle,
            changed=self.money.load,
        )
        self.pauses = Pauses(store)
        self.recall = Recall(home, store, taint_of=self.decisions.taints.taint_of, mark=self.decisions.taints.mark)
        spaces = Spaces(home, store, taint_of=self.decisions.taints.taint_of, mark=self.decisions.taints.mark)
        self.conversations = conversations_room(
            home,
            fork,
            store,
            self.state,
            self.submissions,
            self.operations,
            models=self.models,
            recall=self.recall,
            pauses=self.pauses,
            ends=self.ends,
            wake_delivery=self.delivery.wake,
        )
        handlers = join_handlers(
            self.asks.handlers,
            self.conversations.handlers,
            till.handlers,
            self.lasting.handlers,
            self.people.handlers,
            schedule_handlers(self.schedules.desk, store),
            approval_handlers(self.decisions.desk),
        )
        self.commands = CommandDesk(handlers, store)
        ends = IntakeEnds(queued=self.agent.arrived, command=self._command, outbox=self.delivery.wake)
        self.intake = Intake(
            store,
            lambda: self.state.channels,
            lambda: self.state.groups.person_limits,
            ends,
            inbox=home.inbox,
            max_file_bytes=lambda: self.state.settings.settings.attachments_mb << 20,
            rehearsing=lambda: self.state.groups.rehearsing,
            usual_group=self.state.usual_group,
            answers=self.questions,
        )
        self.control = ControlServer(
            home.control_socket,
            join_verbs(
                self.asks.verbs,
                recall_room(self.recall, self.state, self.waiting).verbs,
                spaces_room(fork, spaces, store, self.state).verbs,
                self.conversations.verbs,
                self.lasting.verbs,
                till.verbs,
                self.programs.verbs,
                self.people.verbs,
                schedule_verbs(self.schedules.desk),
                delegation_verbs(store),
                approval_verbs(self.decisions.desk),
            ),
            self.operations.open_terminal,
            self.channel,
            max_connections=8,
        )

    async def _command(self, message: StoredMessage) -> None:
        await self.commands.perform(message)
        self.delivery.wake()


@asynccontextmanager
async def scripted_house(
    folder: Path, settings: str = "", others: Mapping[str, Channel] | None = None
) -> AsyncIterator[House]:
    """Run a house in a folder: `home` and `fork` in it are made, with the agents main and side. `others`: channels
    beside the terminal, which the settings name."""
    home, fork = Home(folder / "home"), folder / "fork"
    for group in ("main", "side", "example"):
        (fork / "groups" / group).mkdir(parents=True, exist_ok=True)
        (fork / "groups" / group / "AGENTS.md").write_text(f"You are {group}.\n")
    (fork / "nightyard.yaml").write_text(settings)
    for path in (home.path, home.run, home.logs):
        path.mkdir(mode=0o700, exist_ok=True)
    async with open_store(home.path) as store:
        house = House(home, fork, store, others or {})
        async with asyncio.TaskGroup() as parts:
            running = [
                parts.create_task(part)
                for part in (
                    house.agent.run(),
                    house.delivery.run(),
                    house.intake.run(),
                    house.channel_house.run(house.intake),
                    house.control.run(),
                    house.decisions.approvals.run(),
                    *(part() for part in house.conversations.parts),
                    *(part() for part in house.people.parts),
                )
            ]
            await house.control.listening.wait()
            try:
                yield house
            finally:
                for part in running:
                    part.cancel()
