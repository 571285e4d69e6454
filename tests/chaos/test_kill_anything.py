"""Processes, their supervisor, containers and the engine are killed at any moment of the path; nothing is lost,
reordered, doubled, or repeated in silence. What is counted, and the last long run, is in README.md."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from client.processes import started_for
from tests.chaos.engine import PrivateEngine, private_engine
from tests.chaos.judge import Judge
from tests.chaos.killers import KILLERS, WITH_SUPERVISOR, rage
from tests.chaos.people import LOOK_EVERY_S, wait_until
from tests.chaos.records import ask_store
from tests.chaos.world import World, open_world

CI_SEEDS = (11, 23)
CI_KILLS = 28
TERMINAL_SEED = 71
TERMINAL_KILLS = 22
SUPERVISOR_SEED, SUPERVISOR_KILLS, SUPERVISOR_DEATHS = 61, 10, 4
ENGINE_SEEDS = {True: 83, False: 97}
ENGINE_KILLS = 3
"""Of the engine itself, with live-restore and again without; the others die meanwhile."""
TWENTY_SEED, AGENTS = 211, 20
START_TIMEOUT_S = 60.0
LONG_SEEDS = tuple(range(1000, 1034))
LONG_TERMINAL_SEEDS = tuple(range(2000, 2008))
LONG_ENGINE_SEEDS = tuple(range(3000, 3005))
LONG_SUPERVISOR_SEEDS, LONG_SUPERVISOR_DEATHS = tuple(range(3500, 3504)), 10
LONG_KILLS = 25
LONG_ENGINE_KILLS = 6
RUN_TIMEOUT_S = 900

pytestmark = [pytest.mark.engine, pytest.mark.chaos, pytest.mark.timeout(RUN_TIMEOUT_S)]


@pytest.fixture(scope="module")
def own_engine(agent_image: str) -> Iterator[PrivateEngine]:
    """An engine to be killed, with the agent image."""
    if os.geteuid() != 0:
        pytest.skip("an engine of the tests' own needs root: run the tests as root to see it killed")
    with private_engine(agent_image, keeps_containers=True) as engine:
        yield engine


@pytest.mark.parametrize("seed", CI_SEEDS)
async def test_every_message_has_its_one_end_whatever_is_killed(seed: int, agent_image: str, judge: Judge) -> None:
    """With host, proxy and containers killed at random moments, each message is answered once, in order, or the
    person is told why not, and no call that changes something outside is made twice in silence."""
    await judge.check_a_run(seed, CI_KILLS)


async def test_what_a_terminal_was_told_is_accepted_is_answered_once(agent_image: str, judge: Judge) -> None:
    """People at terminals come back when the host went; what was accepted is answered once, in order, and what was
    answered while they were away is shown when they look again."""
    await judge.check_a_run(TERMINAL_SEED, TERMINAL_KILLS, on="terminal")


@pytest.mark.parametrize("keeps_containers", [True, False], ids=["live-restore", "no-live-restore"])
async def test_the_engine_may_die_too(keeps_containers: bool, own_engine: PrivateEngine, judge: Judge) -> None:
    """The same holds with the engine killed and started again, whether its containers outlive it or not."""
    seed = ENGINE_SEEDS[keeps_containers]
    await judge.check_engine_kills(seed, own_engine, ENGINE_KILLS, keeps_containers=keeps_containers)


async def test_the_supervisor_may_die_too(agent_image: str, judge: Judge) -> None:
    """With nobody there to start again what dies, and then a new supervisor, all of the above holds, and at no moment
    has the home two hosts or two proxies."""
    await check_supervisor_kills(SUPERVISOR_SEED, SUPERVISOR_KILLS, SUPERVISOR_DEATHS, judge)


async def check_supervisor_kills(seed: int, kills: int, deaths: int, judge: Judge) -> None:
    async with open_world(seed) as world:
        raging = rage(world, kills, WITH_SUPERVISOR, until={"supervisor": deaths})
        watching = world.meanwhile.create_task(most_at_once(world))
        try:
            await judge.judge(f"supervisor, seed {seed}", world, raging)
        finally:
            watching.cancel()
        assert await watching == {"host": 1, "credproxy": 1}


async def most_at_once(world: World) -> Mapping[str, int]:
    """Count the processes of each name until cancelled; return the most that were seen at once."""
    most = dict.fromkeys(("host", "credproxy"), 0)
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            for name, before in most.items():
                most[name] = max(before, len(started_for(world.home, name)))
            await asyncio.sleep(LOOK_EVERY_S)
    return most


async def test_twenty_agents_at_work_live_through_the_hosts_death(agent_image: str, judge: Judge) -> None:
    """All are taken up again by the next host, and answer from the container that they were in."""
    async with open_world(TWENTY_SEED, chats=AGENTS) as world:
        await judge.judge(f"{AGENTS} agents, seed {TWENTY_SEED}", world, kill_host_under_all(world))
        attempts = ask_store(world.home, "SELECT attempts FROM v_tasks")
        assert attempts == [(1,)] * AGENTS


async def kill_host_under_all(world: World) -> Counter[str]:
    """Have everybody ask for a long answer, and kill the host once all work."""
    for person in range(world.chats):
        await world.type_as(person, "e", "long")
    await wait_until(lambda: len(world.working_doors()) == world.chats and has_calls(world), START_TIMEOUT_S)
    return Counter(host=int(await KILLERS["host"](world)))


def has_calls(world: World) -> bool:
    """Return whether each agent has had its call made: what follows is the wait for its answer."""
    return world.effects.done.total() == world.chats


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_a_thousand_kills(seed: int, agent_image: str, judge: Judge) -> None:
    """The same on Telegram; with the two below a thousand kills and more."""
    await judge.check_a_run(seed, LONG_KILLS)


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_TERMINAL_SEEDS)
async def test_two_hundred_kills_under_terminals(seed: int, agent_image: str, judge: Judge) -> None:
    """The same at terminals."""
    await judge.check_a_run(seed, LONG_KILLS, on="terminal")


@pytest.mark.long
@pytest.mark.parametrize("keeps_containers", [True, False], ids=["live-restore", "no-live-restore"])
@pytest.mark.parametrize("seed", LONG_ENGINE_SEEDS)
async def test_sixty_kills_of_the_engine(
    seed: int, keeps_containers: bool, own_engine: PrivateEngine, judge: Judge
) -> None:
    """The same with the engine killed sixty times."""
    await judge.check_engine_kills(seed, own_engine, LONG_ENGINE_KILLS, keeps_containers=keeps_containers)


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SUPERVISOR_SEEDS)
async def test_forty_kills_of_the_supervisor(seed: int, agent_image: str, judge: Judge) -> None:
    """The same with the supervisor killed forty times."""
    await check_supervisor_kills(seed, LONG_KILLS, LONG_SUPERVISOR_DEATHS, judge)
