"""Containers over their whole life: taken, kept as spares, stopped, taken up by the next host, reaped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from protocol.ids import DoorId, GroupId, mint
from protocol.link import Finished, StepTaken
from runtime.agent_events import AgentBack, AgentMisbehaved, AgentSilent, AgentUnassigned, ContainerEnded, FileArrived
from runtime.agent_link_rules import LinkLimits, LinkMemory
from runtime.container_command import ContainerLimits
from runtime.container_engine import ContainerEngine
from runtime.container_session import CannotStart, ContainerSession
from runtime.container_start import container_name
from runtime.containers import Containers
from tests.runtime.container_house import (
    ContainerHouse,
    RememberingProxy,
    a_lease,
    an_assignment,
    first_event,
    follow,
    make_setup,
    open_house,
    until,
)

pytestmark = pytest.mark.engine

SPARES: dict[str, Any] = {"spares": 2, "spare_delay_s": 0.0}
# What a reconnecting agent does: connect again with the nonce until the host is there, then go on.
COME_BACK = """
def come_back():
    global link
    while True:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect("/run/yard/host.sock")
            send("hello", protocol="1.0", agent_version="scripted", nonce=welcome["nonce"])
            return receive()
        except OSError:
            time.sleep(0.02)
def wait_for_loss():
    while link.recv(1000):
        pass
"""


async def nobody_known() -> frozenset[DoorId]:
    return frozenset()


@pytest.fixture
async def house(agent_image: str) -> AsyncIterator[ContainerHouse]:
    async with open_house(agent_image) as house:
        yield house


async def test_task_is_handed_over_and_everything_is_gone_after_its_end(house: ContainerHouse) -> None:
    """A container serves one task; after its end container, door and folder are gone within 5 seconds."""
    session = await house.begin("answer('done')")
    folder, door_id = session.door.path, session.door_id
    assert house.proxy.leases[door_id].task_id == "task_1"
    result, events = await follow(session)
    assert result is not None
    assert result.text == "done"
    end = events[-1]
    assert isinstance(end, ContainerEnded)
    assert end.exit_code == 0
    ended_at = time.monotonic()
    await session.end("done")
    await until(lambda: not folder.exists() and house.containers.statistics().removing == 0)
    assert await house.engine.list_containers(house.setup.home_id) == []
    assert door_id not in house.proxy.doors
    assert time.monotonic() - ended_at < 20


async def test_stop_leaves_no_process_after_two_seconds(house: ContainerHouse) -> None:
    """An agent that hears nothing is killed with all its processes within 2 seconds, and its end is told."""
    session = await house.begin("import subprocess; subprocess.run(['sleep', '600'])")
    state = await house.engine.inspect(session.container_id)
    assert state is not None
    began = time.monotonic()
    await session.stop("the user said so")
    assert time.monotonic() - began < 20
    assert not Path(f"/proc/{state.pid}").exists()
    _, events = await follow(session)
    assert isinstance(events[-1], ContainerEnded)
    await session.end("stopped")


async def test_spare_is_taken_once_and_only_for_the_same_kind(agent_image: str) -> None:
    """A group's second task gets the waiting spare; after a change of its settings the spare goes unused."""
    async with open_house(agent_image, **SPARES) as house:
        await house.containers.warm(house.kind())
        await until(lambda: house.containers.statistics().spares == 1)
        first = await house.take()
        assert house.containers.statistics().taken_from_spare_total == 1
        await until(lambda: house.containers.statistics().spares == 1)
        changed = await house.take(house.kind(limits=ContainerLimits(pids=99)))
        assert house.containers.statistics().taken_from_spare_total == 1
        other = await house.take(house.kind("other"))
        assert house.containers.statistics().taken_from_spare_total == 1
        for session in (first, changed, other):
            await session.end("seen")
        await house.containers.drop_spares()


async def lent_spare(house: ContainerHouse) -> ContainerSession:
    """A spare that was lent for a task that perhaps begins."""
    await house.containers.warm(house.kind())
    await until(lambda: house.containers.statistics().spares == 1)
    spare = await house.containers.take_spare(house.kind())
    assert spare is not None
    assert await house.containers.take_spare(house.kind()) is None, "one spare was lent twice"
    return spare


