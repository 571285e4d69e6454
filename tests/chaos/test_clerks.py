"""A program, a schedule, owners who decide and a purse that empties, while host, proxy and containers are killed: each
key is one task, each due time one run, nothing is decided twice, and no purse pays for more than it holds."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.clerks import Clerks
from tests.chaos.judge import Judge, keep_home
from tests.chaos.weather import can_compile, sky
from tests.chaos.world import open_world

CI_SEED, CI_KILLS, CI_JOBS, CI_ACTS = 191, 14, 12, 5
LONG_SEEDS, LONG_KILLS, LONG_JOBS, LONG_ACTS = tuple(range(6000, 6008)), 60, 60, 18
RUN_TIMEOUT_S = 900

pytestmark = [pytest.mark.engine, pytest.mark.chaos, pytest.mark.timeout(RUN_TIMEOUT_S)]


async def check(seed: int, kills: int, jobs: int, acts: int, judge: Judge) -> None:
    if not can_compile():
        pytest.skip("what sets the clock is compiled here: install gcc to see it")
    with sky() as own_sky:
        async with open_world(seed, sky=own_sky) as world:
            clerks = Clerks(world=world, jobs=jobs, acts=acts)
            await clerks.open()
            killed: Counter[str] = Counter()
            is_done = False
            try:
                killed = await clerks.work(kills)
                is_done = True
            finally:
                faults = clerks.faults()
                judge.tell(f"clerks, seed {seed}: {clerks.line(killed)}")
                if faults or not is_done:
                    keep_home(world, judge.evidence)
            assert not faults, f"{faults}; see {judge.evidence}"
            assert clerks.minutes
            assert world.effects.done


async def test_work_that_nobody_types_is_done_once(agent_image: str, judge: Judge) -> None:
    """Keys, due times, decisions and purses keep their word whatever is killed."""
    await check(CI_SEED, CI_KILLS, CI_JOBS, CI_ACTS, judge)


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_work_that_nobody_types_for_long(seed: int, agent_image: str, judge: Judge) -> None:
    """The same, longer."""
    await check(seed, LONG_KILLS, LONG_JOBS, LONG_ACTS, judge)
