"""Say what must be said on Telegram: in its pace, where a group is now, in a simpler form where one is refused."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from channels.channel import DeliveryFailed
from channels.pace import Pace
from channels.pacing import wait_for_turn
from channels.telegram.calls import ApiCall, SendFiles, SendText, simpler_call
from channels.telegram.client import Account
from channels.telegram.connection import Connection
from channels.telegram.failures import Migrated
from channels.telegram.flood import Floods, text_cost
from channels.telegram.places import Place
from channels.telegram.timings import Timings

log = logging.getLogger(__name__)

MAX_MOVED = 200


class Sender:
    """The sending of one bot account."""

    def __init__(self, connection: Connection, pace: Pace[int], timings: Timings) -> None:
        self._connection = connection
        self._pace = pace
        self._timings = timings
        self._floods = Floods()
        self._moved: OrderedDict[int, int] = OrderedDict()
        self.when_moved: Callable[[int, int], None] = lambda _old, _new: None
        """Called when a group turns out to have another id."""

    async def perform(self, call: ApiCall) -> tuple[int, ...]:
        """Make the call; return the new messages' ids. Raise DeliveryFailed, or NotYet.

        After a timeout the message may exist all the same: Telegram takes no key that would tell.
        """
        place = call.place
        call = replace(call, place=replace(place, chat_id=self._moved.get(place.chat_id, place.chat_id)))
        try:
            return await self._perform(call)
        except Migrated as moved:
            self._note_moved(place.chat_id, moved.chat_id)
            return await self._perform(replace(call, place=replace(place, chat_id=moved.chat_id)))
        except DeliveryFailed as failed:
            simpler = simpler_call(call, failed.reason)
            if simpler is None:
                raise
            log.warning("sent in a simpler form: %s", failed.reason, extra={"action": "telegram_simplified"})
            return await self._perform(simpler)

    async def _perform(self, call: ApiCall) -> tuple[int, ...]:
        match call:
            case SendText():
                async with self._account(call.place, text_cost(call.text)) as account:
                    return (await account.send_text(call),)
            case SendFiles():
                async with self._account(call.place, len(call.files), self._timings.upload_s) as account:
                    return await account.send_files(call)

    async def edit_text(self, message_id: int, call: SendText) -> None:
        """Have a message of ours say what the call says."""
        async with self._account(call.place, text_cost(call.text)) as account:
            await account.edit_text(message_id, call)

    async def take_buttons(self, place: Place, message_id: int) -> None:
        async with self._account(place) as account:
            await account.take_buttons(place, message_id)

    async def delete(self, place: Place, message_id: int) -> None:
        async with self._account(place) as account:
            await account.delete(place, message_id)

    async def react(self, place: Place, message_id: int, emoji: str) -> None:
        async with self._account(place) as account:
            await account.set_reaction(place, message_id, emoji)

    @asynccontextmanager
    async def _account(self, place: Place, cost: float = 0.0, timeout_s: float | None = None) -> AsyncIterator[Account]:
        """Lend the account when it is the chat's turn; note what Telegram says of its pace."""
        await wait_for_turn(self._pace, place.chat_id, cost)
        try:
            async with self._connection.lend(timeout_s or self._timings.send_s) as account:
                yield account
        except DeliveryFailed as failed:
            if failed.retry_after_s is not None:
                now = asyncio.get_running_loop().time()
                self._pace.told_to_wait(self._floods.whose(place.chat_id, now), failed.retry_after_s, now)
            raise

    def _note_moved(self, old: int, new: int) -> None:
        log.warning("a group has a new id: %d", new, extra={"action": "telegram_chat_migrated"})
        self._moved[old] = new
        if len(self._moved) > MAX_MOVED:
            self._moved.popitem(last=False)
        self.when_moved(old, new)
