"""Many messages over 50 chats at the doors of channel, intake and outbox: none is lost, none is out of order, and the
only doubles are the platform's. What is counted is in README.md."""

from __future__ import annotations

import os
import shutil
from collections import Counter

import pytest

from tests.chaos.doors import ALIVE_S, CHATS, LONG_ALIVE_S, check_doors, check_locked, open_doors
from tests.chaos.judge import Judge
from tests.chaos.killers import rage
from tests.chaos.weather import can_compile, sky, small_disk
from tests.chaos.world import EFFECT_SHARE, World, open_world

CI_SEED, CI_MESSAGES = 171, 1_500
LOCKED_SEED, LOCKED_TIMES = 181, 2
CONTAINER_SEED, CONTAINER_MESSAGES, CONTAINER_KILLS = 173, 60, 4
LONG_SEED = int(os.environ.get("NIGHTYARD_DOORS_SEED", "5000"))
LONG_MESSAGES = int(os.environ.get("NIGHTYARD_DOORS_MESSAGES", "100000"))
"""The long mode can be run in pieces: other seeds, each with a part of the messages."""
LONG_CONTAINER_SEED = int(os.environ.get("NIGHTYARD_DOORS_CONTAINER_SEED", "5100"))
LONG_CONTAINER_MESSAGES = int(os.environ.get("NIGHTYARD_DOORS_CONTAINER_MESSAGES", "500"))
LONG_CONTAINER_KILLS = max(1, LONG_CONTAINER_MESSAGES * 60 // 500)
AT_ONCE = 10
CI_DISK_MB, LONG_DISK_MB = 96, 1500
RUN_TIMEOUT_S, LONG_TIMEOUT_S = 600, 5400

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(RUN_TIMEOUT_S)]


@pytest.fixture
def needed() -> None:
    if os.geteuid() != 0 or not can_compile():
        pytest.skip("a disk is mounted and a shim compiled here: run the tests as root, with gcc installed")


async def check(seed: int, messages: int, disk_mb: int, judge: Judge, alive_s: tuple[float, float] = ALIVE_S) -> None:
    with sky() as own_sky, small_disk(disk_mb) as disk:
        async with open_doors(seed, own_sky, disk, alive_s) as doors:
            try:
                tally = await check_doors(doors, messages)
                judge.tell(f"doors, seed {seed}: {tally.line()}")
                (judge.evidence / "tally").write_text("\n".join(tally.faults), "utf-8")
            finally:
                for file in (*disk.glob("*.log"), *doors.home.glob("*.db*")):
                    shutil.copy(file, judge.evidence)
            assert not tally.faults, f"see {judge.evidence}"
            assert tally.typed >= messages
            assert not tally.kills["ended by itself"], f"the host ended without being killed: see {judge.evidence}"


async def test_many_messages_pass_the_doors_once_and_in_order(needed: None, judge: Judge) -> None:
    """A host without containers is killed, and has its disk, store, clock and network taken, while 50 chats talk."""
    await check(CI_SEED, CI_MESSAGES, CI_DISK_MB, judge)


async def test_a_store_that_stays_locked_is_waited_for_at_every_door(needed: None, judge: Judge) -> None:
    """Another program writes into the store for longer than the store's own patience, while updates come in, tasks end
    and answers are delivered: the host lives on, and all have their answer."""
    with sky() as own_sky, small_disk(CI_DISK_MB) as disk:
        async with open_doors(LOCKED_SEED, own_sky, disk) as doors:
            tally = await check_locked(doors, LOCKED_TIMES)
            judge.tell(f"locked doors, seed {LOCKED_SEED}: {tally.line()}")
            assert not tally.faults, tally.faults
            assert not tally.kills["ended by itself"], "the host ended by itself"


@pytest.mark.engine
async def test_fifty_chats_with_containers(agent_image: str, judge: Judge) -> None:
    """Fifty agents, each in a container of its own, all talked to at once and killed as everything else is."""
    await check_containers(CONTAINER_SEED, CONTAINER_MESSAGES, CONTAINER_KILLS, judge)


async def check_containers(seed: int, messages: int, kills: int, judge: Judge) -> None:
    async with open_world(seed, chats=CHATS) as world:
        tally = await judge.judge(f"containers, seed {seed}", world, rage_over_all(world, messages, kills))
        assert tally.typed >= messages


async def rage_over_all(world: World, messages: int, kills: int) -> Counter[str]:
    """Have everybody talk, and kill that often and until so many messages are typed; return what died."""
    for person in range(world.chats):
        await world.type_as(person, "e" if world.random.random() < EFFECT_SHARE else "")
    killed = await rage(world, kills)
    while world.typed_count.total() < messages:
        for _ in range(AT_ONCE):
            await world.type_something()
        killed += await rage(world, 1)
    return killed


@pytest.mark.long
@pytest.mark.timeout(LONG_TIMEOUT_S)
async def test_a_hundred_thousand_messages_pass_the_doors(needed: None, judge: Judge) -> None:
    """The same, a hundred thousand of them (or what NIGHTYARD_DOORS_MESSAGES says)."""
    await check(LONG_SEED, LONG_MESSAGES, LONG_DISK_MB, judge, LONG_ALIVE_S)


@pytest.mark.long
@pytest.mark.engine
@pytest.mark.timeout(LONG_TIMEOUT_S)
async def test_five_hundred_messages_over_fifty_chats_with_containers(agent_image: str, judge: Judge) -> None:
    """The same, five hundred of them."""
    await check_containers(LONG_CONTAINER_SEED, LONG_CONTAINER_MESSAGES, LONG_CONTAINER_KILLS, judge)
