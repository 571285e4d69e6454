"""A home with real containers for tests: scripted agents, a proxy that only remembers.

The scripted agent does what the task's prompt says, in Python, inside the container: `answer(...)` adds to its reply,
`send(type, **fields)` sends a raw frame, `say(bytes)` raw bytes.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from credproxy.admin_client.link import ProxyUnavailable
from protocol.ids import AttemptId, DoorId, GroupId, TaskId, mint
from protocol.link import Assignment, Finished, StepTaken
from protocol.task import Effects, Lease, Limits, ModelRoute, Task, TaskResult
from runtime.agent_events import AgentEvent
from runtime.agent_link_rules import LinkLimits
from runtime.container_command import ContainerKind
from runtime.container_engine import ContainerEngine
from runtime.container_session import ContainerSession
from runtime.container_start import PlaceholdersOf
from runtime.containers import Containers, ContainersSetup
from runtime.home import Home

ROOT = Path(__file__).resolve().parents[2]

SCRIPTED_AGENT = """
import json, os, socket, struct, sys, threading, time, traceback

link = socket.socket(socket.AF_UNIX)
link.connect("/run/yard/host.sock")
sending = threading.Lock()

def say(data):
    with sending:
        link.sendall(data)

def frame(kind, **fields):
    body = json.dumps({"type": kind, **fields}).encode()
    return struct.pack(">I", len(body)) + body

def send(kind, **fields):
    say(frame(kind, **fields))

def read_exactly(count):
    data = b""
    while len(data) < count:
        part = link.recv(count - len(data))
        if not part:
            os._exit(0)
        data += part
    return data

def receive():
    return json.loads(read_exactly(struct.unpack(">I", read_exactly(4))[0]))

send("hello", protocol="1.0", agent_version="scripted", nonce="")
welcome = receive()

def beat():
    while True:
        send("heartbeat", doing="tool", for_s=1.0)
        time.sleep(welcome["heartbeat_s"])

threading.Thread(target=beat, daemon=True).start()
answers = []
answer = lambda *words: answers.append(" ".join(map(str, words)))
while (assignment := receive())["type"] == "ack":  # it is only woken
    pass
if assignment["type"] != "assignment":
    os._exit(0)
seq = 0

def step(index):
    global seq
    seq += 1
    entry = {"role": "assistant", "text": "x"}
    send("step_taken", seq=seq, step={"index": index, "kind": "model_turn", "entry": entry})

def finish(text):
    global seq
    seq += 1
    send("finished", seq=seq, result={"status": "reply", "text": text})

try:
    exec(assignment["task"]["prompt"], globals())
except Exception:
    answer(traceback.format_exc())
finish("\\n".join(answers))
while True:
    got = receive()
    if got["type"] == "stop" or (got["type"] == "ack" and got["seq"] == seq):
        os._exit(0)
"""


class RememberingProxy:
    """The proxy's doors without a proxy: says yes and remembers."""

    def __init__(self) -> None:
        self.doors: dict[DoorId, Path] = {}
        self.leases: dict[DoorId, Lease] = {}
        self.released: list[AttemptId] = []
        """Attempts whose lease was held, and is not any more."""
        self.away = 0
        """So many times more it is away when it is asked for a door."""

    async def open_door(
        self,
        door_id: DoorId,
        path: Path,
        uid: int | None = None,
        lease: Lease | None = None,
        *,
        is_held: bool = False,
    ) -> None:
        if self.away:
            self.away -= 1
            raise ProxyUnavailable(path, "the test says so")
        self.doors[door_id] = path
        if lease is not None:
            self.leases[door_id] = lease

    async def close_door(self, door_id: DoorId) -> None:
        self.doors.pop(door_id, None)

    async def release(self, door_id: DoorId, attempt_id: AttemptId) -> None:
        assert self.leases[door_id].attempt_id == attempt_id
        self.released.append(attempt_id)

    async def grant(self, door_id: DoorId, lease: Lease, *, is_held: bool = False) -> None:
        self.leases[door_id] = lease


