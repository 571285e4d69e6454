"""What is only shown on Telegram: typing, marks, the line of progress, answers that grow.

It has what room the account's pace leaves, never waits for it, and what Telegram does not take at once is left out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from channels.channel import MenuEntry
from channels.pace import Pace
from channels.pacing import take_courtesy_turn
from channels.telegram.calls import SendText
from channels.telegram.connection import Connection
from channels.telegram.encode import preview_text
from channels.telegram.menus import Scope
from channels.telegram.places import Place
from channels.telegram.timings import Timings
from protocol.ids import PlatformMessageId

MAX_KEPT = 1000


class Shows:
    """The calls of what shows work, for one bot account."""

    def __init__(self, connection: Connection, pace: Pace[int], timings: Timings) -> None:
        self._connection = connection
        self._pace = pace
        self._timeout_s = timings.show_s
        self._asked: dict[Place, int] = {}
        self._replies: OrderedDict[str, int] = OrderedDict()
        self.when_draft: Callable[[Place], None] = lambda _: None
        """Called when a chat shows a draft."""

    def is_asked(self, place: Place, message: PlatformMessageId, *, is_on: bool) -> None:
        """Note the message that work in a chat is for: in a group, what grows is a reply to it."""
        if is_on:
            self._asked[place] = int(message)
        elif self._asked.get(place) == int(message):
            del self._asked[place]

    async def send_typing(self, place: Place) -> None:
        take_courtesy_turn(self._pace, place.chat_id, cost=0.0)
        async with self._connection.lend_now(self._timeout_s) as account:
            await account.send_typing(place)

    async def set_mark(self, place: Place, message: PlatformMessageId, emoji: str, *, is_on: bool) -> None:
        take_courtesy_turn(self._pace, place.chat_id, cost=0.0)
        async with self._connection.lend(self._timeout_s) as account:
            await account.set_reaction(place, int(message), emoji if is_on else "")

    async def send_line(self, place: Place, text: str) -> PlatformMessageId:
        """Send a line that makes no phone ring."""
        take_courtesy_turn(self._pace, place.chat_id)
        async with self._connection.lend(self._timeout_s) as account:
            number = await account.send_text(SendText(place=place, text=text), is_silent=True)
        return PlatformMessageId(str(number))

    async def edit_line(self, place: Place, message: PlatformMessageId, text: str) -> None:
        take_courtesy_turn(self._pace, place.chat_id)
        async with self._connection.lend(self._timeout_s) as account:
            await account.edit_text(int(message), SendText(place=place, text=text))

    async def delete_line(self, place: Place, message: PlatformMessageId) -> None:
        take_courtesy_turn(self._pace, place.chat_id, cost=0.0)
        async with self._connection.lend(self._timeout_s) as account:
            await account.delete(place, int(message))

    async def take_away(self, place: Place, message: PlatformMessageId) -> None:
        await self.delete_line(place, message)

    async def set_commands(self, scope: Scope, entries: Sequence[MenuEntry]) -> None:
        async with self._connection.lend(self._timeout_s) as account:
            await account.set_commands(scope, entries)

    async def grow(
        self, place: Place, number: int, message: PlatformMessageId | None, markdown: str
    ) -> PlatformMessageId | None:
        """In a private chat a draft, which is no message; elsewhere one that is edited."""
        text = preview_text(place, markdown)
        if text is None:
            return message
        take_courtesy_turn(self._pace, place.chat_id)
        async with self._connection.lend_now(self._timeout_s) as account:
            if place.is_private:
                await account.send_draft(place, number, text)
                self.when_draft(place)
                return None
            call = SendText(place=place, text=text.text, entities=text.entities, reply_to=self._asked.get(place))
            if message is None:
                return self._began(await account.send_text(call), call)
            await account.edit_text(int(message), call)
            return message

    def replied_to(self, message: PlatformMessageId) -> PlatformMessageId | None:
        """Return what a message that grew is a reply to."""
        asked = self._replies.get(message)
        return None if asked is None else PlatformMessageId(str(asked))

    def _began(self, number: int, call: SendText) -> PlatformMessageId:
        message = PlatformMessageId(str(number))
        if call.reply_to is not None:
            self._replies[message] = call.reply_to
            if len(self._replies) > MAX_KEPT:
                self._replies.popitem(last=False)
        return message
