"""What is said and shown on Discord, at the pace that it allows. What must be said waits for its turn, or is told how
long that would be; what only shows work takes what is left."""

from __future__ import annotations

import itertools
import secrets
from typing import Protocol

from channels.channel import DeliveryFailed
from channels.discord.encode import Place, Rows, SendMessage, beginning_of, nonce_of
from channels.discord.limits import PaceKey, Route
from channels.discord.timings import Timings
from channels.pace import Pace
from channels.pacing import take_courtesy_turn, wait_for_turn
from protocol.ids import PlatformMessageId

NOTHING_YET = "…"


class SpeechCalls(Protocol):
    """The part of the client that is spoken through. Each raises DeliveryFailed, or NotYet."""

    @property
    def pace(self) -> Pace[PaceKey]: ...
    def is_being_posted(self, nonce: str) -> bool: ...
    async def post(self, call: SendMessage, timeout_s: float) -> PlatformMessageId: ...
    async def change(
        self, place: Place, message: PlatformMessageId, content: str | None, rows: Rows | None, timeout_s: float
    ) -> None: ...
    async def remove(self, place: Place, message: PlatformMessageId, timeout_s: float) -> None: ...
    async def reactions(self, place: Place, message: PlatformMessageId, timeout_s: float) -> list[str]: ...
    async def react(
        self, place: Place, message: PlatformMessageId, emoji: str, timeout_s: float, *, is_on: bool
    ) -> None: ...
    async def type(self, place: Place, timeout_s: float) -> None: ...


class Speech:
    """The voice of one bot account."""

    def __init__(self, calls: SpeechCalls, timings: Timings) -> None:
        self._calls = calls
        self._timings = timings
        self._own = secrets.token_hex(8)
        """Tells the nonces of what we show from those of an earlier host."""
        self._lines: dict[Place, int] = {}
        """By place: the line that is being sent there now."""
        self._numbers = itertools.count(1)

    # What must be said

    async def perform(self, call: SendMessage) -> PlatformMessageId:
        """Send a message; return its id. Tried again with its nonce it stands there once."""
        if not self._calls.is_being_posted(call.nonce):
            await self._turn(call.place, Route.SAY)
        return await self._calls.post(call, self._timings.upload_s if call.uploads else self._timings.send_s)

    async def edit(
        self, place: Place, message: PlatformMessageId, content: str | None, rows: Rows | None = None
    ) -> None:
        """Have a message of ours say something else, and have these buttons; None: as they are."""
        await self._turn(place, Route.EDIT)
        await self._calls.change(place, message, content, rows, self._timings.send_s)

    async def delete(self, place: Place, message: PlatformMessageId) -> None:
        """Have a message of ours go; one that is gone is well."""
        await self._turn(place, Route.DELETE)
        await self._calls.remove(place, message, self._timings.send_s)

    async def react(self, place: Place, message: PlatformMessageId, emoji: str, *, but: str) -> None:
        """Have just this emoji of ours under a message, none if it is empty; `but` stays as it is."""
        await self._turn(place, Route.READ)
        ours = await self._calls.reactions(place, message, self._timings.send_s)
        for old in ours:
            if old not in (emoji, but):
                await self._turn(place, Route.REACT)
                await self._calls.react(place, message, old, self._timings.send_s, is_on=False)
        if emoji and emoji not in ours:
            await self._turn(place, Route.REACT)
            await self._calls.react(place, message, emoji, self._timings.send_s, is_on=True)

    async def _turn(self, place: Place, route: Route) -> None:
        await wait_for_turn(self._calls.pace, PaceKey(channel=place.channel, route=route))

    # What only shows work

    async def send_typing(self, place: Place) -> None:
        self._courtesy(place, Route.TYPE)
        await self._calls.type(place, self._timings.show_s)

    async def set_mark(self, place: Place, message: PlatformMessageId, emoji: str, *, is_on: bool) -> None:
        self._courtesy(place, Route.REACT)
        await self._calls.react(place, message, emoji, self._timings.show_s, is_on=is_on)

    async def send_line(self, place: Place, text: str) -> PlatformMessageId:
        number = self._lines.setdefault(place, next(self._numbers))
        call = SendMessage(place=place, content=text, nonce=nonce_of(f"{self._own} line", number))
        message = await self._show(call)
        self._lines.pop(place, None)
        return message

    async def edit_line(self, place: Place, message: PlatformMessageId, text: str) -> None:
        self._courtesy(place, Route.EDIT)
        await self._calls.change(place, message, text, None, self._timings.show_s)

    async def delete_line(self, place: Place, message: PlatformMessageId) -> None:
        await self.take_away(place, message)

    async def grow(
        self, place: Place, number: int, message: PlatformMessageId | None, markdown: str
    ) -> PlatformMessageId | None:
        content = beginning_of(markdown)
        if message is None:
            nonce = nonce_of(f"{self._own} answer", number)
            return await self._show(SendMessage(place=place, content=content or NOTHING_YET, nonce=nonce))
        if content:
            self._courtesy(place, Route.EDIT)
            await self._calls.change(place, message, content, None, self._timings.show_s)
        return message

    async def take_away(self, place: Place, message: PlatformMessageId) -> None:
        self._courtesy(place, Route.DELETE)
        await self._calls.remove(place, message, self._timings.show_s)

    async def _show(self, call: SendMessage) -> PlatformMessageId:
        if not self._calls.is_being_posted(call.nonce):
            self._courtesy(call.place, Route.SAY)
        return await self._calls.post(call, self._timings.show_s)

    def _courtesy(self, place: Place, route: Route) -> None:
        take_courtesy_turn(self._calls.pace, PaceKey(channel=place.channel, route=route))


def emoji_of(text: str) -> str | None:
    """Return an emoji as Discord's API names it, None for what is none: any of Unicode's, or `<:name:id>`."""
    if text.startswith("<") and text.endswith(">") and text.count(":") == 2:
        _, name, number = text.strip("<>").split(":")
        return f"{name}:{number}" if name and number.isdecimal() else None
    is_emoji = 0 < len(text) <= 16 and not text.isascii() and not any(sign.isalpha() or sign.isspace() for sign in text)
    return text if is_emoji else None


def message_number(message: PlatformMessageId) -> PlatformMessageId:
    """Return an id that is one of Discord's; raise DeliveryFailed for any other."""
    if not message.isdecimal():
        raise DeliveryFailed(f"`{message[:40]}` is no message of Discord's", permanent=True)
    return message
