"""A host's inside for tests: the real store, dispatcher, delivery and links; agents, engine and chats are scripted.

An agent here is a coroutine at the other end of a real host.sock; "its container" ends when the coroutine does.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

from channels.channel import DeliveryFailed, Inbox, ShownKind
from credproxy.admin_client.answers import UsageSum
from credproxy.admin_client.link import ProxyUnavailable
from protocol.codec import Json, from_json, to_json
from protocol.frames import HEADER_BYTES, MAX_HOST_FRAME_BYTES, PROTOCOL_VERSION, body_length, encode_frame
from protocol.ids import (
    AttemptId,
    ChannelId,
    ChatKey,
    DoorId,
    GroupId,
    MessageId,
    PersonKey,
    PlatformMessageId,
    TaskId,
    mint,
)
from protocol.link import (
    HOST_FRAMES,
    Ack,
    Answered,
    Ask,
    Assignment,
    Delta,
    FileChunk,
    FileOffer,
    Finished,
    Heartbeat,
    Hello,
    Steer,
    SteerMessage,
    StepTaken,
    Stop,
    Welcome,
)
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt
from protocol.proxy_admin import Fetched, ProxyCall
from protocol.record import replace as replace_record
from protocol.task import Lease, Limits, Purse, Task, TaskResult, TaskStatus, Usage
from protocol.transcript import Entry, Step, ToolCall, ToolOutput
from runtime.agent_link import AgentLink, LinkPlace
from runtime.agent_link_rules import LinkLimits, LinkMemory
from runtime.approvals.constraint_terms import Constraint
from runtime.approvals.records import Taint
from runtime.asks.sending import Sending
from runtime.bursts import USUAL_HOLDS, Holds
from runtime.config import ParsedSettings, parse_settings
from runtime.container_command import ContainerKind
from runtime.container_engine import ContainerEngine, ContainerState
from runtime.container_session import CannotStart, ContainerSession
from runtime.crash_holds import CrashHolds
from runtime.delivery import Delivery
from runtime.dispatcher import Dispatcher
from runtime.door import DoorFolder
from runtime.group import Group, Groups
from runtime.group_reading import load_groups
from runtime.history.history import Histories
from runtime.home import Home
from runtime.inbound_filing import AnswerDesk
from runtime.intake import Intake
from runtime.intake_ends import IntakeEnds
from runtime.money.payers import Payer
from runtime.pauses import Pauses
from runtime.people.destinations import Destinations
from runtime.progress.book import ProgressBook
from runtime.spaces.room import Spaces
from runtime.store import taint_rows
from runtime.store.records import FiledState, MessageState, PersonLimits, QueueMode, StoredMessage, TaskRow
from runtime.store.store import Store, open_store
from runtime.submissions import Submissions
from runtime.task_desk import MemoryRoom, MoneyRoom, TaskDesk
from runtime.waiting_tasks import Room, WaitingTasks

CHANNEL = ChannelId("stage")
MAIN = GroupId("main")
TIMEOUT_S = 10.0


class ScriptedAgent:
    """An agent's end of host.sock. Steps and last words are numbered by themselves."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.seq = 0
        self.assignment: Assignment
        self.nonce = ""
        self.heard: list[SteerMessage] = []
        """What was said to it while it worked."""

    async def receive(self) -> object:
        header = await self.reader.readexactly(HEADER_BYTES)
        frame = HOST_FRAMES.decode(await self.reader.readexactly(body_length(header, MAX_HOST_FRAME_BYTES)))
        if isinstance(frame, Steer):
            self.heard += frame.messages
        return frame

    async def woken(self) -> object:
        """Return the next frame that is not there only to wake the agent."""
        while isinstance(frame := await self.receive(), Ack):
            pass
        return frame

    async def send(self, frame: object) -> None:
        self.writer.write(encode_frame(frame))
        await self.writer.drain()

    async def acked(self, seq: int) -> None:
        while True:
            frame = await self.receive()
            if isinstance(frame, Ack) and frame.seq >= seq:
                return
            if isinstance(frame, Stop):
                raise AgentStopped

    async def step(self, step: Step) -> None:
        self.seq += 1
        await self.send(StepTaken(seq=self.seq, step=step))
        await self.acked(self.seq)

    async def turn(self, index: int, text: str = "", *calls: ToolCall) -> None:
        await self.step(Step(index=index, kind="model_turn", entry=Entry(role="assistant", text=text, calls=calls)))

    async def tool_started(self, index: int, call: ToolCall) -> None:
        await self.step(Step(index=index, kind="tool_started", call=call))

    async def tool_finished(self, index: int, call: ToolCall, text: str = "done") -> None:
        await self.step(Step(index=index, kind="tool_finished", output=ToolOutput(call_id=call.call_id, text=text)))

    async def finish(self, result: TaskResult) -> None:
        self.seq += 1
        await self.send(Finished(seq=self.seq, result=result))
        await self.acked(self.seq)

    async def reply(self, text: str) -> None:
        await self.finish(TaskResult(status=TaskStatus.REPLY, text=text))

    async def answer(self, index: int, text: str) -> None:
        """Send the model's last turn and the last word in one go, as an agent does."""
        entry = Entry(role="assistant", text=text)
        step = StepTaken(seq=self.seq + 1, step=Step(index=index, kind="model_turn", entry=entry))
        self.seq += 2
        last_word = Finished(seq=self.seq, result=TaskResult(status=TaskStatus.REPLY, text=text))
        self.writer.write(encode_frame(step) + encode_frame(last_word))
        await self.writer.drain()
        await self.acked(self.seq)

    async def fail(self, code: str, reason: str) -> None:
        await self.finish(TaskResult(status=TaskStatus.FAILED, code=code, reason=reason))

    async def say(self, text: str) -> None:
        await self.send(Delta(text=text))

    async def told(self, *expected: str) -> list[SteerMessage]:
        """Wait until so much was said to the running task; return it all, in order."""
        while len(self.heard) < len(expected):
            await self.receive()
        for message, text in zip(self.heard, expected, strict=True):
            assert text in message.text
        return self.heard

    async def steered(self, index: int, *messages: SteerMessage) -> None:
        """Say that the model has seen these."""
        for offset, message in enumerate(messages):
            entry = Entry(role="user", text=message.text)
            step = Step(index=index + offset, kind="steered", entry=entry, message_ids=(message.message_id,))
            await self.step(step)

    async def ask(
        self,
        kind: str,
        *,
        call: ToolCall,
        text: str = "",
        options: tuple[str, ...] = (),
        timeout_s: float = 3600.0,
        payload: Json = None,
    ) -> Answered:
        """Ask as a tool does, and wait for the answer."""
        question = Ask(
            call_id=call.call_id, kind=kind, text=text, options=options, timeout_s=timeout_s, payload=payload
        )
        await self.send(question)
        while True:
            frame = await self.receive()
            if isinstance(frame, Stop):
                raise AgentStopped
            if isinstance(frame, Answered):
                return frame

    async def send_file(
        self, call_id: str, name: str, data: bytes, to: str = "", *, is_for_agent: bool = False, **more: int
    ) -> object:
        """Send a file; return the host's last word on it."""
        offer = FileOffer(
            call_id=call_id, name=name, size=len(data), caption="here", to=to, is_for_agent=is_for_agent, **more
        )
        await self.send(offer)
        accepted = await self.receive()
        await self.send(FileChunk(file_id=accepted.file_id, data=data, last=True))  # type: ignore[attr-defined]
        return await self.receive()

    async def wait_for_stop(self) -> None:
        while not isinstance(await self.receive(), Stop):
            pass
        raise AgentStopped


