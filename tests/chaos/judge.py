"""Runs a world through what befalls it, tells the count, keeps what explains a fault, and has the last word."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.engine import PrivateEngine
from tests.chaos.killers import KILLERS, WITH_ENGINE, rage
from tests.chaos.oracle import Tally
from tests.chaos.world import World, count, open_world


@dataclass(slots=True, kw_only=True)
class Judge:
    tell: Callable[[str], None]
    evidence: Path

    async def check_a_run(self, seed: int, kills: int, *, on: str = "telegram") -> None:
        async with open_world(seed, on=on) as world:
            await self.judge(f"{on}, seed {seed}", world, rage(world, kills, KILLERS))

    async def check_engine_kills(self, seed: int, engine: PrivateEngine, kills: int, *, keeps_containers: bool) -> None:
        await asyncio.to_thread(engine.restart, keeps_containers=keeps_containers)
        async with open_world(seed, engine=engine) as world:
            name = f"engine, live-restore {'on' if keeps_containers else 'off'}, seed {seed}"
            await self.judge(name, world, rage(world, kills, WITH_ENGINE, until={"engine": kills}))

    async def judge(self, name: str, world: World, raging: Awaitable[Counter[str]]) -> Tally:
        """Have it rage, wait until all is quiet, count, and raise AssertionError for a fault."""
        killed: Counter[str] = Counter()
        is_settled = False
        began = raged = time.monotonic()
        try:
            killed = await raging
            raged = time.monotonic()
            await world.settle()
            is_settled = True
        finally:
            tally = count(world, killed)
            self.tell(f"{name}: {tally.line()} ({raged - began:.0f} s, and {time.monotonic() - raged:.0f} to be quiet)")
            if tally.faults or not is_settled:
                keep_evidence(world, tally, self.evidence)
        assert not tally.faults, f"see {self.evidence}"
        assert tally.typed
        assert tally.effects
        return tally


def keep_evidence(world: World, tally: Tally, folder: Path) -> None:
    """Copy what explains a fault: the home goes with the installation."""
    keep_home(world, folder)
    lines = [*tally.faults, *(repr(world.record(person)) for person in range(world.chats))]
    (folder / "tally").write_text("\n".join(lines), "utf-8")


def keep_home(world: World, folder: Path) -> None:
    """Copy logs and databases."""
    shutil.copytree(world.home / "logs", folder / "logs")
    for database in world.home.glob("*.db*"):
        shutil.copy(database, folder)
