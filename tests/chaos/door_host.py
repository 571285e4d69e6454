"""`python -m tests.chaos.door_host HOME FORK URL TOKEN CHATS`: a host without containers, to be killed.

Store, intake, queue, delivery and the Telegram channel are the product's; an agent is a coroutine that answers with the
ids of what it was asked. Says `ready` on its standard output when it is up. Where the store cannot be opened just now
it ends with the product's own code for that, and is started again.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import cast

from channels.telegram.channel import TelegramChannel
from channels.telegram.flood import PUBLISHED
from channels.telegram.timings import Timings
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey
from runtime.container_session import CannotStart
from runtime.home import Home
from runtime.insist import STORE_WAITS, insist
from runtime.recovery import recover
from runtime.store.records import Binding
from runtime.store.store import open_store
from tests.chaos.oracle import MESSAGE_ID
from tests.chaos.people import FIRST_PERSON
from tests.runtime.host_bench import (
    Around,
    HostBench,
    RecordingProxy,
    Script,
    ScriptedAgent,
    ScriptedRoom,
    StageChannel,
)

TELEGRAM = ChannelId("telegram")
GROUPS = 10
SETTINGS = "containers:\n  max_running: 8\n  memory_floor_mb: 0\n  disk_floor_mb: 0\n"
CANNOT_RUN = 3
"""The exit code of the product's host that cannot open its store."""
TIMINGS = Timings(poll_s=5, longest_backoff_s=1.0, rates=PUBLISHED.times(1000))


class Endless(list[Script | CannotStart]):
    """As many agents as are asked for."""

    def pop(self, _index: object = -1, /) -> Script:
        return answer


async def answer(agent: ScriptedAgent) -> None:
    ids = MESSAGE_ID.findall(agent.assignment.task.prompt)
    await agent.answer(len(agent.assignment.steps), ",".join(ids))


async def run(home: Home, fork: Path, url: str, token: str, chats: int) -> None:
    async def fetch_token() -> str:
        return token

    proxy, stage = RecordingProxy(), StageChannel()
    room = ScriptedRoom(home=home, proxy=proxy, scripts=Endless([answer]))
    async with open_store(home.path) as store, asyncio.TaskGroup() as agents:
        for number in range(chats):
            person = PersonKey(f"telegram:{FIRST_PERSON + number}")
            await insist(partial(store.save_person, person, f"Person {number}", "owner", "cli"), "a person")
            group = GroupId(f"agent-{number % GROUPS}")
            binding = Binding(chat=ChatKey(person), chat_kind="direct", group_id=group)
            await insist(partial(store.bind, binding), "a binding")
        await insist(partial(recover, store), "what an earlier host left")
        room.group = agents
        telegram = TelegramChannel(TELEGRAM, fetch_token, url, TIMINGS)
        around = Around(fork, stage, SETTINGS)
        # A bench's house has a stage; here the product's own channel stands in its place.
        around.channels = cast(dict[ChannelId, StageChannel], {TELEGRAM: telegram})
        bench = HostBench(home=home, fork=fork, store=store, room=room, proxy=proxy, channel=stage, around=around)
        async with bench.host():
            print("ready", flush=True)
            await telegram.run(bench.intake)


def main() -> None:
    home, fork, url, token, chats = sys.argv[1:]
    try:
        asyncio.run(run(Home(Path(home)), Path(fork), url, token, int(chats)))
    except STORE_WAITS:  # from the opening of the store: what comes later is in a group, and a fault
        sys.exit(CANNOT_RUN)


if __name__ == "__main__":
    main()
