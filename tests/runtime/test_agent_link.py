"""The host's end of host.sock, against scripted bytes over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from protocol.frames import FrameDecoder, encode_frame
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.link import (
    HOST_FRAMES,
    Ack,
    Assignment,
    Delta,
    FileAccepted,
    FileChunk,
    FileOffer,
    FileRefused,
    FileStored,
    Finished,
    Heartbeat,
    Hello,
    StepTaken,
    Welcome,
)
from protocol.task import ModelRoute, Task, TaskResult, TaskStatus
from protocol.transcript import Entry, Step
from runtime.agent_events import AgentBack, AgentEvent, AgentMisbehaved, AgentSilent, FileArrived, StrangerRefused
from runtime.agent_link import AgentLink, LinkLimits, LinkMemory, LinkPlace

DOOR = DoorId("door_1")
LIMITS = LinkLimits(heartbeat_s=0.1, silence_s=5.0, files=2, file_bytes=1000, all_files_bytes=1500, strangers=3)
TURN = StepTaken(seq=1, step=Step(index=0, kind="model_turn", entry=Entry(role="assistant", text="hi")))
DONE = Finished(seq=2, result=TaskResult(status=TaskStatus.REPLY, text="done"))
ASSIGNMENT = Assignment(
    attempt_id=AttemptId("attempt_1"),
    attempt_number=1,
    task=Task(task_id=TaskId("task_1"), group_id=GroupId("main"), submitter="cli", session_id=None, prompt="hi"),
    instructions="",
    model=ModelRoute(route="r", api="anthropic", model="m"),
)


class Agent:
    """One connection of an agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = FrameDecoder(32 << 20)
        self._frames: list[object] = []

    async def say(self, *frames: object) -> None:
        await self.say_bytes(b"".join(encode_frame(frame) for frame in frames))

    async def say_bytes(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def hear(self) -> object:
        """Return the host's next frame, None at the end of the connection."""
        async with asyncio.timeout(5):
            while not self._frames:
                try:
                    chunk = await self._reader.read(65536)
                except ConnectionError:
                    chunk = b""
                if not chunk:
                    return None
                self._frames += [HOST_FRAMES.decode(body) for body in self._decoder.feed(chunk)]
        return self._frames.pop(0)

    async def greet(self, nonce: str = "") -> object:
        await self.say(Hello(protocol="1.0", agent_version="t", nonce=nonce))
        return await self.hear()

    def hang_up(self) -> None:
        self._writer.close()


class LinkHouse:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agents: list[Agent] = []

    @asynccontextmanager
    async def link(self, limits: LinkLimits = LIMITS, adopted: LinkMemory | None = None) -> AsyncIterator[AgentLink]:
        place = LinkPlace(socket_path=self.folder / "host.sock", uid=None, files_folder=self.folder)
        link = AgentLink(DOOR, place, limits, adopted)
        link.listen()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(link.run())
            await asyncio.sleep(0)  # a task cancelled before its first step would not close what was opened before it
            try:
                yield link
            finally:
                running.cancel()
                for agent in self.agents:
                    agent.hang_up()

    async def connect(self) -> Agent:
        agent = Agent(*await asyncio.open_unix_connection(self.folder / "host.sock"))
        self.agents.append(agent)
        return agent

    async def working_agent(self, link: AgentLink) -> Agent:
        """An agent that has its task."""
        agent = await self.connect()
        assert isinstance(await agent.greet(), Welcome)
        assert await link.hand_over(ASSIGNMENT)
        assert await agent.hear() == ASSIGNMENT
        return agent


@pytest.fixture
def house(tmp_path: Path) -> LinkHouse:
    return LinkHouse(tmp_path)


async def next_event(link: AgentLink) -> AgentEvent:
    async with asyncio.timeout(5):
        return await link.events.get()


async def test_steps_are_told_in_order_and_acked_when_stored(house: LinkHouse) -> None:
    """The owner hears steps and the last word; the agent hears an ack only when the owner says so."""
    async with house.link() as link:
        agent = await house.working_agent(link)
        await agent.say(TURN, Heartbeat(doing="model", for_s=2.0), DONE)
        assert await next_event(link) == TURN
        assert await next_event(link) == DONE
        assert link.last_heartbeat == Heartbeat(doing="model", for_s=2.0)
        await link.ack(1)
        await link.ack(2)
        assert [await agent.hear(), await agent.hear()] == [Ack(seq=1), Ack(seq=2)]
        assert link.memory.stored_seq == 2
        assert link.has_finished


async def test_second_connection_is_refused_while_the_first_lives(house: LinkHouse) -> None:
    """A second connection is closed unheard, even with words that would do for a first; it is told once."""
    async with house.link() as link:
        agent = await house.working_agent(link)
        for _ in range(2):
            assert await (await house.connect()).greet() is None
        await agent.say(TURN)
        assert await next_event(link) == StrangerRefused()
        assert await next_event(link) == TURN


async def test_lost_agent_comes_back_with_its_nonce_only(house: LinkHouse) -> None:
    """After the first connection is gone the nonce opens the link, nothing else does; repeats are told once."""
    async with house.link() as link:
        agent = await house.connect()
        welcome = await agent.greet()
        assert isinstance(welcome, Welcome)
        await link.hand_over(ASSIGNMENT)
        await agent.say(TURN)
        assert await next_event(link) == TURN
        agent.hang_up()
        await link.lost.wait()
        assert await (await house.connect()).greet("0" * 32) is None
        assert await next_event(link) == StrangerRefused()
        again = await house.connect()
        assert await again.greet(welcome.nonce) == welcome
        assert await next_event(link) == AgentBack()
        await again.say(TURN, DONE)
        assert await next_event(link) == DONE
        await link.ack(1)
        await again.say(TURN)
        assert [await again.hear(), await again.hear()] == [Ack(seq=1), Ack(seq=1)]


async def test_restarted_host_knows_the_agent_by_the_hash_of_its_nonce(house: LinkHouse) -> None:
    """With what the store remembers a new host takes the link up, in the place of the socket that was left."""
    async with house.link() as link:
        welcome = await (await house.connect()).greet()
        assert isinstance(welcome, Welcome)
        await link.hand_over(ASSIGNMENT)
        await link.ack(1)
        memory = link.memory
    assert welcome.nonce not in str(memory)
    async with house.link(adopted=memory) as link:
        assert await (await house.connect()).greet("") is None
        agent = await house.connect()
        again = await agent.greet(welcome.nonce)
        assert isinstance(again, Welcome)
        assert again.stored_seq == 1
        await agent.say(TURN, DONE)
        assert await agent.hear() == Ack(seq=1)
        events = [await next_event(link) for _ in range(3)]
        assert events == [StrangerRefused(), AgentBack(), DONE]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xff\xff\xff", "oversized"),
        (b"\x00\x00\x00\x02{]", "not_json"),
        (b"\x00\x00\x00\x02[]", "not_an_object"),
        (encode_frame(Ack(seq=1)), "unknown_type"),
        (b'\x00\x00\x00\x10{"type":"delta"}', "wrong_shape"),
        (encode_frame(Hello(protocol="1.0", agent_version="")), "no_hello"),
        (encode_frame(DONE), "sequence_gap"),
    ],
)
async def test_garbage_closes_the_link_with_its_name(house: LinkHouse, data: bytes, code: str) -> None:
    """Whatever is not a frame of this link ends it, and what follows is not heard."""
    async with house.link() as link:
        agent = await house.working_agent(link)
        await agent.say_bytes(data + encode_frame(TURN))
        event = await next_event(link)
        assert isinstance(event, AgentMisbehaved)
        assert event.code == code
        assert await agent.hear() is None
        assert link.events.is_empty
        assert await (await house.connect()).hear() is None