class AgentStopped(Exception):
    """The host said stop."""


Script = Callable[[ScriptedAgent], Awaitable[None]]


async def echo(agent: ScriptedAgent) -> None:
    """Answer with the last line of what was said."""
    lines = [line for line in agent.assignment.task.prompt.splitlines() if not line.startswith("<")]
    await agent.answer(len(agent.assignment.steps), f"echo: {' | '.join(lines)}")


class ScriptedEngine:
    """Containers that are coroutines: what `ContainerSession` asks of an engine."""

    def __init__(self) -> None:
        self.running: dict[str, asyncio.Task[None]] = {}
        self.exit_codes: dict[str, int] = {}

    async def wait_for_end(self, container: str, timeout_s: int) -> bool:
        task = self.running.get(container)
        if task is None:
            return True
        await asyncio.wait({task}, timeout=timeout_s)
        return task.done()

    async def inspect(self, container: str) -> ContainerState | None:
        if container not in self.running:
            return None
        code = self.exit_codes.get(container, 0)
        return ContainerState(is_running=False, exit_code=code, out_of_memory=False, pid=0)

    async def kill(self, container: str) -> None:
        if container in self.running:
            self.running[container].cancel()


class TrustedMemory:
    """The part of `runtime.approvals.memory.MemoryGuard` that tasks need: nothing is looked at."""

    async def is_watched(self, task_id: TaskId) -> bool:
        return False

    async def look(self, task_id: TaskId, group_id: GroupId) -> None:
        raise AssertionError(f"{task_id} of {group_id} was not to be looked at")


