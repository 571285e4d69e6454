"""What comes in: stored in each conversation's order, then acknowledged.

Each conversation has a lane: one event after the other, whatever the sockets do. An event knows on its way what people
are called and which thread a message is in; after a gap, what was missed goes before it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from channels.channel import DeliveryFailed
from channels.slack.catch_up import CatchUp, place_of
from channels.slack.client import Acknowledge, SlackClient
from channels.slack.encode import Place
from channels.slack.names import Names
from channels.slack.raw import (
    COMMAND,
    EVENT,
    Known,
    as_dict,
    conversation_of,
    dicts,
    event_id,
    event_of,
    ids_in,
    is_message,
    is_own,
    pack,
)
from channels.slack.seen import Seen

log = logging.getLogger(__name__)

MAX_REMEMBERED = 5000

Accept = Callable[[str, bytes], Awaitable[None]]
"""Takes an event's id and raw form; returns when it is stored."""
Json = dict[str, Any]


class Inlet:
    """What comes in from one workspace."""

    def __init__(self, client: SlackClient, seen: Seen) -> None:
        self._client = client
        self._seen = seen
        self._names = Names(client, client.timings.names_s)
        again_s = client.timings.catch_up_again_s
        self._catch_up = CatchUp(client, seen, lambda: client.bot.user, again_s=again_s)
        self._lanes: dict[str, asyncio.Lock] = {}
        self._taking: set[asyncio.Task[Any]] = set()
        self._threads: OrderedDict[str, str] = OrderedDict()
        """Conversation and ts of a message → the thread that it is in."""
        self._speakers: OrderedDict[Place, str] = OrderedDict()
        self._sweep_wanted = asyncio.Event()
        self._is_over = False
        self.accept: Accept = _nowhere
        client.when_opening = self._catch_up.begin
        client.when_connected = self._connected

    def speaker(self, place: Place) -> str:
        """Return who spoke last there; empty if that is not known."""
        return self._speakers.get(place, "")

    def note_ours(self, place: Place, ts: str) -> None:
        """Note a message of ours, so that a reaction to it is known to be in its thread."""
        self._seen.note_time(ts)
        if place.thread and place.thread != ts:
            _remember(self._threads, f"{place.conversation}:{ts}", place.thread)

    async def run(self) -> None:
        """Read what was missed after long gaps, until cancelled; then nothing is taken until it is run again."""
        self._is_over = False
        try:
            while True:
                await self._sweep_wanted.wait()
                self._sweep_wanted.clear()
                await self._sweep()
        finally:
            self._is_over = True
            for task in self._taking:
                task.cancel()
            if self._taking:
                await asyncio.wait(self._taking)

    async def take(self, kind: str, payload: Json, envelope_id: str, acknowledge: Acknowledge) -> None:
        """Store what came, and acknowledge it. What nobody redelivers is acknowledged in time in any case. What comes
        while the channel goes is not taken: it would be stored before what waited, which is cut off."""
        if self._is_over:
            return
        task = asyncio.current_task()
        assert task is not None
        self._taking.add(task)
        try:
            if kind == EVENT:
                await self._store(kind, payload, envelope_id)
                await acknowledge()
            else:
                await self._store_within(kind, payload, envelope_id, acknowledge)
        except Exception as error:  # the host's own: it ends the channel, and what was not acknowledged comes again
            self._client.fail(error)
            raise
        finally:
            self._taking.discard(task)

    async def _store_within(self, kind: str, payload: Json, envelope_id: str, acknowledge: Acknowledge) -> None:
        if kind == COMMAND:
            payload = {**payload, "received_at": f"{time.time():.6f}"}
        async with asyncio.TaskGroup() as tasks:
            storing = tasks.create_task(self._store(kind, payload, envelope_id))
            await asyncio.wait({storing}, timeout=self._client.timings.press_ack_s)
            await acknowledge()

    async def _store(self, kind: str, payload: Json, envelope_id: str) -> None:
        conversation = conversation_of(kind, payload)
        async with self._lane(conversation):
            if kind == EVENT and conversation and self._catch_up.is_due(conversation):
                await self._catch_up.read(conversation, self._recount)
            await self._file(kind, payload, envelope_id, conversation)

    def _lane(self, conversation: str) -> asyncio.Lock:
        return self._lanes.setdefault(conversation, asyncio.Lock())

    async def _recount(self, conversation: str, message: Json) -> None:
        payload = {"event": {**message, "type": "message", "channel": conversation}}
        await self._file(EVENT, payload, "", conversation)

    async def _file(self, kind: str, payload: Json, envelope_id: str, conversation: str) -> None:
        event = event_of(payload)
        is_said = kind == EVENT and is_message(event)
        if not (kind == EVENT and is_own(self._client.bot, event)):
            names, threads = await self._names.of(ids_in(payload)), self._threads_of(conversation, payload)
            parent = await self._parent(conversation, event) if is_said else None
            known = Known(names=names, threads=threads, parent=parent)
            await self.accept(event_id(kind, payload, envelope_id), pack(self._client.bot, kind, payload, known))
        if is_said:
            self._note_said(conversation, event)
        else:
            self._note_happened(conversation, payload, event)

    def _note_said(self, conversation: str, event: Json) -> None:
        place, ts, user = place_of(conversation, event), str(event["ts"]), str(event.get("user") or "")
        self._seen.note(conversation, place.thread, ts)
        is_begun = not place.thread and not place.is_direct and f"<@{self._client.bot.user}" in str(event.get("text"))
        thread = ts if is_begun else place.thread
        if thread:
            _remember(self._threads, f"{conversation}:{ts}", thread)
        if user and not event.get("bot_id") and user != self._client.bot.user:
            _remember(self._speakers, Place(conversation=conversation, thread=thread), user)

    def _note_happened(self, conversation: str, payload: Json, event: Json) -> None:
        match event.get("type"):
            case "tokens_revoked" | "app_uninstalled":
                self._client.doubt("Slack says that a token was revoked")
            case "member_joined_channel" if event.get("user") == self._client.bot.user:
                self._seen.note(conversation, None, str(event.get("event_ts")))
            case "member_left_channel" if event.get("user") == self._client.bot.user:
                self._seen.forget(conversation)
            case _ if payload.get("type") == "app_rate_limited":
                text = "Slack leaves out events of this app: more than 30,000 came in an hour"
                log.warning(text, extra={"action": "slack_events_left_out"})

    def _threads_of(self, conversation: str, payload: Json) -> dict[str, str]:
        event = event_of(payload)
        about = as_dict(event.get("item")).get("ts") or as_dict(payload.get("container")).get("message_ts")
        thread = self._threads.get(f"{conversation}:{about}") if about else None
        return {str(about): thread} if thread else {}

    async def _parent(self, conversation: str, event: Json) -> dict[str, str] | None:
        """Return what a thread began with, for the first message there that we hear of."""
        thread = place_of(conversation, event).thread
        if not thread or self._seen.knows_thread(conversation, thread) or f"{conversation}:{thread}" in self._threads:
            return None
        arguments: Json = {"channel": conversation, "ts": thread, "latest": thread, "inclusive": True, "limit": 1}
        try:
            async with asyncio.timeout(self._client.timings.names_s):
                told = await self._client.call("conversations.replies", conversation, **arguments)
        except (DeliveryFailed, TimeoutError):
            return None
        texts = [said.get("text") for said in dicts(told.get("messages")) if said.get("ts") == thread]
        return {"text": texts[0]} if texts and isinstance(texts[0], str) and texts[0] else None

    # After a gap

    def _connected(self, gap_s: float | None) -> None:
        if gap_s is None or gap_s > self._client.timings.short_gap_s:
            self._sweep_wanted.set()

    async def _sweep(self) -> None:
        for conversation in await self._catch_up.conversations():
            async with self._lane(conversation):
                if self._catch_up.is_due(conversation):
                    await self._catch_up.read(conversation, self._recount)


def _remember(where: OrderedDict[Any, str], key: Any, value: str) -> None:
    where[key] = value
    where.move_to_end(key)
    if len(where) > MAX_REMEMBERED:
        where.popitem(last=False)


async def _nowhere(event_id: str, raw: bytes) -> None:
    raise RuntimeError(f"{event_id} ({len(raw)} bytes) came while nobody takes anything in")
