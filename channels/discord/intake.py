"""The gateway's events on their way to the store, in order for each chat; and what was said while nobody listened.

Discord takes back no event: what is lost with a session, or with a host, is fetched from the chats' histories. Until a
chat's history is read, what is said there now waits behind it; other chats go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from channels.channel import DeliveryFailed
from channels.discord.frames import Frames, Heard, is_of_interest
from channels.discord.rooms import Json, Room
from channels.discord.seen import Seen
from channels.discord.timings import Timings

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Events between the gateway and the store; what was said beyond is read from the histories."""
MAX_HELD = 1000
"""Events of a chat that wait for its history; messages beyond are in the history themselves."""
MAX_UNLISTED = 200
"""Direct chats, and threads that were archived, whose histories are read after each new session."""
AT_ONCE = 6
PAGE = 100

Accept = Callable[[str, bytes], Awaitable[None]]
"""Takes an event's id and raw form; returns when it is stored."""


class IntakeCalls(Protocol):
    """The part of the client that is asked for what was missed. Each raises DeliveryFailed."""

    async def history(self, room: Room, after: int) -> list[Json]:
        """Return the oldest PAGE messages after one, oldest first."""

    async def find_room(self, channel: str) -> Json:
        """Return how Discord describes a channel or thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    kind: str
    what: Json
    sequence: int
    at: str


class Intake:
    """What one bot hears. Outlives its connections."""

    def __init__(self, calls: IntakeCalls, seen: Seen, timings: Timings, *, max_waiting: int = MAX_WAITING) -> None:
        self._calls = calls
        self._seen = seen
        self._timings = timings
        self._max_waiting = max_waiting
        self._frames = Frames()
        self._waiting: asyncio.Queue[_Event] = asyncio.Queue()
        self._held: dict[str, deque[_Event]] = {}
        """By channel: events that wait for the chat's history."""
        self._filling: dict[str, asyncio.Event] = {}
        """By channel: histories that are being read; set when that has ended."""
        self._again: set[str] = set()
        """Of these, those to be read once more to the end."""
        self._releasing: set[str] = set()
        """Channels whose held events are being stored."""
        self._stuck: dict[str, Room] = {}
        """Chats whose history could not be read; asked again now and then."""
        self._guilds: set[str] = set()
        self._awaited: set[str] = set()
        """Servers of the new session that have not told their channels yet."""
        self._awaits_until: float | None = None
        """None: nothing of a new session is awaited."""
        self._lost: dict[str, Room] = {}
        """Chats of which an event found no place; all that follow it are in the history, too."""
        self._slots = asyncio.Semaphore(AT_ONCE)

    def hear_members(self, *, is_on: bool) -> None:
        """Note whether joins and leaves come as events of their own."""
        self._frames.hears_members = is_on

    def put(self, kind: str, what: Any, sequence: object) -> None:
        """Take an event, at once and in order."""
        if not is_of_interest(kind) or not isinstance(what, dict):
            return
        channel = str(what.get("channel_id") or "")
        if channel and (channel in self._lost or self._waiting.qsize() >= self._max_waiting):
            self._lost[channel] = Room(channel=channel, guild=str(what.get("guild_id") or ""))
            return
        number = sequence if isinstance(sequence, int) else 0
        event = _Event(kind=kind, what=what, sequence=number, at=datetime.now(UTC).isoformat())
        self._waiting.put_nowait(event)

    async def run(self, accept: Accept) -> None:
        """Store until cancelled. Raises only what `accept` raised, in an ExceptionGroup."""
        await self._seen.load()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_seen())
                tasks.create_task(self._retry_stuck(tasks, accept))
                while True:
                    event = await self._next()
                    if event is not None:
                        await self._take(event, tasks, accept)
                    if self._is_time_to_catch_up():
                        self._catch_up(tasks, accept)
                    if self._lost and self._waiting.empty():
                        self._find_lost(tasks, accept)
        finally:
            await self._seen.keep()

    async def _next(self) -> _Event | None:
        """Return the next event, None when what is awaited has come or will not come any more."""
        try:
            async with asyncio.timeout_at(self._awaits_until):
                return await self._waiting.get()
        except TimeoutError:
            return None

    async def _take(self, event: _Event, tasks: asyncio.TaskGroup, accept: Accept) -> None:
        channel = str(event.what.get("channel_id") or "")
        if event.kind == "READY":
            self._guilds = {str(guild.get("id")) for guild in event.what.get("guilds", ())}
            self._awaited = set(self._guilds)
            self._awaits_until = asyncio.get_running_loop().time() + self._timings.guilds_s
        elif channel and (self._awaits_until is not None or channel in self._held):
            self._hold(channel, event)
            return
        elif wanted := self._frames.room_wanted(event.kind, event.what):
            self._fill(Room(channel=wanted, guild=str(event.what["guild_id"])), tasks, accept)
            self._hold(wanted, event)
            return
        await self._store(event, accept)
        if event.kind == "GUILD_CREATE":
            self._greet(str(event.what.get("id")), tasks, accept)

    def _greet(self, guild: str, tasks: asyncio.TaskGroup, accept: Accept) -> None:
        """A server has told its channels: one of the new session, one that was away, or one that is new to us."""
        if guild in self._awaited:
            self._awaited.discard(guild)
        elif guild in self._guilds:
            for room in self._missed(guild):
                self._fill(room, tasks, accept)
        else:  # what was said before the bot came in is not its business
            self._guilds.add(guild)
            for room in self._frames.rooms.of_guild(guild):
                self._seen.note(room, room.last_message)

    def _is_time_to_catch_up(self) -> bool:
        if self._awaits_until is None:
            return False
        return not self._awaited or asyncio.get_running_loop().time() >= self._awaits_until

    def _catch_up(self, tasks: asyncio.TaskGroup, accept: Accept) -> None:
        """Read the histories of all chats where something may have been missed; what is held elsewhere goes on."""
        self._awaits_until = None
        listed = list(self._frames.rooms.listed())
        newest = max((room.last_message for room in listed), default=0)
        rooms: list[Room] = []
        if self._seen.floor is not None:
            unlisted = self._seen.unlisted({room.channel for room in listed})[:MAX_UNLISTED]
            rooms = [*self._missed(), *unlisted]
        if rooms:
            log.info("reading what was said in %d chats meanwhile", len(rooms), extra={"action": "discord_catch_up"})
        for room in rooms:
            self._fill(room, tasks, accept)
        for channel, events in [held for held in self._held.items() if held[0] not in self._filling]:
            if events and (wanted := self._frames.room_wanted(events[0].kind, events[0].what)):
                self._fill(Room(channel=wanted, guild=str(events[0].what["guild_id"])), tasks, accept)
            else:
                tasks.create_task(self._release(channel, accept))
        if self._seen.floor is None:
            self._seen.raise_floor(newest, set())
        tasks.create_task(self._raise_floor(newest, list(self._filling.values())))

    def _find_lost(self, tasks: asyncio.TaskGroup, accept: Accept) -> None:
        log.warning("more was said than could be taken in", extra={"action": "discord_overflow"})
        for room in self._lost.values():
            self._fill(self._frames.rooms.find(room.channel) or room, tasks, accept)
        self._lost.clear()

    def _missed(self, guild: str = "") -> list[Room]:
        """Return the listed rooms, of one server or all, in which more was said than is known."""
        rooms = self._frames.rooms.of_guild(guild) if guild else self._frames.rooms.listed()
        return [room for room in rooms if room.last_message > self._seen.upto(room.channel)]

    async def _raise_floor(self, newest: int, filling: list[asyncio.Event]) -> None:
        for filled in filling:
            await filled.wait()
        self._seen.raise_floor(newest, set(self._stuck))

    def _fill(self, room: Room, tasks: asyncio.TaskGroup, accept: Accept) -> None:
        """Read a chat's history; what is said there meanwhile is held."""
        if room.channel in self._filling:
            self._again.add(room.channel)
            return
        self._filling[room.channel] = asyncio.Event()
        self._held.setdefault(room.channel, deque())
        self._seen.pin(room)
        tasks.create_task(self._fill_and_release(room, accept))

    async def _fill_and_release(self, room: Room, accept: Accept) -> None:
        try:
            await self._read_history(room, accept)
        finally:
            self._filling.pop(room.channel).set()
        await self._release(room.channel, accept)

    async def _read_history(self, room: Room, accept: Accept) -> None:
        """Read a chat's history to its end, or give up: for good, or until it is tried again."""
        give_up_at = asyncio.get_running_loop().time() + self._timings.hold_s
        retry_s = self._timings.history_retry_s
        while True:
            self._again.discard(room.channel)
            try:
                async with self._slots:
                    await self._read_pages(await self._known(room), accept)
            except DeliveryFailed as failed:
                wait_s = max(retry_s, failed.retry_after_s or 0.0)
                if failed.permanent:  # no right to read it, or gone: it is not asked again
                    log.info("a history cannot be read: %s", failed.reason, extra={"action": "discord_no_history"})
                    self._seen.note(room, room.last_message)
                    break
                if asyncio.get_running_loop().time() + wait_s > give_up_at:
                    log.warning("a history was not read yet: %s", failed.reason, extra={"action": "discord_gap"})
                    self._stuck[room.channel] = room
                    return
                await asyncio.sleep(wait_s)
                retry_s *= 2
            else:
                if room.channel not in self._again:
                    break
        self._stuck.pop(room.channel, None)

    async def _known(self, room: Room) -> Room:
        """Return the room as it is: of a thread, with the channel that it hangs in."""
        if room.guild and self._frames.rooms.find(room.channel) is None:
            if room.parent:
                self._frames.rooms.add(room)  # a thread that was archived, known from before
            else:
                self._frames.rooms.note_room(await self._calls.find_room(room.channel), room.guild)
        return self._frames.rooms.find(room.channel) or room

    async def _read_pages(self, room: Room, accept: Accept) -> None:
        while True:
            after = self._seen.upto(room.channel)
            page = await self._calls.history(room, after)
            for message in page:
                for heard in self._frames.read_history(message, room, datetime.now(UTC).isoformat()):
                    await self._store_one(heard, accept)
                after = max(after, int(message["id"]))
                self._seen.note(room, after)
            if len(page) < PAGE:
                return

    async def _release(self, channel: str, accept: Accept) -> None:
        """Store what was held, one after the other; what is read of the chat again meanwhile goes first."""
        if channel in self._releasing:
            return
        self._releasing.add(channel)
        try:
            held = self._held.get(channel)
            while held and self._awaits_until is None and channel not in self._filling:
                await self._store(held.popleft(), accept)
        finally:
            self._releasing.discard(channel)
        if not held and channel not in self._filling:  # else a new session or another reading releases it
            self._held.pop(channel, None)

    def _hold(self, channel: str, event: _Event) -> None:
        held = self._held.setdefault(channel, deque())
        if len(held) < MAX_HELD:
            held.append(event)
        else:
            self._again.add(channel)

    async def _store(self, event: _Event, accept: Accept) -> None:
        for heard in self._read(event):
            await self._store_one(heard, accept)
            if heard.message and heard.room.channel not in self._stuck:
                self._seen.note(heard.room, heard.message)

    def _read(self, event: _Event) -> list[Heard]:
        try:
            return list(self._frames.read(event.kind, event.what, event.sequence, event.at))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            text = "a gateway event in no form of Discord's: %s, %s: %s"
            log.warning(text, event.kind, type(error).__name__, error, extra={"action": "discord_malformed"})
            return []

    async def _store_one(self, heard: Heard, accept: Accept) -> None:
        if heard.raw:
            await accept(heard.event_id, heard.raw)

    async def _retry_stuck(self, tasks: asyncio.TaskGroup, accept: Accept) -> None:
        while True:
            await asyncio.sleep(self._timings.gap_retry_s)
            for room in list(self._stuck.values()):
                self._fill(room, tasks, accept)

    async def _keep_seen(self) -> None:
        while True:
            await asyncio.sleep(self._timings.seen_every_s)
            await self._seen.keep()
