"""Many messages at the doors of channel, intake and outbox: people on the Telegram twin, a host without containers that
is killed and rained upon, and the same count as everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.door_host import CANNOT_RUN, GROUPS
from tests.chaos.oracle import MESSAGE_ID, Tally, count_chat
from tests.chaos.people import FIRST_PERSON, TelegramPeople, wait_until
from tests.chaos.records import is_settled, record_of
from tests.chaos.weather import EVERYWHERE, Sky, store_locked
from twins.telegram.server import TelegramTwin

CHATS = 50
MOST_UNANSWERED = 12
"""Of one chat: people wait for answers now and then."""
BURST = 50
ALIVE_S, LONG_ALIVE_S = (0.8, 3.0), (2.0, 8.0)
"""Between two things that befall the host; in the long mode, whose many messages would take hours else."""
KILL_SHARE = 0.5
UP_SHARE = 0.8
START_TIMEOUT_S = 120.0
SETTLE_S = 600.0
QUIET_S = 2.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True, kw_only=True)
class Doors:
    """A `weather.Place`."""

    home: Path
    fork: Path
    twin: TelegramTwin
    people: TelegramPeople
    platform_url: str
    random: random.Random
    sky: Sky
    alive_s: tuple[float, float] = ALIVE_S
    came: Counter[str] = field(default_factory=Counter)
    host: asyncio.subprocess.Process | None = None
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    _answered: Counter[int] = field(default_factory=Counter)
    _looked_at: Counter[int] = field(default_factory=Counter)

    async def start(self) -> None:
        """Start the host; raise TimeoutError if it does not come up."""
        command = [sys.executable, "-m", "tests.chaos.door_host"]
        with (self.home.parent / "host.log").open("ab") as log:
            self.host = await asyncio.create_subprocess_exec(
                *command,
                *map(str, (self.home, self.fork, self.platform_url, self.twin.world.token, CHATS)),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.sky.environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.host.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            if await self.host.stdout.readline():
                self.is_up.set()

    async def kill(self) -> None:
        """Kill it as hard as can be, if it lives."""
        if self.host is not None:
            with contextlib.suppress(ProcessLookupError):
                self.host.send_signal(signal.SIGKILL)
            await self.host.wait()

    async def keep_alive(self) -> None:
        """Start the host whenever it has ended, as its supervisor does; it may find no way to open its store."""
        while True:
            assert self.host is not None
            code = await self.host.wait()
            self.is_up.clear()
            if code not in (-signal.SIGKILL, CANNOT_RUN):
                self.came["ended by itself"] += 1
            await self.start()

    async def type_all(self, count: int) -> None:
        """Have people type so many messages, and go on until all weather has been there."""
        typed: Counter[int] = Counter()
        while typed.total() < count or not EVERYWHERE.keys() <= self.came.keys():
            for _ in range(BURST):
                person = self.random.randrange(CHATS)
                most = MOST_UNANSWERED if typed.total() < count else 1
                if typed[person] - self._seen_answers(person) < most:
                    await self.people.type(person, f"id-{person}-{typed[person]}", "say")
                    typed[person] += 1
            await asyncio.sleep(0.01)

    def _seen_answers(self, person: int) -> int:
        chat = self.twin.world.chat(FIRST_PERSON + person)
        for message in self.twin.world.messages_of_bot(chat, self._looked_at[person]):
            self._looked_at[person] = max(self._looked_at[person], int(message["message_id"]))
            self._answered[person] += len(MESSAGE_ID.findall(str(message.get("text", ""))))
        return self._answered[person]

    async def rage(self) -> None:
        """Kill the host, or have weather, until cancelled."""
        while True:
            for name in self.random.sample(list(EVERYWHERE), len(EVERYWHERE)):
                while self.random.random() < KILL_SHARE:
                    await self._live_a_little()
                    await self.kill()
                    self.came["host"] += 1
                await self._live_a_little()
                await EVERYWHERE[name](self)
                self.came[name] += 1

    async def _live_a_little(self) -> None:
        """Mostly with the host up: on a slow machine nothing would be done else. Now and then while it starts."""
        if self.random.random() < UP_SHARE:
            await self.is_up.wait()
        await asyncio.sleep(self.random.uniform(*self.alive_s))

    async def settle(self) -> None:
        self.sky.set(clock_ahead_s=0, sync_delay_s=0.0)
        for _ in range(2):
            await wait_until(lambda: is_settled(self.home, self.people, CHATS), SETTLE_S)
            await asyncio.sleep(QUIET_S)

    def count(self) -> Tally:
        tally = Tally(kills=self.came)
        for person in range(CHATS):
            count_chat(record_of(self.home, self.people, person), tally)
        return tally


@asynccontextmanager
async def open_doors(seed: int, sky: Sky, disk: Path, alive_s: tuple[float, float] = ALIVE_S) -> AsyncIterator[Doors]:
    """Start the twin and the host; the home is on `disk`."""
    home, fork, twin = disk / "home", disk / "fork", TelegramTwin()
    home.mkdir(mode=0o700)
    for number in range(GROUPS):
        folder = fork / "groups" / f"agent-{number}"
        folder.mkdir(parents=True)
        (folder / "group.yaml").write_text("parallel: 5\n", "utf-8")
    async with twin.serve() as url:
        people = TelegramPeople(twin, CHATS)
        doors = Doors(
            home=home,
            fork=fork,
            twin=twin,
            people=people,
            platform_url=url,
            random=random.Random(seed),
            sky=sky,
            alive_s=alive_s,
        )
        await doors.start()
        try:
            yield doors
        finally:
            await doors.kill()


async def check_doors(doors: Doors, messages: int) -> Tally:
    """Have so many messages said while all befalls the host that may; return the count."""
    async with asyncio.TaskGroup() as parts:
        alive = parts.create_task(doors.keep_alive())
        raging = parts.create_task(doors.rage())
        await doors.type_all(messages)
        raging.cancel()
        await asyncio.wait([raging])
        await doors.settle()
        alive.cancel()
        await asyncio.wait([alive])
    return doors.count()


async def check_locked(doors: Doors, times: int) -> Tally:
    """Have everybody talk while the store is locked so often; return the count."""
    async with asyncio.TaskGroup() as parts:
        alive = parts.create_task(doors.keep_alive())
        for time in range(times):
            for person in range(CHATS):
                await doors.people.type(person, f"id-{person}-{time}", "say")
            await store_locked(doors)
            doors.came["store locked"] += 1
        await doors.settle()
        alive.cancel()
        await asyncio.wait([alive])
    return doors.count()
