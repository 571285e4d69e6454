"""Events on their way to the store, when there are too many, or in no form of Discord's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from channels.channel import DeliveryFailed
from channels.discord.intake import Intake
from channels.discord.rooms import Room
from channels.discord.seen import Seen
from tests.channels.conformance_support import PATIENCE_S
from tests.channels.discord.support import QUICK

Json = dict[str, Any]
ANNA = {"id": "2", "username": "anna"}


def _said(number: int, channel: str = "50") -> Json:
    return {"id": str(number), "channel_id": channel, "type": 0, "author": ANNA, "content": f"{number}"}


class _Discord:
    """What Discord remembers of its chats."""

    def __init__(self) -> None:
        self.said: dict[str, list[Json]] = {}
        self.is_ill = False
        self.asked = asyncio.Event()

    async def history(self, room: Room, after: int) -> list[Json]:
        self.asked.set()
        if self.is_ill:
            raise DeliveryFailed("503")
        return [each for each in self.said.get(room.channel, []) if int(each["id"]) > after][:100]

    async def find_room(self, channel: str) -> Json:
        return {"id": channel, "type": 11, "parent_id": "50", "last_message_id": None}


class _Store:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.permits = asyncio.Semaphore(1000)
        """How many more are stored without waiting."""
        self._changed = asyncio.Condition()

    async def accept(self, event_id: str, raw: bytes) -> None:
        await self.permits.acquire()
        async with self._changed:
            if event_id not in self.ids:
                self.ids.append(event_id)
            self._changed.notify_all()

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.ids) >= count)
        return self.ids


@asynccontextmanager
async def _running(discord: _Discord, store: _Store, **more: Any) -> AsyncIterator[Intake]:
    intake = Intake(discord, Seen(None), replace(QUICK, hold_s=0.1), **more)
    running = asyncio.ensure_future(intake.run(store.accept))
    intake.put("READY", {"session_id": "s", "user": {"id": "9"}, "guilds": []}, 1)
    try:
        yield intake
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_more_than_can_be_held_is_read_from_the_history() -> None:
    """Events beyond the bound are found again in their chats' histories, in order; other chats are not touched."""
    discord, store = _Discord(), _Store()
    store.permits = asyncio.Semaphore(2)

    def say(first: int, last: int) -> None:
        for number in range(first, last + 1):
            discord.said.setdefault("50", []).append(_said(number))
            intake.put("MESSAGE_CREATE", _said(number), number)

    async with _running(discord, store, max_waiting=20) as intake:
        intake.put("MESSAGE_CREATE", _said(1), 2)
        intake.put("MESSAGE_CREATE", _said(2, "51"), 3)
        await store.until(2)
        say(3, 40)
        for _ in range(10):
            store.permits.release()
        await store.until(12)  # there is room again, with a gap before it
        say(41, 50)
        for _ in range(100):
            store.permits.release()
        stored = await store.until(50)
    assert stored == [str(number) for number in range(1, 51)]


async def test_what_is_no_event_of_discords_harms_nothing() -> None:
    """Payloads without their fields are passed over, and what comes after them is stored."""
    discord, store = _Discord(), _Store()
    async with _running(discord, store) as intake:
        for kind in ("MESSAGE_CREATE", "MESSAGE_DELETE_BULK", "GUILD_CREATE", "THREAD_LIST_SYNC", "GUILD_MEMBER_ADD"):
            intake.put(kind, {}, 2)
            intake.put(kind, {"id": None, "channel_id": "50", "ids": 5, "threads": [{}]}, 2)
            intake.put(kind, [], 2)
        intake.put("MESSAGE_CREATE", _said(7), None)
        assert await store.until(1) == ["7"]


async def test_a_room_that_no_list_had_is_found() -> None:
    """What is said in a thread that the session's lists lack waits until it is known where the thread hangs."""
    discord, store = _Discord(), _Store()
    async with _running(discord, store) as intake:
        intake.put("MESSAGE_CREATE", {**_said(7, "60"), "guild_id": "30"}, 2)
        intake.put("MESSAGE_CREATE", {**_said(8, "60"), "guild_id": "30"}, 3)
        assert await store.until(2) == ["7", "8"]


def _server(newest: int) -> Json:
    room = {"id": "50", "type": 0, "parent_id": None, "last_message_id": str(newest)}
    return {"id": "30", "channels": [room], "threads": [], "roles": []}


def _ready(session: str) -> Json:
    return {"session_id": session, "user": {"id": "9"}, "guilds": [{"id": "30"}]}


async def test_what_comes_before_the_lists_waits_for_the_histories() -> None:
    """A new session tells live events before all servers' lists are there: they wait, or what was missed would come
    after them."""
    discord, store = _Discord(), _Store()
    async with _running(discord, store) as intake:
        intake.put("MESSAGE_CREATE", _said(1), 2)
        await store.until(1)
        discord.said["50"] = [_said(2), _said(3)]
        intake.put("READY", _ready("t"), 1)
        intake.put("MESSAGE_CREATE", _said(3), 2)
        intake.put("GUILD_CREATE", {**_server(0), "channels": []}, 3)
        assert await store.until(3) == ["1", "2", "3"]


async def test_a_history_that_was_not_given_is_asked_for_from_where_it_broke_off() -> None:
    """A chat whose history could not be read stays known as far as it was, although all others are known further."""
    discord, store = _Discord(), _Store()
    async with _running(discord, store) as intake:
        intake.put("READY", _ready("t"), 1)
        intake.put("GUILD_CREATE", _server(10), 2)
        await discord.asked.wait()
        intake.put("MESSAGE_CREATE", _said(1, "99"), 3)
        await store.until(1)
        discord.said["50"] = [_said(11), _said(12)]
        discord.is_ill = True
        intake.put("READY", _ready("u"), 1)
        intake.put("GUILD_CREATE", _server(12), 2)
        intake.put("MESSAGE_CREATE", {**_said(13), "guild_id": "30"}, 3)
        assert await store.until(2) == ["1", "13"]
        discord.is_ill = False
        assert await store.until(4) == ["1", "13", "11", "12"]
