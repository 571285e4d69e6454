"""The Telegram channel: its connection, decoding and encoding, and what it shows of work, put together."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path

from channels.channel import DeliveryFailed, Inbox, Menus, ShownKind
from channels.growing import Growing
from channels.growth import GrowingPace
from channels.lines import Lines
from channels.marks import Marks
from channels.presence import Presence
from channels.standing import Standing
from channels.telegram.calls import ApiCall, SendText
from channels.telegram.connection import Connection, FetchSecret
from channels.telegram.decode import decode_update
from channels.telegram.encode import build_calls
from channels.telegram.flood import build_pace
from channels.telegram.menus import MenuSetter
from channels.telegram.moves import Moves
from channels.telegram.places import Place, parse_place, place_key
from channels.telegram.reactions import REACTIONS, find_reaction
from channels.telegram.sender import Sender
from channels.telegram.shows import Shows
from channels.telegram.timings import Timings
from channels.telegram.upload import size_of
from protocol.ids import ChannelId, ChatKey, PlatformMessageId
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt

MAX_REMEMBERED = 200
"""Messages of several parts whose delivery broke off, remembered until they are tried again."""
SLOWER_IN_GROUPS = 2
"""Telegram takes 20 messages a minute in a group; answers come first."""
GROWING_CHARS = 4096
"""Of an answer as it grows: as much as one message holds."""


class TelegramChannel:
    """One bot account as a Channel."""

    def __init__(
        self,
        channel_id: ChannelId,
        fetch_secret: FetchSecret,
        url: str = "",
        timings: Timings | None = None,
        *,
        kept: Path | None = None,
    ) -> None:
        """`kept`: a file that is this channel's alone, and the beginning of the names of others; None: what a host
        leaves standing in chats when it dies stays there."""
        timings = timings or Timings()
        self._channel_id = channel_id
        self._connection = Connection(fetch_secret, url, timings)
        pace = build_pace(timings.rates)
        self._sender = Sender(self._connection, pace, timings)
        self._moves = Moves()
        self._sender.when_moved = self._moves.note
        shows = self._shows = Shows(self._connection, pace, timings)
        self._presence = Presence(shows.send_typing, repeat_s=timings.typing_every_s)
        shows.when_draft = self._drafted
        self._drafts: set[Place] = set()
        """Where a draft is seen. In Telegram's apps that is a kind of typing: the one would hide the other."""
        self._lines = Lines(
            shows,
            self._standing(kept),
            first_after_s=timings.first_line_s,
            every_s=lambda place: timings.line_every_s * (1 if place.is_private else SLOWER_IN_GROUPS),
        )
        self._growing = Growing(
            shows,
            self._standing(None if kept is None else kept.with_suffix(".growing.json")),
            pace=lambda place: _growing_pace(place, timings),
            max_chars=GROWING_CHARS,
            per_s=timings.rates.growing_per_s,
        )
        self._marks = Marks(shows)
        self._menus = MenuSetter(channel_id, shows)
        self._connection.when_connected = self._menus.connected
        self._upload_s = timings.upload_s
        self._parts_sent: OrderedDict[str, list[tuple[int, ...]]] = OrderedDict()

    @property
    def channel_id(self) -> ChannelId:
        return self._channel_id

    async def run(self, inbox: Inbox) -> None:
        async def accept(event_id: str, raw: bytes) -> None:
            await inbox.accept(self._channel_id, event_id, raw)

        async with asyncio.TaskGroup() as tasks:
            for part in (self._presence, self._lines, self._growing, self._marks, self._menus):
                tasks.create_task(part.run())
            tasks.create_task(self._moves.run(accept))
            tasks.create_task(self._connection.run(accept))

    def decode(self, raw: bytes) -> InboundMessage | None:
        return decode_update(self._channel_id, raw)

    async def send(self, message: OutboundMessage) -> Receipt:
        """Deliver the message. When a later part failed, the next try with the same key goes on after the parts that
        were sent; a host that was restarted in between sends them again."""
        files = (message.file_path, *(file.path for file in message.more_files))
        calls = build_calls(self._channel_id, message, [size_of(path) for path in files if path is not None])
        sent = self._parts_sent.pop(message.idempotency_key, [])
        try:
            if message.is_answer and calls and not sent:
                sent.extend(await self._in_place_of_what_grew(message, calls[0]))
            for call in calls[len(sent) :]:
                sent.append(await self._sender.perform(call))
            if message.is_answer:
                await self._growing.settle(parse_place(self._channel_id, message.chat), became_answer=False)
        finally:
            if len(sent) < len(calls):
                self._remember(message.idempotency_key, sent)
        return Receipt(platform_message_ids=tuple(PlatformMessageId(str(number)) for part in sent for number in part))

    async def _in_place_of_what_grew(self, message: OutboundMessage, first: ApiCall) -> list[tuple[int, ...]]:
        """Have what is seen of an answer become its first part; return that, or nothing where it is to be sent."""
        place = parse_place(self._channel_id, message.chat)
        grown = await self._growing.take_over(place)
        if grown is not None and isinstance(first, SendText) and self._is_reply_to(grown, message.reply_to):
            try:
                await self._sender.edit_text(int(grown), first)
            except DeliveryFailed as failed:
                if not failed.permanent:
                    raise
            else:
                await self._growing.settle(place, became_answer=True)
                return [(int(grown),)]
        return []

    def _is_reply_to(self, grown: PlatformMessageId, asked: PlatformMessageId | None) -> bool:
        return asked is None or self._shows.replied_to(grown) == asked

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        async with self._connection.lend(self._upload_s) as account:
            return await account.download(file.reference, into, max_bytes)

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        place = parse_place(self._channel_id, chat)
        match kind:
            case "accepted":
                self._type(place)
            case "delta":
                self._growing.add(place, text)
            case "turn":
                self._growing.end_turn(place)
            case "progress":
                self._type(place)
                if text:
                    self._lines.want(place, text)
            case "done":
                self._drafts.discard(place)
                self._presence.end(place)
                self._lines.end(place)
                self._growing.end(place)

    def _type(self, place: Place) -> None:
        if place not in self._drafts:
            self._presence.begin(place)

    def _drafted(self, place: Place) -> None:
        self._drafts.add(place)
        self._presence.end(place)

    async def edit(self, chat: ChatKey, message: PlatformMessageId, text: str) -> None:
        calls = build_calls(self._channel_id, OutboundMessage(chat=chat, text=text))
        if len(calls) != 1 or not isinstance(calls[0], SendText) or not message.isdecimal():
            raise DeliveryFailed("the new text is too long for one message of Telegram's", permanent=True)
        await self._sender.edit_text(int(message), calls[0])

    async def delete(self, chat: ChatKey, message: PlatformMessageId) -> None:
        if message.isdecimal():
            await self._sender.delete(parse_place(self._channel_id, chat), int(message))

    async def take_buttons(self, chat: ChatKey, message: PlatformMessageId) -> None:
        if message.isdecimal():
            await self._sender.take_buttons(parse_place(self._channel_id, chat), int(message))

    def why_no_reaction(self, emoji: str) -> str:
        return "" if not emoji or find_reaction(emoji) else f"Telegram takes only these: {' '.join(REACTIONS)}"

    async def react(self, chat: ChatKey, message: PlatformMessageId, emoji: str) -> None:
        reaction = find_reaction(emoji) if emoji else ""
        if reaction is None or not message.isdecimal():
            raise DeliveryFailed("Telegram has no such reaction", permanent=True)
        place = parse_place(self._channel_id, chat)
        await self._sender.react(place, int(message), reaction)
        self._marks.leave(place, message)

    def mark(self, chat: ChatKey, message: PlatformMessageId, *, is_on: bool) -> None:
        if message.isdecimal():
            place = parse_place(self._channel_id, chat)
            self._shows.is_asked(place, message, is_on=is_on)
            self._marks.set(place, message, is_on=is_on)

    async def set_menu(self, menus: Menus) -> None:
        self._menus.want(menus)

    def health(self) -> str:
        return self._connection.health()

    def _remember(self, key: str, sent: list[tuple[int, ...]]) -> None:
        if not key or not sent:
            return
        self._parts_sent[key] = sent
        if len(self._parts_sent) > MAX_REMEMBERED:
            self._parts_sent.popitem(last=False)

    def _standing(self, path: Path | None) -> Standing[Place]:
        return Standing(
            path,
            lambda place: place_key(self._channel_id, place),
            lambda key: parse_place(self._channel_id, key),
        )


def _growing_pace(place: Place, timings: Timings) -> GrowingPace:
    return timings.draft if place.is_private else timings.growing