async def test_spare_that_was_lent_for_nothing_waits_again(agent_image: str) -> None:
    """Nobody counts it as at work, and the next task gets it and is done in it."""
    async with open_house(agent_image, spares=2, spare_delay_s=30.0) as house:
        spare = await lent_spare(house)
        house.containers.give_back(spare.door_id, house.kind())
        await until(lambda: house.containers.statistics().spares == 1)
        statistics = house.containers.statistics()
        assert (statistics.working, statistics.taken_from_spare_total, statistics.removing) == (0, 0, 0)
        session = await house.begin("answer('done')")
        assert session is spare
        result, _ = await follow(session)
        assert result is not None and result.text == "done"
        await session.end("done")


async def test_spare_that_died_while_it_was_lent_goes(agent_image: str) -> None:
    """Container, door and folder, as those of any other."""
    async with open_house(agent_image, spares=2, spare_delay_s=30.0) as house:
        spare = await lent_spare(house)
        await house.engine.kill(spare.container_id)
        await until(lambda: not spare.is_fit_spare)
        house.containers.give_back(spare.door_id, house.kind())
        await until(lambda: not spare.door.path.exists())
        assert house.containers.statistics().spares == 0
        assert await house.engine.list_containers(house.setup.home_id) == []


async def test_spare_whose_task_was_not_stored_goes(agent_image: str) -> None:
    """Its agent was handed a task ahead, under a lease that was never released: it is ended and everything is gone."""
    async with open_house(agent_image, spares=2, spare_delay_s=30.0) as house:
        spare = await lent_spare(house)
        lease = a_lease(spare.group_id)
        await spare.hand_over_ahead(lease, an_assignment("answer('done')", spare.group_id))
        assert house.proxy.leases[spare.door_id] == lease
        await spare.end("its task was not stored")
        await until(lambda: not spare.door.path.exists())
        assert (house.proxy.released, spare.door_id in house.proxy.doors) == ([], False)
        assert (house.containers.statistics().spares, house.containers.statistics().working) == (0, 0)


async def test_task_that_is_handed_over_ahead_is_done_once_released(agent_image: str) -> None:
    """It is sent once, and its lease is released once, when its start is stored."""
    async with open_house(agent_image, spares=2, spare_delay_s=30.0) as house:
        spare = await lent_spare(house)
        lease = a_lease(spare.group_id)
        assignment = an_assignment("answer('done')", spare.group_id)
        await spare.hand_over_ahead(lease, assignment)
        assert house.proxy.released == []
        await spare.release()
        assert await spare.hand_over(lease, assignment) is None
        assert house.proxy.released == [lease.attempt_id]
        result, _ = await follow(spare)
        assert result is not None and result.text == "done"
        await spare.end("done")


async def test_spare_of_a_kind_that_nobody_wants_any_more_is_not_lent(agent_image: str) -> None:
    """After a change of the group's settings it goes, and the task gets a fresh one."""
    async with open_house(agent_image, spares=2, spare_delay_s=30.0) as house:
        await house.containers.warm(house.kind())
        await until(lambda: house.containers.statistics().spares == 1)
        assert await house.containers.take_spare(house.kind(limits=ContainerLimits(pids=99))) is None
        await until(lambda: house.containers.statistics().removing == 0)
        assert house.containers.statistics().spares == 0


async def test_taker_joins_a_spare_that_is_half_started(agent_image: str) -> None:
    """Who asks while the group's spare is being started gets that one, not a second container."""
    async with open_house(agent_image, **SPARES) as house:
        await house.containers.warm(house.kind())
        await until(lambda: house.containers.statistics().starting == 1)
        session = await house.take()
        assert house.containers.statistics().started_total == 1
        await session.end("seen")


async def test_replaced_folder_makes_a_spare_useless(agent_image: str) -> None:
    """A workspace that was removed and made anew is another one: the spare that shows the old one is not taken."""
    async with open_house(agent_image, **SPARES) as house:
        await house.containers.warm(house.kind())
        await until(lambda: house.containers.statistics().spares == 1)
        inbox = house.setup.home.path / "groups/main/inbox"
        inbox.rename(inbox.with_name("old"))
        session = await house.take()
        assert house.containers.statistics().taken_from_spare_total == 0
        await session.end("seen")


async def test_dead_spare_is_not_handed_out(agent_image: str) -> None:
    """A spare whose container died meanwhile is replaced by a fresh container."""
    async with open_house(agent_image, **SPARES) as house:
        await house.containers.warm(house.kind())
        await until(lambda: house.containers.statistics().spares == 1)
        (spare,) = await house.engine.list_containers(house.setup.home_id)
        await house.engine.kill(spare.container_id)
        result, _ = await house.run("answer('alive')")
        assert result is not None
        assert result.text == "alive"