class FreeMoney:
    """The part of `money.spending.Spending` that tasks need, where nobody is held to anything."""

    def purses_of(self, group: Group, submitter: str, payer: Payer | None = None) -> tuple[Purse, ...]:
        return ()

    async def payer_of(self, row: TaskRow) -> Payer | None:
        return None

    def limits_of(self, task: Task) -> Limits:
        return task.limits

    async def suspend(self, row: TaskRow, task: Task, attempt_id: AttemptId, code: str) -> bool:
        return False

    async def footer_of(self, group: Group, task_id: TaskId) -> str:
        return ""


class RecordingProxy:
    """Doors that are never used, and the calls that a test says were made."""

    def __init__(self) -> None:
        self.leases: list[Lease] = []
        self.held: dict[DoorId, Lease] = {}
        """What each door may do now."""
        self.released: list[AttemptId] = []
        """Attempts whose lease was held, and is not any more."""
        self.refusals = 0
        """So many times it takes a lease and then does not answer."""
        self.made: tuple[ProxyCall, ...] = ()
        self.used: dict[TaskId, int] = {}

    async def open_door(
        self,
        door_id: DoorId,
        path: Path,
        uid: int | None = None,
        lease: Lease | None = None,
        *,
        is_held: bool = False,
    ) -> None:
        if lease is not None:
            self.leases.append(lease)

    async def close_door(self, door_id: DoorId) -> None:
        self.held.pop(door_id, None)

    async def release(self, door_id: DoorId, attempt_id: AttemptId) -> None:
        assert self.held[door_id].attempt_id == attempt_id
        self.released.append(attempt_id)

    async def grant(self, door_id: DoorId, lease: Lease, *, is_held: bool = False) -> None:
        self.leases.append(lease)
        self.held[door_id] = lease
        if self.refusals:
            self.refusals -= 1
            raise ProxyUnavailable(Path("proxy.sock"), "the test says so")

    async def calls(self, task_id: TaskId, attempt_id: AttemptId | None = None) -> tuple[ProxyCall, ...]:
        return self.made

    async def usage(self, *, task_id: TaskId | None = None, day: str | None = None) -> tuple[UsageSum, ...]:
        calls = self.used.get(task_id, 0) if task_id else 0
        return (UsageSum(group_id=MAIN, model="scripted", usage=Usage(model_calls=calls)),)


