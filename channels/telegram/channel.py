"""The Telegram channel: its client, decoding and encoding, and what it shows of work, put together."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path

from channels.channel import DeliveryFailed, Inbox, Menus, ShownKind
from channels.lines import Lines
from channels.marks import Marks
from channels.presence import Presence
from channels.standing import Standing
from channels.telegram.client import FetchSecret, TelegramClient
from channels.telegram.decode import decode_update
from channels.telegram.encode import SendText, build_calls, parse_place, place_key
from channels.telegram.menus import MenuSetter
from channels.telegram.reactions import REACTIONS, find_reaction
from channels.telegram.timings import Timings
from protocol.ids import ChannelId, ChatKey, PlatformMessageId
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt

MAX_REMEMBERED = 200
"""Messages of several parts whose delivery broke off, remembered until they are tried again."""
SLOWER_IN_GROUPS = 2
"""Telegram takes 20 messages a minute in a group; answers come first."""


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
        """`kept`: a file that is this channel's alone; None: lines of progress that a host leaves behind stay."""
        self._channel_id = channel_id
        self._client = TelegramClient(fetch_secret, url, timings)
        known = timings or Timings()
        self._presence = Presence(self._client.send_typing, repeat_s=known.typing_every_s)
        standing = Standing(kept, lambda place: place_key(channel_id, place), lambda key: parse_place(channel_id, key))
        self._lines = Lines(
            self._client,
            standing,
            first_after_s=known.first_line_s,
            every_s=lambda place: known.line_every_s * (1 if place.is_private else SLOWER_IN_GROUPS),
        )
        self._marks = Marks(self._client)
        self._menus = MenuSetter(channel_id, self._client)
        self._client.when_connected = self._menus.connected
        self._parts_sent: OrderedDict[str, list[int]] = OrderedDict()

    @property
    def channel_id(self) -> ChannelId:
        return self._channel_id

    async def run(self, inbox: Inbox) -> None:
        async def accept(event_id: str, raw: bytes) -> None:
            await inbox.accept(self._channel_id, event_id, raw)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._presence.run())
            tasks.create_task(self._lines.run())
            tasks.create_task(self._marks.run())
            tasks.create_task(self._menus.run())
            tasks.create_task(self._client.run(accept))

    def decode(self, raw: bytes) -> InboundMessage | None:
        return decode_update(self._channel_id, raw)

    async def send(self, message: OutboundMessage) -> Receipt:
        """Deliver the message. When a later part failed, the next try with the same key goes on after the parts that
        were sent; a host that was restarted in between sends them again."""
        calls = build_calls(self._channel_id, message, _size_of(message.file_path))
        sent = self._parts_sent.pop(message.idempotency_key, [])
        try:
            for call in calls[len(sent) :]:
                sent.append(await self._client.perform(call))
        finally:
            if len(sent) < len(calls):
                self._remember(message.idempotency_key, sent)
        return Receipt(platform_message_ids=tuple(PlatformMessageId(str(number)) for number in sent))

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        return await self._client.download(file.reference, into, max_bytes)

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        place = parse_place(self._channel_id, chat)
        if kind == "done":
            self._presence.end(place)
            self._lines.end(place)
            return
        self._presence.begin(place)
        if kind == "progress" and text:
            self._lines.want(place, text)

    async def edit(self, chat: ChatKey, message: PlatformMessageId, text: str) -> None:
        calls = build_calls(self._channel_id, OutboundMessage(chat=chat, text=text))
        if len(calls) != 1 or not isinstance(calls[0], SendText) or not message.isdecimal():
            raise DeliveryFailed("the new text is too long for one message of Telegram's", permanent=True)
        await self._client.edit_text(int(message), calls[0])

    async def take_buttons(self, chat: ChatKey, message: PlatformMessageId) -> None:
        if message.isdecimal():
            await self._client.take_buttons(parse_place(self._channel_id, chat), int(message))

    def why_no_reaction(self, emoji: str) -> str:
        return "" if not emoji or find_reaction(emoji) else f"Telegram takes only these: {' '.join(REACTIONS)}"

    async def react(self, chat: ChatKey, message: PlatformMessageId, emoji: str) -> None:
        reaction = find_reaction(emoji) if emoji else ""
        if reaction is None or not message.isdecimal():
            raise DeliveryFailed("Telegram has no such reaction", permanent=True)
        await self._client.set_reaction(parse_place(self._channel_id, chat), int(message), reaction)
        self._marks.leave(parse_place(self._channel_id, chat), message)

    def mark(self, chat: ChatKey, message: PlatformMessageId, *, is_on: bool) -> None:
        if message.isdecimal():
            self._marks.set(parse_place(self._channel_id, chat), message, is_on=is_on)

    async def set_menu(self, menus: Menus) -> None:
        self._menus.want(menus)

    def health(self) -> str:
        return self._client.health()

    def _remember(self, key: str, sent: list[int]) -> None:
        if not key or not sent:
            return
        self._parts_sent[key] = sent
        if len(self._parts_sent) > MAX_REMEMBERED:
            self._parts_sent.popitem(last=False)


def _size_of(path: str | None) -> int:
    if path is None:
        return 0
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise DeliveryFailed(f"the file {Path(path).name} cannot be read: {error.strerror}", permanent=True) from error
