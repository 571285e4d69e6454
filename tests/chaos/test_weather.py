"""The disk is full or slow, the store is locked, the clock is set, the network or the provider goes: messages wait, and
have their one end. What is counted is in README.md."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.judge import Judge
from tests.chaos.oracle import MESSAGE_ID, read_event
from tests.chaos.people import TelegramPeople, wait_until
from tests.chaos.weather import WEATHERS, Sky, can_compile, lighten, sky, small_disk, storm
from tests.chaos.world import World, open_world

CI_SEED, CI_ROUNDS = 131, 1
LONG_SEEDS, LONG_ROUNDS = tuple(range(4000, 4010)), 5
DARK_SEED = 151
TOLD_TIMEOUT_S = 90.0
DARK = (
    {"kind": "reset", "times": 1_000_000},
    {"kind": "status", "times": 1_000_000, "status": 503, "retry_after": "3600"},
)
"""Nobody answers, until an agent's tries have run out; and a service that says it will be away for an hour."""
HOUR_S, ASKED_FOR = 3600, "60 min"
RUN_TIMEOUT_S = 900

pytestmark = [pytest.mark.engine, pytest.mark.chaos, pytest.mark.timeout(RUN_TIMEOUT_S)]


@pytest.fixture
def own_sky() -> Iterator[Sky]:
    if not can_compile():
        pytest.skip("what slows the disk and sets the clock is compiled here: install gcc to see it")
    with sky() as made:
        yield made


@pytest.fixture
def own_disk() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("a disk of the tests' own is mounted: run the tests as root to see it full")
    with small_disk() as made:
        yield made


async def check_a_storm(seed: int, rounds: int, judge: Judge, own_sky: Sky, own_disk: Path) -> None:
    async with open_world(seed, sky=own_sky, disk=own_disk) as world:
        tally = await judge.judge(f"weather, seed {seed}", world, storm(world, rounds))
        assert all(tally.kills[name] == rounds for name in WEATHERS)


async def test_weather_delays_and_loses_nothing(agent_image: str, judge: Judge, own_sky: Sky, own_disk: Path) -> None:
    """Through a full disk, a slow one, a locked store, set clocks, a network and a provider that go, with deaths in
    between, each message is answered once, in order, or the person is told why not."""
    await check_a_storm(CI_SEED, CI_ROUNDS, judge, own_sky, own_disk)


async def test_a_provider_that_is_dark_for_an_hour_is_told_and_then_asked_again(
    agent_image: str, judge: Judge, own_sky: Sky
) -> None:
    """When tries run out, and when an hour later the service asks for one hour more, each person reads that it failed
    and why; in the light it works, and who says /retry has the answers to what failed, each once."""
    async with open_world(DARK_SEED, sky=own_sky) as world:
        tally = await judge.judge(f"dark provider, seed {DARK_SEED}", world, go_dark(world, own_sky))
        assert tally.told_failures == len(DARK) * world.chats
        for person in range(world.chats):
            texts = [each.text for each in world.people.seen(person)]
            assert any(ASKED_FOR in text for text in texts), "\n".join(texts)
        await retry_all(world)


async def go_dark(world: World, own_sky: Sky) -> Counter[str]:
    """Have everybody type in the dark, each time until all are told, with an hour in between; then once more in the
    light."""
    for number, fault in enumerate(DARK, 1):
        await lighten(world)  # of what was before: the twin has its faults one after the other
        await asyncio.to_thread(world.running.twin, "POST", "/twin/fault", fault)
        for person in range(world.chats):
            await world.type_as(person)
        await wait_until(partial(all_are_told, world, number), TOLD_TIMEOUT_S)
        own_sky.set(clock_ahead_s=number * HOUR_S)
    await lighten(world)
    for person in range(world.chats):
        await world.type_as(person, effect="e")
    return Counter({"provider dark": len(DARK)})


def all_are_told(world: World, failures: int) -> bool:
    """Return whether each person was told so many failures."""
    seen = [[read_event(each.text) for each in world.people.seen(person)] for person in range(world.chats)]
    return all(events.count(("failed",)) == failures for events in seen)


async def retry_all(world: World) -> None:
    """Have everybody try again what failed, one after the other, and see each answer come once."""
    people = world.people
    assert isinstance(people, TelegramPeople)
    for number in range(1, 1 + len(DARK)):
        for person in range(world.chats):
            await people.command(person, "/retry")
        await wait_until(partial(all_are_answered, world, number), TOLD_TIMEOUT_S)
    await world.settle()
    for person in range(world.chats):
        typed = [each.message_id for each in people.typed(person)]
        assert sorted(answers(world, person)) == sorted(typed)


def all_are_answered(world: World, retried: int) -> bool:
    """Return whether each person has the answer to what was typed in the light, and to so many others."""
    return all(len(answers(world, person)) == 1 + retried for person in range(world.chats))


def answers(world: World, person: int) -> list[str]:
    """Return the ids in what a person was answered."""
    return [each for seen in world.people.seen(person) for each in MESSAGE_ID.findall(seen.text)]


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_weather_for_long(seed: int, agent_image: str, judge: Judge, own_sky: Sky, own_disk: Path) -> None:
    """The same, five times of each."""
    await check_a_storm(seed, LONG_ROUNDS, judge, own_sky, own_disk)