@dataclass(slots=True)
class ScriptedRoom:
    """Gives each task a "container" that runs the next script, or `echo` when there is none left."""

    home: Home
    proxy: RecordingProxy
    scripts: list[Script | CannotStart] = field(default_factory=list)
    limits: LinkLimits = field(default_factory=LinkLimits)
    engine: ScriptedEngine = field(default_factory=ScriptedEngine)
    assignments: list[Assignment] = field(default_factory=list)
    group: asyncio.TaskGroup | None = None
    host_parts: asyncio.TaskGroup | None = None
    """Where sessions run: gone when "the host" goes, unlike the agents."""
    taken: int = 0
    spares: int = 0
    """So many times a container is there before it is asked for."""
    waiting: list[ContainerSession] = field(default_factory=list)
    """Spares that were given back."""
    lent: dict[DoorId, ContainerSession] = field(default_factory=dict)
    given_back: list[DoorId] = field(default_factory=list)
    are_patient: bool = False
    """Agents that lose their host before they have a task come back to the next one."""

    async def take(self, kind: ContainerKind) -> ContainerSession | CannotStart:
        script = self.scripts.pop(0) if self.scripts else echo
        if isinstance(script, CannotStart):
            return script
        self.taken += 1
        door_id = DoorId(mint("door"))
        session, link = self._session(door_id, kind.group_id, None)
        assert self.group and self.host_parts
        self.host_parts.create_task(session.run())
        work = self._run_agent(script, session.container_id, self.home.door(door_id) / "host.sock")
        self.engine.running[session.container_id] = self.group.create_task(work)
        await link.ready.wait()
        return session

    async def take_spare(self, kind: ContainerKind) -> ContainerSession | None:
        if self.waiting:
            taken: ContainerSession | CannotStart = self.waiting.pop()
        elif self.spares:
            self.spares -= 1
            taken = await self.take(kind)
        else:
            return None
        assert isinstance(taken, ContainerSession)
        self.lent[taken.door_id] = taken
        return taken

    def give_back(self, door_id: DoorId, kind: ContainerKind) -> None:
        assert self.host_parts
        self.host_parts.create_task(self._keep_again(self.lent.pop(door_id)))

    async def _keep_again(self, session: ContainerSession) -> None:
        self.waiting.append(session)
        self.given_back.append(session.door_id)

    async def adopt(self, memory: LinkMemory, group_id: GroupId, lease: Lease | None = None) -> ContainerSession:
        session, _ = self._session(memory.door_id, group_id, memory)
        assert self.host_parts
        self.host_parts.create_task(session.run())
        return session

    def _session(
        self, door_id: DoorId, group_id: GroupId, memory: LinkMemory | None
    ) -> tuple[ContainerSession, AgentLink]:
        door = DoorFolder(self.home.door(door_id))
        door.out.mkdir(parents=True, exist_ok=True)
        files = self.home.group(group_id) / "outbox"
        files.mkdir(parents=True, exist_ok=True)
        place = LinkPlace(socket_path=door.host_socket, uid=None, files_folder=files)
        link = AgentLink(door_id, place, self.limits, memory)
        link.listen()
        session = ContainerSession(
            group_id=group_id,
            container=f"container-of-{door_id}",
            door=door,
            link=link,
            engine=cast(ContainerEngine, self.engine),  # an engine that answers the three questions asked here
            proxy=self.proxy,
            stop_grace_s=0.5,
            when_over=lambda _: None,
            let_go=self._let_go,
        )
        session.mark_launched()
        return session, link

    def _let_go(self, session: ContainerSession, seq: int) -> None:
        assert self.host_parts
        self.host_parts.create_task(self._say_farewell(session, seq))

    async def _say_farewell(self, session: ContainerSession, seq: int) -> None:
        await session.ack(seq)
        await session.end("finished")

    async def _run_agent(self, script: Script, container_id: str, path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        agent = ScriptedAgent(reader, writer)
        try:
            await agent.send(Hello(protocol=PROTOCOL_VERSION, agent_version="scripted"))
            welcome = await agent.receive()
            assert isinstance(welcome, Welcome)
            agent.nonce = welcome.nonce
            assignment = await (self._wait_over_hosts(agent, path) if self.are_patient else agent.woken())
            if isinstance(assignment, Stop):
                raise AgentStopped
            assert isinstance(assignment, Assignment)
            agent.assignment = assignment
            self.assignments.append(assignment)
            await script(agent)
        except (AgentStopped, ConnectionError, asyncio.IncompleteReadError):
            self.engine.exit_codes[container_id] = 0
        except asyncio.CancelledError:
            self.engine.exit_codes[container_id] = 137
            raise
        finally:
            agent.writer.close()

    async def _wait_over_hosts(self, agent: ScriptedAgent, path: Path) -> object:
        """Return the assignment, from whichever host it comes."""
        while True:
            try:
                frame = await agent.woken()
                if not isinstance(frame, Welcome):
                    return frame
                await heartbeat(agent, "waiting")
            except (OSError, asyncio.IncompleteReadError):
                agent.writer.close()
                await self._come_back(agent, path)

    async def _come_back(self, agent: ScriptedAgent, path: Path) -> None:
        while True:
            try:
                agent.reader, agent.writer = await asyncio.open_unix_connection(path)
                await agent.send(Hello(protocol=PROTOCOL_VERSION, agent_version="scripted", nonce=agent.nonce))
                return
            except OSError:
                await asyncio.sleep(0.01)


class StageChannel:
    """A channel whose platform is this object: `sent` is what can be seen there."""

    def __init__(self) -> None:
        self.sent: list[OutboundMessage] = []
        self.shown: list[tuple[ChatKey, str, str]] = []
        self.failures: list[DeliveryFailed] = []
        self.changed = asyncio.Condition()

    @property
    def channel_id(self) -> ChannelId:
        return CHANNEL

    async def run(self, inbox: Inbox) -> None:
        await asyncio.Event().wait()

    def decode(self, raw: bytes) -> InboundMessage | None:
        return from_json(InboundMessage, json.loads(raw))

    async def send(self, message: OutboundMessage) -> Receipt:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message)
        async with self.changed:
            self.changed.notify_all()
        return Receipt(platform_message_ids=(PlatformMessageId(f"out{len(self.sent)}"),))

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        raise DeliveryFailed("there are no files here", permanent=True)

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        self.shown.append((chat, kind, text))
        async with self.changed:
            self.changed.notify_all()

    def health(self) -> str:
        return "ok"

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S), self.changed:
            await self.changed.wait_for(holds)

    async def texts(self, count: int) -> list[str]:
        """Wait until so many messages can be seen; return their texts."""
        await self.until(lambda: len(self.sent) >= count)
        return [message.text for message in self.sent]


