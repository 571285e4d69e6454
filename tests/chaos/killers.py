"""What dies in a chaos test: processes, their supervisor, containers, the engine, two at once; and a host that is held
still for a while.

Each is counted only when something that lived was hit.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import time
import urllib.parse
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from client.processes import is_running, read_state
from tests.chaos.engine import ask_engine
from tests.chaos.people import LOOK_EVERY_S
from tests.chaos.world import World

BETWEEN_S = (0.05, 0.9)
TWO_AT_ONCE = 0.2
"""Of the moments, in how many two things die."""
AT_WORK = 0.8
CONTAINER_WAIT_S = 1.5
"""Behind dead hosts there is often none just now: one that begins to work is waited for, or few would die."""
HELD_STILL = 0.1
HELD_STILL_S = 2.0
ENGINE_AWAY_S = (0.0, 2.5)
SUPERVISOR_AWAY_S = (0.0, 1.5)

Killer = Callable[[World], Awaitable[bool]]


def kill_process(name: str) -> Killer:
    """Return what kills a supervised process; False if it was dead already."""

    async def kill(world: World) -> bool:
        pid = living_process(world, name)
        if not pid:
            return False
        os.kill(pid, signal.SIGKILL)
        world.killed_pids.add(pid)
        return True

    return kill


def living_process(world: World, name: str) -> int:
    """Return the pid of a supervised process that lives and was not killed before, else 0."""
    state = read_state(world.running.home)
    noted = state.process(name) if state else None
    if noted is None or noted.pid in world.killed_pids or not is_running(noted.pid, noted.started):
        return 0
    return noted.pid


async def kill_container(world: World) -> bool:
    """Kill one running agent, whatever it does; False if none comes up for a while."""
    deadline = time.monotonic() + CONTAINER_WAIT_S
    while not await asyncio.to_thread(_kill_some_container, world):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_EVERY_S)
    return True


def _kill_some_container(world: World) -> bool:
    home_id = (world.running.home / "home_id").read_text("utf-8").strip()
    filters = urllib.parse.quote(json.dumps({"label": [f"nightyard.home={home_id}"]}))
    address = world.engine_address
    try:
        running = ask_engine(address, "GET", f"/containers/json?filters={filters}")
        doors = world.working_doors()
        working = [each for each in running if each["Labels"].get("nightyard.door") in doors]
        # A spare's death shows little: mostly one at work is taken, if there is any.
        chosen = working if working and world.random.random() < AT_WORK else running
        if not chosen:
            return False
        ask_engine(address, "POST", f"/containers/{world.random.choice(chosen)['Id']}/kill")
    except (OSError, http.client.HTTPException):
        return False  # it ended by itself in that moment, or the engine is away
    return True


async def kill_engine(world: World) -> bool:
    """Kill the private engine, and start it again some time later."""
    engine = world.engine
    if engine is None or not engine.is_running:
        return False
    away_s = world.random.uniform(*ENGINE_AWAY_S)
    engine.kill()

    async def start_again() -> None:
        await asyncio.sleep(away_s)
        await asyncio.to_thread(engine.start)

    world.meanwhile.create_task(start_again())
    return True


async def kill_supervisor(world: World) -> bool:
    """Kill the supervisor alone, and have somebody start another some time later: what it left goes on meanwhile, or
    dies and is started by nobody."""
    supervisor = world.running.supervisor
    if supervisor.poll() is not None:
        return False
    away_s = world.random.uniform(*SUPERVISOR_AWAY_S)
    supervisor.kill()
    await asyncio.to_thread(supervisor.wait)

    async def start_again() -> None:
        await asyncio.sleep(away_s)
        world.running.start_supervisor()

    world.meanwhile.create_task(start_again())
    return True


async def hold_still(world: World) -> bool:
    """Stop the host in its tracks and let it go on 2 s later."""
    pid = living_process(world, "host")
    if not pid:
        return False
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(HELD_STILL_S)
    if living_process(world, "host") == pid:
        os.kill(pid, signal.SIGCONT)
    return True


KILLERS: Mapping[str, Killer] = {
    "host": kill_process("host"),
    "credproxy": kill_process("credproxy"),
    "container": kill_container,
}
WITH_ENGINE: Mapping[str, Killer] = {**KILLERS, "engine": kill_engine}
WITH_SUPERVISOR: Mapping[str, Killer] = {**KILLERS, "supervisor": kill_supervisor}


async def rage(
    world: World, kills: int, killers: Mapping[str, Killer] = KILLERS, *, until: Mapping[str, int] | None = None
) -> Counter[str]:
    """Kill that often while people type; return what was killed. `until`: so many of these at least, too."""
    killed: Counter[str] = Counter()
    held = 0
    chance, names = world.random, list(killers)

    def is_enough() -> bool:
        return killed.total() >= kills and all(killed[name] >= least for name, least in (until or {}).items())

    while not is_enough():
        for _ in range(chance.randrange(3)):
            await world.type_something()
        await asyncio.sleep(chance.uniform(*BETWEEN_S))
        if chance.random() < HELD_STILL:
            held += await hold_still(world)
            continue
        at_once = chance.sample(names, 2 if chance.random() < TWO_AT_ONCE else 1)
        hits = await asyncio.gather(*(killers[name](world) for name in at_once))
        killed.update(name for name, is_hit in zip(at_once, hits, strict=True) if is_hit)
    world.held_still = held
    return killed
