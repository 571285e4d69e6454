"""People talk to a real installation while something kills it; afterwards the world is counted.

What people typed and saw is `people.py`'s knowledge, what was done outside the effect service's. Only "how did this
message end" and "what was handed to the platform, how often" come from the product, from its documented views. Who
kills is `killers.py`, what is right is `oracle.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.installation import Installation, installation
from cli.engine import engine_address
from tests.chaos.effects import Effects, serve_effects
from tests.chaos.engine import PrivateEngine
from tests.chaos.oracle import MESSAGE_ID, ChatRecord, Tally, count_chat
from tests.chaos.people import People, TelegramPeople, TerminalPeople, wait_until
from tests.chaos.records import ask_store, is_settled, record_of
from twins.telegram.server import TelegramTwin

if TYPE_CHECKING:
    from tests.chaos.weather import Sky

CHATS = 6
DUE_TIME = r"(?<= )\d\d:\d\d(?= \()"
"""In the prompt of a schedule's run."""
SETTLE_S = 240.0
LONG_ANSWER_S = 8.0
MAX_RUNNING = 32
QUIET_S = 2.0
EFFECT_SHARE = 0.5
"""Of the messages, how many ask for a call that changes something outside."""
WISHES = ("say", "slow", "stream")
"""How the answer comes: soon, after a while, or word by word."""


@dataclass(slots=True, kw_only=True)
class World:
    running: Installation
    people: People
    effects: Effects
    random: random.Random
    meanwhile: asyncio.TaskGroup
    """What goes on beside the killing."""
    platform_url: str
    chats: int = CHATS
    sky: Sky | None = None
    """Where the disk's slowness and the clock are set; None: they are as they are."""
    engine: PrivateEngine | None = None
    killed_pids: set[int] = field(default_factory=set)
    held_still: int = 0
    """How often the host was stopped for a while; not counted as a kill."""
    typed_count: Counter[int] = field(default_factory=Counter)

    @property
    def home(self) -> Path:
        return self.running.home

    @property
    def engine_address(self) -> str:
        return self.engine.address if self.engine else engine_address()

    async def type_something(self) -> None:
        """One person types the next message."""
        person = self.random.randrange(self.chats)
        await self.type_as(person, "e" if self.random.random() < EFFECT_SHARE else "")

    async def type_as(self, person: int, effect: str = "", wish: str = "") -> None:
        """This person types; with `e`, something that changes the world. `wish`: none for any."""
        message_id = f"id-{person}-{self.typed_count[person]}{effect}"
        self.typed_count[person] += 1
        await self.people.type(person, message_id, wish or self.random.choice(WISHES))

    async def settle(self) -> None:
        """Wait until every message has reached its end and nothing is waiting to be sent; then a little longer, so that
        people have seen what was sent, and whatever is sent once too often is seen as well."""
        await wait_until(lambda: self.running.supervisor.poll() is None, SETTLE_S)
        await wait_until(self._is_settled, SETTLE_S)
        await asyncio.sleep(QUIET_S)
        await wait_until(self._is_settled, SETTLE_S)

    def _is_settled(self) -> bool:
        return is_settled(self.home, self.people, self.chats)

    def record(self, person: int) -> ChatRecord:
        """Return all that is known of one person's chat."""
        return record_of(self.home, self.people, person)

    def working_doors(self) -> set[str]:
        """Return the doors of the containers that have a task."""
        return {door for (door,) in ask_store(self.home, "SELECT door_id FROM v_attempts WHERE state = 'running'")}


def count(world: World, kills: Counter[str]) -> Tally:
    """Compare what people typed with what they saw and what was done."""
    tally = Tally(kills=kills)
    for person in range(world.chats):
        count_chat(world.record(person), tally)
    tally.effects = world.effects.done.total()
    tally.repeated_effects = [each for each, times in world.effects.done.items() if times > 1]
    return tally