async def test_cancelled_take_leaves_nothing_behind(house: ContainerHouse) -> None:
    """Giving up while a container starts removes what was half made."""
    taking = asyncio.get_running_loop().create_task(house.containers.take(house.kind()))
    await until(lambda: house.containers.statistics().starting == 1)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await until(lambda: house.containers.statistics().removing == 0)
    assert await house.engine.list_containers(house.setup.home_id) == []
    assert list(house.setup.home.doors.iterdir()) == []


@pytest.mark.parametrize("is_made", [False, True])
async def test_host_that_ends_takes_a_half_started_spare_along(agent_image: str, is_made: bool) -> None:
    """When `run` has ended, a spare that the engine was making, or that had not said Hello, is gone."""
    with TemporaryDirectory(prefix="ny-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        setup = make_setup(Path(folder), **SPARES)
        assert setup.bundle is not None
        (setup.bundle / "__main__.py").write_text("import time; time.sleep(600)")
        async with open_house(agent_image, setup) as house:
            await house.containers.warm(house.kind())
            await until(lambda: house.containers.statistics().starting == 1)
            (door,) = setup.home.doors.iterdir()
            name = container_name(setup.home_id, DoorId(f"door_{door.name}"))
            state = None
            async with asyncio.timeout(10):
                while is_made and (state is None or not state.is_running):
                    state = await house.engine.inspect(name)
            proxy = house.proxy
        with closing(ContainerEngine()) as engine:
            assert await engine.list_containers(setup.home_id) == []
        assert list(setup.home.doors.iterdir()) == []
        assert proxy.doors == {}


async def test_restarted_host_takes_up_a_working_container(house: ContainerHouse) -> None:
    """A host that goes and comes again loses none of the frames of an agent that worked on meanwhile."""
    code = (
        COME_BACK
        + """
step(0)
assert receive()["seq"] == 1
wait_for_loss()
welcomed = come_back()
answer("stored", welcomed["stored_seq"])
step(1)
"""
    )
    session = await house.begin(code)
    event = await first_event(session)
    assert isinstance(event, StepTaken)
    await session.ack(event.seq)
    memory = session.memory
    house.known.add(memory.door_id)
    session.leave()
    async with open_house(house.image, house.setup) as next_house:
        next_house.known.add(memory.door_id)
        adopted = await next_house.containers.adopt(memory, GroupId("main"), a_lease(GroupId("main")))
        result, events = await follow(adopted)
        assert result is not None
        assert result.text == "stored 1"
        assert [event.seq for event in events if isinstance(event, (StepTaken, Finished))] == [2, 3]
        assert next_house.proxy.leases[memory.door_id]
        await adopted.end("done")


async def test_adopted_agent_gets_its_lease_from_a_proxy_that_comes_later(house: ContainerHouse) -> None:
    """Host and proxy ended together: the agent that works on has its door and lease when the proxy is back."""
    session = await house.begin(COME_BACK + "wait_for_loss(); come_back(); time.sleep(60)")
    memory = session.memory
    house.known.add(memory.door_id)
    session.leave()
    async with open_house(house.image, house.setup) as next_house:
        next_house.known.add(memory.door_id)
        next_house.proxy.away = 2
        adopted = await next_house.containers.adopt(memory, GroupId("main"), a_lease(GroupId("main")))
        await until(lambda: memory.door_id in next_house.proxy.leases)
        assert next_house.proxy.doors[memory.door_id] == adopted.door.proxy_socket
        await adopted.end("seen")


async def test_adopted_container_is_held_to_the_owners_disk_limit(house: ContainerHouse) -> None:
    """What a group's folders may hold is the owner's setting also for a container that an earlier host started."""
    code = (
        COME_BACK
        + """
with open("/workspace/large", "wb") as large:
    large.write(bytes(9 << 20))
    os.fsync(large.fileno())
step(0)
wait_for_loss()
come_back()
time.sleep(60)
"""
    )
    session = await house.begin(code)
    assert isinstance(await first_event(session), StepTaken)
    memory = session.memory
    house.known.add(memory.door_id)
    session.leave()
    async with open_house(house.image, replace(house.setup, disk_bytes=8 << 20)) as next_house:
        next_house.known.add(memory.door_id)
        adopted = await next_house.containers.adopt(memory, GroupId("main"))
        async with asyncio.timeout(20):
            async for event in adopted.events():
                if isinstance(event, AgentMisbehaved):
                    assert event.code == "disk_full"
                    break
        await adopted.end("full")


async def test_restarted_host_reads_the_last_word_of_a_dead_container(house: ContainerHouse) -> None:
    """What an agent could not say to an absent host it leaves behind, and the next host hears it as events."""
    code = (
        COME_BACK
        + """
step(0)
assert receive()["seq"] == 1
wait_for_loss()
last = frame("hello", protocol="1.0", agent_version="scripted", nonce=welcome["nonce"])
last += frame("step_taken", seq=1, step={"index": 0, "kind": "model_turn", "entry": {"role": "assistant"}})
last += frame("finished", seq=2, result={"status": "reply", "text": "told later"})
open("/run/yard/out/last.frames", "wb").write(last)
os._exit(0)
"""
    )
    session = await house.begin(code)
    event = await first_event(session)
    assert isinstance(event, StepTaken)
    await session.ack(event.seq)
    memory, name = session.memory, session.container_id
    house.known.add(memory.door_id)
    session.leave()
    assert await house.engine.wait_for_end(name, 10)
    async with open_house(house.image, house.setup) as next_house:
        next_house.known.add(memory.door_id)
        adopted = await next_house.containers.adopt(memory, GroupId("main"))
        result, events = await follow(adopted)
        assert result is not None
        assert result.text == "told later"
        assert len([event for event in events if isinstance(event, StepTaken)]) == 0
        await adopted.end("done")


async def test_container_that_is_gone_ends_at_once(house: ContainerHouse) -> None:
    """Taking up a container that the engine does not know gives one event: its end."""
    memory = LinkMemory(door_id=DoorId(mint("door")), nonce_hash="0" * 64)
    adopted = await house.containers.adopt(memory, GroupId("main"))
    _, events = await follow(adopted)
    assert events == [ContainerEnded(exit_code=None, out_of_memory=False, stderr_tail="")]
    await adopted.end("gone")


async def test_adopted_agent_without_a_task_is_told(house: ContainerHouse) -> None:
    """An agent whose host died before the hand-over says that it waits; its new owner hears that."""
    code = COME_BACK + 'wait_for_loss(); come_back(); send("heartbeat", doing="waiting", for_s=1.0); time.sleep(60)'
    code = code.replace("def come_back", "beat = None\ndef come_back")
    session = await house.begin("welcome['heartbeat_s'] = 3600\n" + code)
    await until(lambda: session.doing is not None)
    memory = session.memory
    house.known.add(memory.door_id)
    session.leave()
    async with open_house(house.image, house.setup) as next_house:
        next_house.known.add(memory.door_id)
        adopted = await next_house.containers.adopt(memory, GroupId("main"))
        assert [type(await first_event(adopted)) for _ in range(2)] == [AgentBack, AgentUnassigned]
        await adopted.end("unassigned")


async def test_stranger_without_the_nonce_cannot_take_a_lost_agents_place(house: ContainerHouse) -> None:
    """After the agent's connection is lost, only the nonce opens the link again."""
    code = (
        COME_BACK
        + """
link.shutdown(socket.SHUT_RDWR)
time.sleep(0.3)
good, welcome["nonce"] = welcome["nonce"], "0" * 32
stranger = socket.socket(socket.AF_UNIX)
stranger.connect("/run/yard/host.sock")
stranger.sendall(frame("hello", protocol="1.0", agent_version="x", nonce="0" * 32))
answer("stranger heard", stranger.recv(100))
welcome["nonce"] = good
answer("agent heard", come_back()["type"])
"""
    )
    # The heartbeat thread dies with its connection; the test is about the one that comes back.
    result, _ = await house.run("threading.excepthook = lambda *_: None\n" + code)
    assert result is not None
    assert result.text.splitlines() == ["stranger heard b''", "agent heard welcome"]


async def test_silent_agent_is_told_and_ended(agent_image: str) -> None:
    """An agent that stops (here: is frozen by a signal) is told as silent; ending it takes all processes along."""
    limits = LinkLimits(heartbeat_s=0.1, silence_s=1.0)
    async with open_house(agent_image, link=limits) as house:
        session = await house.begin("import signal; os.kill(os.getpid(), signal.SIGSTOP)")
        assert isinstance(await first_event(session), AgentSilent)
        await session.end("silent")
        state = await house.engine.inspect(session.container_id)
        assert state is None or not state.is_running


async def test_file_arrives_under_a_name_of_the_host(house: ContainerHouse) -> None:
    """A file comes in chunks into the host's outbox; the agent's name for it is shown and never a path."""
    code = """
import base64
body = bytes(range(256)) * 2000
send("file_offer", call_id="call_1", name="../../x", size=len(body), caption="look")
accepted = receive()
for start in range(0, len(body), 200000):
    part = base64.b64encode(body[start:start + 200000]).decode()
    send("file_chunk", file_id=accepted["file_id"], data=part, last=start + 200000 >= len(body))
answer(receive()["type"])
send("file_offer", call_id="call_1", name="../../x", size=len(body), caption="look")
answer(receive()["type"], receive()["type"])
send("file_offer", call_id="call_2", name="huge", size=1 << 40)
answer(receive()["type"])
"""
    session = await house.begin(code)
    result = None
    async for event in session.events():
        if isinstance(event, FileArrived):
            assert event.path == house.setup.home.path / "groups/main/outbox" / event.file_id
            assert event.path.read_bytes() == bytes(range(256)) * 2000
            assert (event.name, event.size, event.caption) == ("../../x", 512_000, "look")
            await session.file_stored(event.file_id)
        if isinstance(event, Finished):
            result = event.result
            await session.ack(event.seq)
    assert result is not None
    assert result.text.splitlines() == ["file_stored", "file_accepted file_stored", "file_refused"]
    assert session.memory.stored_files.keys() == {"call_1"}
    await session.end("done")


async def test_reaper_removes_what_nobody_knows_and_spares_the_known(house: ContainerHouse) -> None:
    """Of the containers that a killed host left, those of open attempts stay and the others go, folders included."""
    known = await house.begin("time.sleep(60)")
    lost = await house.begin("time.sleep(60)")
    house.known.add(known.door_id)
    known.leave()
    lost.leave()
    stale = house.setup.home.doors / "stalestalestale0"
    (stale / "out").mkdir(parents=True)
    async with open_house(house.image, house.setup) as next_house:
        next_house.known.add(known.door_id)
        await until(lambda: not lost.door.path.exists() and not stale.exists())
        left = await next_house.engine.list_containers(house.setup.home_id)
        assert [container.door_id for container in left] == [known.door_id]
        adopted = await next_house.containers.adopt(known.memory, GroupId("main"))
        await adopted.end("seen")


async def test_a_tool_finds_a_placeholder_and_a_spare_with_other_ones_goes_unused(agent_image: str) -> None:
    """What stands for the group's keys is in the container's environment; with other grants it is another container."""
    told: dict[GroupId, tuple[tuple[str, str], ...]] = {GroupId("main"): (("GITHUB_TOKEN", "ghp_one"),)}

    async def placeholders(group_id: GroupId) -> tuple[tuple[str, str], ...]:
        return told.get(group_id, ())

    async with open_house(agent_image, placeholders=placeholders, **SPARES) as house:
        await house.containers.warm(house.kind())
        await until(lambda: house.containers.statistics().spares == 1)
        told[GroupId("main")] = (("GITHUB_TOKEN", "ghp_two"), ("OTHER", "x"))
        session = await house.begin("import os; answer(os.environ['GITHUB_TOKEN'], os.environ['OTHER'])")
        result, _ = await follow(session)
        assert result is not None
        assert result.text == "ghp_two x"
        assert house.containers.statistics().taken_from_spare_total == 0
        await session.end("done")


async def test_missing_image_and_absent_engine_are_told_with_a_mend(house: ContainerHouse, tmp_path: Path) -> None:
    """A container that cannot start is a value with a code and what to do."""
    refused = await house.containers.take(house.kind(image="nightyard-agent:never-built"))
    assert isinstance(refused, CannotStart)
    assert (refused.code, refused.mend) == ("image_missing", "./nightyard up")
    setup = make_setup(tmp_path)
    engine = ContainerEngine((f"unix://{tmp_path}/nobody.sock",))
    containers = Containers(setup, engine, RememberingProxy(), known_doors=nobody_known)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(containers.run())
        refused = await containers.take(house.kind())
        running.cancel()
    engine.close()
    assert isinstance(refused, CannotStart)
    assert refused.code == "engine_away"
    assert "nobody.sock" in refused.message


async def test_agent_that_dies_at_once_is_told_with_its_last_line(agent_image: str) -> None:
    """An agent that crashes before its Hello gives `agent_did_not_start`, soon, with what it said."""
    async with open_house(agent_image) as house:
        bundle = house.setup.bundle
        assert bundle is not None
        words = "Traceback\\nImportError: no such thing"
        crash = f"open('/run/yard/out/stderr.txt', 'w').write('{words}')\nraise SystemExit(70)"
        (bundle / "__main__.py").write_text(crash)
        began = time.monotonic()
        refused = await house.containers.take(house.kind())
        assert isinstance(refused, CannotStart)
        assert refused.code == "agent_did_not_start"
        assert "exit code 70" in refused.message
        assert "ImportError: no such thing" in refused.message
        assert time.monotonic() - began < 20


async def test_no_room_on_the_machine_is_told(agent_image: str) -> None:
    """Below the floors of free disk no container starts."""
    async with open_house(agent_image, free_disk_floor_mb=1 << 40) as house:
        refused = await house.containers.take(house.kind())
        assert isinstance(refused, CannotStart)
        assert refused.code == "disk_floor"


async def test_deep_folders_of_an_agent_are_measured_and_removed(house: ContainerHouse) -> None:
    """An agent that nests folders deeper than any walk goes is ended, and its door still goes."""
    code = """
os.chdir("/run/yard/out")
for _ in range(1200):
    os.mkdir("d")
    os.chdir("d")
answer("dug")
"""
    session = await house.begin(code)
    folder = session.door.path
    result, _ = await follow(session)
    assert result is not None
    assert result.text == "dug"
    await session.end("dug")
    await until(lambda: not folder.exists())


async def test_real_agent_code_is_bundled_and_says_hello(agent_image: str) -> None:
    """The repository's own agent, copied and compiled by the image's Python, starts and waits for its task."""
    async with open_house(agent_image, bundle=None) as house:
        session = await house.take()
        (bundle,) = [path for path in house.setup.home.agent_bundles.iterdir() if path.name != "scripted"]
        assert list((bundle / "agents" / "__pycache__").glob("main.cpython-*.pyc"))
        assert session.is_fit_spare
        await session.end("seen")


async def test_agent_code_is_compiled_before_anybody_asks(agent_image: str) -> None:
    """A host that starts has the agent's code ready for its image, with no task in sight."""
    async with open_house(agent_image, bundle=None, image=agent_image) as house:
        bundles = house.setup.home.agent_bundles
        await until(lambda: any(not path.name.startswith((".", "scripted")) for path in bundles.iterdir()))
        assert house.containers.statistics().started_total == 0


async def test_an_image_that_is_missing_is_told_when_it_is_needed(agent_image: str) -> None:
    """The host's start is not held up by it."""
    async with open_house(agent_image, bundle=None, image="nightyard-agent:none") as house:
        refused = await house.containers.take(house.kind(image="nightyard-agent:none"))
        assert isinstance(refused, CannotStart)
        assert refused.code == "image_missing"


async def test_a_compiler_that_was_killed_is_started_again(agent_image: str) -> None:
    """A kill says nothing about the code: no task fails because the compiling container died."""
    async with open_house(agent_image, bundle=None) as house, asyncio.TaskGroup() as group:
        taking = group.create_task(house.take())
        async with asyncio.timeout(30):
            compiling = ""
            while not compiling:
                found = await house.engine.list_containers(house.setup.home_id)
                compiling = next((each.container_id for each in found if each.is_running), "")
        await house.engine.kill(compiling)
        await (await taking).end("seen")
        assert len([path for path in house.setup.home.agent_bundles.iterdir() if path.name != "scripted"]) == 1


async def test_slow_engine_is_waited_for(house: ContainerHouse) -> None:
    """Twenty groups at once take their time and all get their containers: not yet made is not ended."""
    taking = [house.containers.take(house.kind(f"group-{number}")) for number in range(20)]
    taken = await asyncio.gather(*taking)
    sessions = [session for session in taken if not isinstance(session, CannotStart)]
    assert len(sessions) == 20, taken
    assert all(session.is_fit_spare for session in sessions)
    async with asyncio.TaskGroup() as group:
        for session in sessions:
            group.create_task(session.end("seen"))