async def test_other_major_version_is_refused_by_name(house: LinkHouse) -> None:
    """An agent of another protocol is told as wrong_version, one that begins with something else as no_hello."""
    async with house.link() as link:
        await (await house.connect()).say(Hello(protocol="2.0", agent_version=""))
        event = await next_event(link)
        assert isinstance(event, AgentMisbehaved)
        assert event.code == "wrong_version"
    async with house.link() as link:
        await (await house.connect()).say(TURN)
        event = await next_event(link)
        assert isinstance(event, AgentMisbehaved)
        assert event.code == "no_hello"


async def test_connection_that_ends_without_a_word_is_nothing(house: LinkHouse) -> None:
    """Connecting and hanging up leaves the door as it was."""
    async with house.link() as link:
        (await house.connect()).hang_up()
        await house.working_agent(link)
        assert link.events.is_empty


async def test_knocking_without_end_ends_the_link(house: LinkHouse) -> None:
    """So many strangers are not curiosity any more."""
    async with house.link() as link:
        await house.working_agent(link)
        for _ in range(LIMITS.strangers + 1):
            assert await (await house.connect()).hear() is None
        assert await next_event(link) == StrangerRefused()
        event = await next_event(link)
        assert isinstance(event, AgentMisbehaved)
        assert event.code == "knocking"


