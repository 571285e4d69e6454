"""What befalls a machine beside deaths: a full or slow disk, a locked store, a clock that is set, a network that goes,
a provider in the dark.

Each is real for the processes under it: a file system without room, a lock that another process holds, calls into the
C library that take longer or tell another time (`shim.c`), connections that are refused. `storm` has them come in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import shutil
import signal
import sqlite3
import struct
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Protocol

from tests.chaos.killers import KILLERS
from tests.chaos.world import World

SHIM = Path(__file__).parent / "shim.c"
SYNC_DELAY_S = (0.3, 1.2)
LOCKED_S = (5.5, 8.0)
"""Longer than the store waits for a lock by itself."""
LASTS_S = (1.0, 4.0)
CLOCK_STEPS_S = (-7200, -90, -3, 3, 90, 7200)
DARK_KINDS = ("status", "reset", "silence")
KILL_SHARE = 0.3
"""Of the weathers, in how many something dies meanwhile."""
HOME_MB = 96
LEAST_FILL_BYTES = 4096


class Place(Protocol):
    """Where weather is: an installation, or a host without containers (`doors.py`)."""

    @property
    def random(self) -> Random: ...
    @property
    def home(self) -> Path: ...
    @property
    def sky(self) -> Sky | None: ...
    @property
    def platform_url(self) -> str: ...


class Sky:
    """The file that `shim.c` reads in every process of an installation."""

    def __init__(self, folder: Path) -> None:
        self._library = folder / "shim.so"
        self._path = folder / "weather"
        self._path.write_bytes(struct.pack("qq", 0, 0))
        command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(self._library), str(SHIM), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
        with self._path.open("r+b") as file:
            self._seen = mmap.mmap(file.fileno(), 16)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "CHAOS_WEATHER": str(self._path)}

    def set(self, *, sync_delay_s: float | None = None, clock_ahead_s: int | None = None) -> None:
        """Change what is given; the rest stays."""
        if sync_delay_s is not None:
            self._seen[:8] = struct.pack("q", int(sync_delay_s * 1_000_000))
        if clock_ahead_s is not None:
            self._seen[8:] = struct.pack("q", clock_ahead_s)

    def close(self) -> None:
        self._seen.close()


@contextlib.contextmanager
def sky() -> Iterator[Sky]:
    """Compile the shim; its files go with the block."""
    with tempfile.TemporaryDirectory(prefix="ny-sky-") as folder, closing(Sky(Path(folder))) as made:
        yield made


@contextlib.contextmanager
def small_disk(megabytes: int = HOME_MB) -> Iterator[Path]:
    """Mount a file system that a test can fill; needs root."""
    folder = Path(tempfile.mkdtemp(prefix="ny-disk-"))
    options = f"size={megabytes}m,mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def can_compile() -> bool:
    return shutil.which("gcc") is not None


# --- One after the other


async def disk_full(place: Place) -> None:
    """Nothing can be written for a while; then there is room again."""
    filling = place.home / "filling"

    def fill() -> None:
        with contextlib.suppress(OSError), filling.open("wb", buffering=0) as file:
            size = 1 << 20
            while True:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    if size == LEAST_FILL_BYTES:
                        raise
                    size //= 2

    try:
        async with asyncio.timeout(place.random.uniform(*LASTS_S)):
            while True:  # what others free meanwhile is filled, too
                await asyncio.to_thread(fill)
                await asyncio.sleep(0.2)
    except TimeoutError:
        pass
    finally:
        filling.unlink(missing_ok=True)


async def disk_slow(place: Place) -> None:
    """Each commit takes most of a second longer."""
    assert place.sky is not None
    place.sky.set(sync_delay_s=place.random.uniform(*SYNC_DELAY_S))
    try:
        await asyncio.sleep(place.random.uniform(*LASTS_S))
    finally:
        place.sky.set(sync_delay_s=0.0)


async def store_locked(place: Place) -> None:
    """Another program begins to write into the store, and takes its time."""
    with closing(sqlite3.connect(place.home / "store.db", timeout=10, isolation_level=None)) as other:
        with contextlib.suppress(sqlite3.OperationalError):  # it is busy, or the disk is full
            other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(place.random.uniform(*LOCKED_S))


async def clock_set(place: Place) -> None:
    """The clock jumps, and stays there until the next time."""
    assert place.sky is not None
    place.sky.set(clock_ahead_s=place.random.choice(CLOCK_STEPS_S))


async def network_gone(place: Place) -> None:
    """The platform's connections break off, before anything is done with what was asked."""
    await asyncio.to_thread(_ask_twin, place.platform_url, "POST", {"kind": "reset", "count": -1})
    try:
        await asyncio.sleep(place.random.uniform(*LASTS_S))
    finally:
        await asyncio.to_thread(_ask_twin, place.platform_url, "DELETE")


def _ask_twin(url: str, method: str, value: object | None = None) -> None:
    body = None if value is None else json.dumps(value).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/twin/fault", body, method=method), timeout=10):
        pass


async def provider_dark(world: World) -> None:
    """The model's service refuses, breaks off or says nothing."""
    kind = world.random.choice(DARK_KINDS)
    fault = {"kind": kind, "times": 1_000_000, "status": 503, "seconds": 1.0}
    await asyncio.to_thread(world.running.twin, "POST", "/twin/fault", fault)
    try:
        await asyncio.sleep(world.random.uniform(*LASTS_S))
    finally:
        await lighten(world)


async def services_gone(world: World) -> None:
    """No word comes from the model's service any more, in the middle of an answer too, and the service whose calls are
    effects breaks off; then both are there again."""
    world.effects.is_gone = True
    world.running.model_twin.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(world.random.uniform(*LASTS_S))
    finally:
        world.running.model_twin.send_signal(signal.SIGCONT)
        world.effects.is_gone = False


async def lighten(world: World) -> None:
    """Have the model's service work again."""
    with contextlib.suppress(urllib.error.URLError):
        await asyncio.to_thread(world.running.twin, "DELETE", "/twin/fault")


EVERYWHERE: Mapping[str, Callable[[Place], Coroutine[None, None, None]]] = {
    "disk full": disk_full,
    "disk slow": disk_slow,
    "store locked": store_locked,
    "clock set": clock_set,
    "network gone": network_gone,
}
WEATHERS: Mapping[str, Callable[[World], Coroutine[None, None, None]]] = {
    **EVERYWHERE,
    "provider dark": provider_dark,
    "services gone": services_gone,
}


async def storm(world: World, rounds: int) -> Counter[str]:
    """Have each weather come that often, in a random order, while people type and now and then something dies; return
    what came."""
    chance = world.random
    order = [name for name in WEATHERS for _ in range(rounds)]
    chance.shuffle(order)
    came: Counter[str] = Counter()
    for name in order:
        async with asyncio.TaskGroup() as meanwhile:
            meanwhile.create_task(WEATHERS[name](world))
            for _ in range(chance.randrange(1, 4)):
                await world.type_something()
                await asyncio.sleep(chance.uniform(0.05, 0.5))
            if chance.random() < KILL_SHARE:
                victim = chance.choice(list(KILLERS))
                came[victim] += await KILLERS[victim](world)
        came[name] += 1
    if world.sky is not None:
        world.sky.set(clock_ahead_s=0)
    return came