class Around:
    """Settings, groups and channels, as files in the fork say them now."""

    def __init__(self, fork: Path, channel: StageChannel, settings: str) -> None:
        self.fork = fork
        self.settings: ParsedSettings = parse_settings(settings)
        self.groups: Groups = load_groups(fork, self.settings)
        self.channels = {CHANNEL: channel}

    def reload(self, settings: str = "") -> None:
        self.settings = parse_settings(settings)
        self.groups = load_groups(self.fork, self.settings)


@dataclass(slots=True)
class HostBench:
    """One home; `host()` is one life of the host in it. Agents live on between two lives."""

    home: Home
    fork: Path
    store: Store
    room: ScriptedRoom
    proxy: RecordingProxy
    channel: StageChannel
    around: Around
    desk: TaskDesk = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    delivery: Delivery = field(init=False)
    intake: Intake = field(init=False)
    submissions: Submissions = field(init=False)
    waiting: WaitingTasks = field(init=False)
    pauses: Pauses = field(init=False)
    destinations: Destinations = field(init=False)
    spaces: Spaces = field(init=False)
    suspend_after_s: float = 60.0
    holds: Holds = USUAL_HOLDS
    progress: ProgressBook = field(default_factory=ProgressBook)
    rooms: dict[str, Room] = field(default_factory=dict)
    """Who answers which kind of question."""
    alarms: list[tuple[str, str]] = field(default_factory=list)
    commands: list[StoredMessage] = field(default_factory=list)
    while_deciding: Callable[[], None] = lambda: None
    """Called in the store's thread, in the transaction in which a message may begin its task."""
    make_money: Callable[[HostBench], MoneyRoom] = lambda _: FreeMoney()
    make_memory: Callable[[HostBench], MemoryRoom] = lambda _: TrustedMemory()
    """Who looks at what tasks have noted."""
    constraints: Callable[[GroupId], Sequence[Constraint]] = lambda _: ()
    """Who holds tasks to their money."""
    histories: Histories | None = None
    taint_of: Callable[[TaskId], Awaitable[Taint]] | None = None
    """Who knows what tasks have read; None: the store."""
    fetched: Sequence[Fetched] | None = ()
    """What the proxy has brought tasks from outside; None: it is away."""
    answers: AnswerDesk | None = None
    """Who takes messages that are answers."""

    @asynccontextmanager
    async def host(self) -> AsyncIterator[Dispatcher]:
        """Intake, dispatcher and delivery, running; leaving the block is a host that goes and leaves its agents at
        work."""
        async with asyncio.TaskGroup() as parts:
            self.room.host_parts = parts
            self.delivery = Delivery(self.store, lambda: self.around.channels, 40)
            self.waiting = WaitingTasks(self.store, suspend_after_s=self.suspend_after_s)
            for kind, answers in self.rooms.items():
                self.waiting.answer_kind(kind, answers)
            self.pauses = Pauses(self.store)
            self.destinations = Destinations(self.store)
            await self.destinations.load()
            self.spaces = Spaces(
                self.home,
                self.store,
                taint_of=self.taint_of or self._known_taint,
                mark=lambda *given: self.store.write(taint_rows.mark, *given),
            )
            await self.spaces.recover()
            self.desk = TaskDesk(
                store=self.store,
                containers=self.room,
                calls=self.proxy,
                fetched=self._fetched,
                around=self.around,
                home=self.home,
                fork=self.fork,
                image="nightyard-agent:test",
                delivery=self.delivery,
                money=self.make_money(self),
                waiting=self.waiting,
                pauses=self.pauses,
                files=Sending(
                    self.store,
                    self.destinations,
                    lambda: self.around.channels,
                    self.delivery.wake,
                    taint_of=self.taint_of or self._known_taint,
                    groups=lambda: self.around.groups,
                ),
                destinations=self.destinations.names,
                progress=self.progress,
                constraints=self.constraints,
                crash_holds=CrashHolds(self.pauses, lambda key, text, _: self.alarms.append((key, text))),
                histories=self.histories or Histories(self.home, self.store, lambda: 1 << 30),
                memory=self.make_memory(self),
                spaces=self.spaces,
            )
            self.dispatcher = Dispatcher(self.desk, self.holds)
            self.submissions = Submissions(self.store, self.around, self.dispatcher, self.desk.ends)
            self.intake = Intake(
                self.store,
                lambda: self.around.channels,
                self._groups,
                IntakeEnds(
                    queued=self.dispatcher.arrived,
                    command=self._command,
                    outbox=self.delivery.wake,
                    changed=self.dispatcher.changed,
                    replaced=self.dispatcher.replaced,
                    withdrawn=self.dispatcher.withdrawn,
                    head_starts=self.dispatcher,
                ),
                inbox=self.home.inbox,
                max_file_bytes=lambda: 1_000,
                rehearsing=lambda: (),
                answers=self.answers,
            )
            parts_of_it = (self.dispatcher.run(), self.intake.run(), self.delivery.run(), self.waiting.run())
            running = [parts.create_task(part) for part in parts_of_it]
            async with asyncio.timeout(TIMEOUT_S):
                await self.dispatcher.recovered.wait()
            try:
                yield self.dispatcher
            finally:
                for part in running:
                    part.cancel()
                await asyncio.wait(running)
                for part in list(parts._tasks):  # sessions of agents that were left
                    part.cancel()

    async def _known_taint(self, task_id: TaskId) -> Taint:
        return await self.store.read(taint_rows.taint_of, task_id)

    def _groups(self) -> Mapping[GroupId, PersonLimits]:
        if threading.current_thread() is not threading.main_thread():
            self.while_deciding()
        return self.around.groups.person_limits

    async def _command(self, message: StoredMessage) -> None:
        self.commands.append(message)
        if message.inbound.text == "/new" and message.group_id is not None:
            assert await self.store.binding_of(message.inbound.chat)
            await self.store.new_session(message.group_id, message.inbound.chat)
        await self.store.end_command(message.message_id)

    async def _fetched(self, task_id: TaskId) -> Sequence[Fetched]:
        if self.fetched is None:
            raise ProxyUnavailable(Path("proxy.sock"), "the test says so")
        return self.fetched

    async def hear(
        self,
        text: str,
        *,
        chat: str = "stage:1",
        event_id: str = "",
        person: str = "stage:ada",
        reply_to: PlatformMessageId | None = None,
    ) -> None:
        """Have a message come in as its platform gives it, and be taken in."""
        inbound = replace_record(said(text, chat=chat, event_id=event_id, person=person), reply_to=reply_to)
        await self.intake.accept(CHANNEL, inbound.event_id, json.dumps(to_json(inbound)).encode())

    async def say(
        self, text: str, *, chat: str = "stage:1", group: GroupId = MAIN, mode: QueueMode = "steer"
    ) -> MessageId:
        """Have a message come in, past intake; return its id."""
        message = replace(await self.file(text, chat=chat, group=group), mode=mode)
        self.dispatcher.arrived(message)
        return message.message_id

    async def file(
        self, text: str, *, chat: str = "stage:1", group: GroupId = MAIN, state: FiledState = MessageState.QUEUED
    ) -> StoredMessage:
        inbound = said(text, chat=chat)
        raw = json.dumps(to_json(inbound)).encode()
        update = await self.store.store_raw(CHANNEL, inbound.event_id, raw)
        assert update is not None
        filed = await self.store.file_message(update.raw_id, inbound, state=state, group_id=group)
        return filed.message

    async def state_of(self, message_id: MessageId) -> tuple[str, str]:
        """Return a message's state and the reason of its end."""
        message = await self.store.message(message_id)
        assert message is not None
        return message.state.value, message.end_reason

    async def idle(self) -> None:
        """Wait until no task runs."""
        async with asyncio.timeout(TIMEOUT_S):
            await self.dispatcher.idle()