async def test_silence_is_told_once_and_heartbeats_are_no_silence(house: LinkHouse) -> None:
    """An agent whose heartbeats come is not silent; one whose heartbeats stop is, once."""
    limits = LinkLimits(silence_s=0.3)
    async with house.link(limits) as link:
        agent = await house.working_agent(link)
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - began < 0.6:
            await agent.say(Heartbeat(doing="tool", for_s=1.0))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await link.events.get()
        assert isinstance(await next_event(link), AgentSilent)


async def test_slow_owner_slows_the_agent_and_holds_little(house: LinkHouse) -> None:
    """While nobody takes events the link stops reading: what a flooding agent sent waits in its own buffers."""
    async with house.link(LinkLimits(silence_s=60, frames_per_s=1_000_000)) as link:
        agent = await house.working_agent(link)
        chunk = encode_frame(Delta(text="x" * 900_000))
        sent = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    await agent.say_bytes(chunk)
                    sent += len(chunk)
        assert sent < 12 << 20
        assert link.events.weight < 6 << 20


async def test_files_are_capped_and_repeated_offers_are_one_file(house: LinkHouse) -> None:
    """Size, number and sum have limits; an offer made again is the same file; what did not arrive whole goes."""
    async with house.link() as link:
        agent = await house.working_agent(link)
        await agent.say(FileOffer(call_id="big", name="b", size=1001))
        assert isinstance(await agent.hear(), FileRefused)
        await agent.say(FileOffer(call_id="a", name="../../etc/passwd", size=900))
        accepted = await agent.hear()
        assert isinstance(accepted, FileAccepted)
        await agent.say(FileChunk(file_id=accepted.file_id, data=b"half"))
        await agent.say(FileOffer(call_id="a", name="../../etc/passwd", size=900))
        accepted = await agent.hear()
        assert isinstance(accepted, FileAccepted)
        await agent.say(FileOffer(call_id="c", name="c", size=900))
        assert isinstance(await agent.hear(), FileRefused)
        await agent.say(FileChunk(file_id=accepted.file_id, data=b"x" * 900, last=True))
        event = await next_event(link)
        assert isinstance(event, FileArrived)
        assert event.path == house.folder / accepted.file_id
        assert event.path.read_bytes() == b"x" * 900
        await link.file_stored(accepted.file_id)
        assert await agent.hear() == FileStored(file_id=accepted.file_id)
        await agent.say(FileOffer(call_id="half", name="h", size=10))
        assert isinstance(await agent.hear(), FileAccepted)
    assert sorted(path.name for path in house.folder.iterdir()) == sorted([accepted.file_id, "host.sock"])


async def test_file_longer_than_offered_breaks_off(house: LinkHouse) -> None:
    """More bytes than were offered are not written."""
    async with house.link() as link:
        agent = await house.working_agent(link)
        await agent.say(FileOffer(call_id="a", name="a", size=3))
        accepted = await agent.hear()
        assert isinstance(accepted, FileAccepted)
        await agent.say(FileChunk(file_id=accepted.file_id, data=b"four", last=True))
        event = await next_event(link)
        assert isinstance(event, AgentMisbehaved)
        assert event.code == "file_too_long"


async def test_last_word_needs_the_nonce_and_tells_only_what_is_new(house: LinkHouse) -> None:
    """What a dead agent left is told from the first frame that was not stored; a forged one is not told at all."""
    async with house.link() as link:
        welcome = await (await house.connect()).greet()
        assert isinstance(welcome, Welcome)
        await link.hand_over(ASSIGNMENT)
        await link.ack(1)
        memory = link.memory
    hello = Hello(protocol="1.0", agent_version="t", nonce=welcome.nonce)
    forged = Hello(protocol="1.0", agent_version="t", nonce="0" * 32)
    async with house.link(adopted=memory) as link:
        await link.take_last_word(encode_frame(forged) + encode_frame(DONE))
        await link.take_last_word(b"\xff\xff\xff\xff")
        assert link.events.is_empty
        await link.take_last_word(encode_frame(hello) + encode_frame(TURN) + encode_frame(DONE))
        assert await next_event(link) == DONE
        assert link.events.is_empty