@dataclass(slots=True)
class ContainerHouse:
    setup: ContainersSetup
    engine: ContainerEngine
    proxy: RememberingProxy
    image: str
    containers: Containers
    known: set[DoorId] = field(default_factory=set)
    host: asyncio.Task[None] | None = None
    """What runs the containers."""

    def kind(self, group: str = "main", **changes: Any) -> ContainerKind:
        return replace(ContainerKind(group_id=GroupId(group), image=self.image), **changes)

    async def take(self, kind: ContainerKind | None = None) -> ContainerSession:
        session = await self.containers.take(kind or self.kind())
        assert isinstance(session, ContainerSession), session
        return session

    async def begin(self, code: str, kind: ContainerKind | None = None) -> ContainerSession:
        """Take a container and have its agent run the code."""
        session = await self.take(kind)
        lease, assignment = a_lease(session.group_id), an_assignment(code, session.group_id)
        assert await session.hand_over(lease, assignment, recorded=asyncio.sleep(0)) is None
        return session

    async def run(self, code: str, kind: ContainerKind | None = None) -> tuple[TaskResult | None, list[AgentEvent]]:
        """Have an agent run the code to its end; return its result, if it gave one, and all events."""
        session = await self.begin(code, kind)
        try:
            return await follow(session)
        finally:
            await session.end("the test is over")


async def follow(session: ContainerSession, timeout_s: float = 30.0) -> tuple[TaskResult | None, list[AgentEvent]]:
    """Ack everything until the container has ended."""
    result: TaskResult | None = None
    events: list[AgentEvent] = []
    async with asyncio.timeout(timeout_s):
        async for event in session.events():
            events.append(event)
            if isinstance(event, Finished):
                result = event.result
            if isinstance(event, (StepTaken, Finished)):
                await session.ack(event.seq)
    return result, events


async def first_event(session: ContainerSession) -> AgentEvent:
    async with asyncio.timeout(10):
        return await anext(aiter(session.events()))


def a_lease(group_id: GroupId) -> Lease:
    return Lease(
        task_id=TaskId("task_1"),
        attempt_id=AttemptId("attempt_1"),
        group_id=group_id,
        effects=Effects.LIVE,
        limits=Limits(),
        routes=(),
    )


def an_assignment(prompt: str, group_id: GroupId) -> Assignment:
    task = Task(task_id=TaskId("task_1"), group_id=group_id, submitter="cli", session_id=None, prompt=prompt)
    model = ModelRoute(route="none", api="anthropic", model="none")
    return Assignment(attempt_id=AttemptId("attempt_1"), attempt_number=1, task=task, instructions="", model=model)


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the condition is a container's or a folder's, nobody sets an event
            await asyncio.sleep(0.02)


def make_setup(home: Path, **changes: Any) -> ContainersSetup:
    """A setup whose containers run the scripted agent."""
    bundle = home / "agent" / "scripted"
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "__main__.py").write_text(SCRIPTED_AGENT)
    (home / "run").mkdir(exist_ok=True)
    setup = ContainersSetup(
        home=Home(home),
        home_id=mint("home").rpartition("_")[2][:8],
        repository=ROOT,
        bundle=bundle,
        link=LinkLimits(heartbeat_s=0.2, silence_s=10.0, host_absence_s=5.0),
        spares=0,
    )
    return replace(setup, **changes)


@asynccontextmanager
async def open_house(
    image: str,
    setup: ContainersSetup | None = None,
    /,
    *,
    engine: ContainerEngine | None = None,
    placeholders: PlaceholdersOf | None = None,
    **changes: Any,
) -> AsyncIterator[ContainerHouse]:
    """Containers of a home of their own; with a setup given, as the next host in the same home."""
    own = None if setup is not None else Path(mkdtemp(prefix="ny-", dir="/tmp"))
    setup = setup or make_setup(own or Path(), **changes)
    engine, proxy = engine or ContainerEngine(), RememberingProxy()
    known: set[DoorId] = set()

    async def known_doors() -> frozenset[DoorId]:
        return frozenset(known)

    containers = Containers(setup, engine, proxy, known_doors=known_doors, placeholders=placeholders)
    house = ContainerHouse(setup, engine, proxy, image, containers, known)
    try:
        async with asyncio.TaskGroup() as group:
            running = house.host = group.create_task(containers.run())
            try:
                yield house
            finally:
                await until(lambda: containers.statistics().removing == 0)
                running.cancel()
        if own is not None:
            for left in await engine.list_containers(setup.home_id):
                await engine.remove(left.container_id)
    finally:
        engine.close()
        if own is not None:
            await asyncio.to_thread(shutil.rmtree, own, True)