def said(text: str, *, chat: str = "stage:1", event_id: str = "", person: str = "stage:ada") -> InboundMessage:
    event_id = event_id or mint("event")
    return InboundMessage(
        channel_id=CHANNEL,
        event_id=event_id,
        chat=ChatKey(chat),
        chat_kind="direct",
        person=PersonKey(person),
        sender_name="Ada",
        text=text,
        sent_at="2026-01-31T09:00:00Z",
        platform_message_id=PlatformMessageId(event_id),
    )


@asynccontextmanager
async def open_bench(
    path: Path, *, settings: str = "", groups: dict[str, str] | None = None
) -> AsyncIterator[HostBench]:
    """A home and a fork in `path`; the agents end with the block."""
    home, fork = Home(path / "h"), path / "fork"
    home.path.mkdir()
    for name, text in (groups or {"main": ""}).items():
        (fork / "groups" / name).mkdir(parents=True)
        (fork / "groups" / name / "group.yaml").write_text(text, "utf-8")
    proxy, channel = RecordingProxy(), StageChannel()
    room = ScriptedRoom(home=home, proxy=proxy)
    async with open_store(home.path) as store, asyncio.TaskGroup() as agents:
        room.group = agents
        yield HostBench(
            home=home,
            fork=fork,
            store=store,
            room=room,
            proxy=proxy,
            channel=channel,
            around=Around(fork, channel, settings),
        )
        for agent in room.engine.running.values():
            agent.cancel()


async def heartbeat(agent: ScriptedAgent, doing: Literal["waiting", "model", "tool", "loop"] = "tool") -> None:
    await agent.send(Heartbeat(doing=doing, for_s=1.0))