@asynccontextmanager
async def open_world(
    seed: int,
    *,
    on: str = "telegram",
    engine: PrivateEngine | None = None,
    chats: int = CHATS,
    sky: Sky | None = None,
    disk: Path | None = None,
) -> AsyncIterator[World]:
    """Start twins and installation, and bring each person together with an agent of their own.

    `on`: where people talk, telegram or terminal; `engine`: a private one, None for the machine's; `disk`: where the
    home is, None for the machine's.
    """
    groups = [f"agent-{number}" for number in range(chats)]
    twin = TelegramTwin()
    async with twin.serve() as url, serve_effects() as (port, effects), asyncio.TaskGroup() as meanwhile:
        settings = f"channels:\n  telegram:\n    secret: telegram\n    group: agent-0\n    url: {url}\ncontainers:\n"
        settings += f"  max_running: {max(chats, MAX_RUNNING)}\n"
        settings += "  disk_floor_mb: 2\n" if disk else ""
        settings += f"  engine: {engine.address}\n" if engine else "  memory_floor_mb: 64\n"
        async with installation(
            groups=groups,
            settings=settings,
            grants=f"- host: 127.0.0.1\n  scheme: http\n  port: {port}\n  methods: [POST]\n",
            script=_script(port),
            environment={"NIGHTYARD_LONGEST_RESTART_WAIT_S": "0.5", **(sky.environment if sky else {})},
            secrets={"telegram": twin.world.token},
            disk=disk,
        ) as running:
            people: TelegramPeople | TerminalPeople
            if on == "telegram":
                people = TelegramPeople(twin, chats)
                for person, group in enumerate(groups):
                    await people.pair(running, person, group)
                looking = None
            else:
                people = TerminalPeople(running, groups)
                looking = meanwhile.create_task(people.run())
            yield World(
                running=running,
                people=people,
                effects=effects,
                random=random.Random(seed),
                meanwhile=meanwhile,
                platform_url=url,
                chats=chats,
                sky=sky,
                engine=engine,
            )
            if looking is not None:
                looking.cancel()


def _script(port: int) -> dict[str, Any]:
    """The model: has the effects done that were asked for, each by a call through the proxy, then says the ids of all
    that is not answered yet; what came while it worked is one prompt more.

    The tool goes on for a while after a call, so that a kill can fall between the effect and the word about it.
    """
    call = f"curl -sS -m 20 --noproxy '' -x http://127.0.0.1:3128 -X POST http://127.0.0.1:{port}/effect/$each"
    each = f"case $each in *e) {call} || exit 1; sleep 0.5;; esac"
    command = f"for each in $(echo {{collected}} | tr , ' '); do {each}; done"
    work = {"calls": [{"tool": "shell", "arguments": {"command": command}}]}
    word_by_word = "This answer comes slowly and word by word so that a kill can cut it {unanswered}"
    answers = {
        "slow": {"text": "{unanswered}", "delay_s": 0.9},
        "long": {"text": "{unanswered}", "delay_s": LONG_ANSWER_S},
        "stream": {"text": word_by_word, "delay_s": 0.05, "pace_s": 0.08},
        "": {"text": "{unanswered}", "delay_s": 0.05},
    }
    jobs = [
        {"when": f"{what}-", "collect": rf"{what}-\d+", "turns": [_call(port, "{collected}"), {"text": "{collected}"}]}
        for what in ("job", "act")
    ]
    # A schedule's run says in its prompt for which time it is: that is its effect.
    tick = {"when": "^tick", "collect": DUE_TIME, "turns": [_call(port, "{collected}"), {"text": "ticked"}]}
    return {
        "rules": [
            *jobs,
            tick,
            {"when": "poor-", "turns": [{"text": "done"}]},
            *(
                {"when": when, "collect": MESSAGE_ID.pattern, "turns": [work, answer]}
                for when, answer in answers.items()
            ),
        ]
    }


def _call(port: int, name: str) -> dict[str, Any]:
    """One call that changes the world, and a moment after it in which a kill may fall."""
    url = f"http://127.0.0.1:{port}/effect/{name}"
    command = f"curl -sS -m 20 --noproxy '' -x http://127.0.0.1:3128 -X POST {url} || exit 1; sleep 0.3"
    return {"calls": [{"tool": "shell", "arguments": {"command": command}}]}
