"""The Discord channel: its client, decoding and encoding, and what it shows of work, put together."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path

from channels.channel import DeliveryFailed, Inbox, Menus, ShownKind
from channels.discord.connection import DiscordClient, FetchSecret
from channels.discord.decode import decode_event
from channels.discord.encode import Place, SendMessage, build_calls, content_of, parse_place, place_key
from channels.discord.menus import MenuSetter
from channels.discord.speech import Speech, emoji_of, message_number
from channels.discord.timings import Timings
from channels.growing import Growing
from channels.growth import GrowingPace
from channels.lines import Lines
from channels.marks import TAKEN, Marks
from channels.presence import Presence
from channels.standing import Standing
from protocol.ids import ChannelId, ChatKey, PlatformMessageId
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt

MAX_REMEMBERED = 200
"""Messages of several parts whose delivery broke off, remembered until they are tried again."""
GROWING_CHARS = 4000
GROWING_PER_S = 25.0
"""Half of what Discord takes from a bot in a second: answers come first."""


class DiscordChannel:
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
        """`kept`: the stem of files that are this channel's alone; None: what is said while no host runs is not heard,
        and what a host that died was showing stays."""
        known = timings or Timings()
        self._channel_id = channel_id
        self._client = DiscordClient(fetch_secret, url, known, kept=_beside(kept, ".seen"))
        self._speech = Speech(self._client, known)
        self._presence = Presence(self._speech.send_typing, repeat_s=known.typing_every_s)
        self._lines = Lines(
            self._speech,
            self._standing(_beside(kept, ".lines")),
            first_after_s=known.first_line_s,
            every_s=lambda _: known.line_every_s,
        )
        pace = GrowingPace(
            first_after_s=known.growing_after_s,
            every_s=known.growing_every_s,
            answer_within_s=known.answer_within_s,
        )
        self._growing = Growing(
            self._speech,
            self._standing(_beside(kept, ".growing")),
            pace=lambda _: pace,
            max_chars=GROWING_CHARS,
            per_s=GROWING_PER_S,
        )
        self._marks = Marks(self._speech)
        self._menus = MenuSetter(self._client)
        self._client.when_connected = self._menus.connected
        self._parts_sent: OrderedDict[str, list[PlatformMessageId]] = OrderedDict()

    def _standing(self, path: Path | None) -> Standing[Place]:
        return Standing(
            path,
            lambda place: place_key(self._channel_id, place),
            lambda key: parse_place(self._channel_id, ChatKey(key)),
        )

    @property
    def channel_id(self) -> ChannelId:
        return self._channel_id

    async def run(self, inbox: Inbox) -> None:
        async def accept(event_id: str, raw: bytes) -> None:
            await inbox.accept(self._channel_id, event_id, raw)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._presence.run())
            tasks.create_task(self._lines.run())
            tasks.create_task(self._growing.run())
            tasks.create_task(self._marks.run())
            tasks.create_task(self._menus.run())
            tasks.create_task(self._client.run(accept))

    def decode(self, raw: bytes) -> InboundMessage | None:
        return decode_event(self._channel_id, raw)

    async def send(self, message: OutboundMessage) -> Receipt:
        """Deliver the message. When a later part failed, the next try with the same key goes on after the parts that
        were sent; after a restart Discord knows them by their nonces for some minutes."""
        calls = build_calls(self._channel_id, message, await asyncio.to_thread(_sizes_of, message))
        sent = self._parts_sent.pop(message.idempotency_key, [])
        try:
            if message.is_answer and calls and not sent:
                sent.append(await self._begin_answer(calls[0]))
            for call in calls[len(sent) :]:
                sent.append(await self._speech.perform(call))
        finally:
            if len(sent) < len(calls):
                self._remember(message.idempotency_key, sent)
        return Receipt(platform_message_ids=tuple(sent))

    async def _begin_answer(self, first: SendMessage) -> PlatformMessageId:
        standing = await self._become(first)
        message = standing or await self._speech.perform(first)
        await self._growing.settle(first.place, became_answer=standing is not None)
        return message

    async def _become(self, first: SendMessage) -> PlatformMessageId | None:
        """Have what is seen of the answer become its first message; None where that is to be sent as any other."""
        standing = await self._growing.take_over(first.place)
        if standing is None or first.uploads:
            return None
        try:
            await self._speech.edit(first.place, standing, first.content, first.rows)
        except DeliveryFailed as failed:
            if failed.permanent:
                return None  # somebody took it away
            raise
        return standing

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        return await self._client.download(file.reference, into, max_bytes)

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        place = parse_place(self._channel_id, chat)
        match kind:
            case "done":
                self._presence.end(place)
                self._lines.end(place)
                self._growing.end(place)
                return
            case "delta":
                self._growing.add(place, text)
            case "turn":
                self._growing.end_turn(place)
            case "progress" if text:
                self._lines.want(place, text)
        self._presence.begin(place)

    async def edit(self, chat: ChatKey, message: PlatformMessageId, text: str) -> None:
        place = parse_place(self._channel_id, chat)
        await self._speech.edit(place, message_number(message), content_of(text))

    async def delete(self, chat: ChatKey, message: PlatformMessageId) -> None:
        await self._speech.delete(parse_place(self._channel_id, chat), message_number(message))

    async def take_buttons(self, chat: ChatKey, message: PlatformMessageId) -> None:
        await self._speech.edit(parse_place(self._channel_id, chat), message_number(message), None, ())

    def why_no_reaction(self, emoji: str) -> str:
        is_known = not emoji or emoji_of(emoji) is not None
        return "" if is_known else "Discord takes any one emoji, or a server's own as <:name:id>"

    async def react(self, chat: ChatKey, message: PlatformMessageId, emoji: str) -> None:
        known = emoji_of(emoji) if emoji else ""
        if known is None:
            raise DeliveryFailed("Discord has no such reaction", permanent=True)
        place = parse_place(self._channel_id, chat)
        await self._speech.react(place, message_number(message), known, but=TAKEN)

    def mark(self, chat: ChatKey, message: PlatformMessageId, *, is_on: bool) -> None:
        if message.isdecimal():
            self._marks.set(parse_place(self._channel_id, chat), message, is_on=is_on)

    async def set_menu(self, menus: Menus) -> None:
        self._menus.want(menus)

    def health(self) -> str:
        return self._client.health()

    def _remember(self, key: str, sent: list[PlatformMessageId]) -> None:
        if not key or not sent:
            return
        self._parts_sent[key] = sent
        if len(self._parts_sent) > MAX_REMEMBERED:
            self._parts_sent.popitem(last=False)


def _beside(kept: Path | None, suffix: str) -> Path | None:
    return None if kept is None else kept.with_name(f"{kept.name}{suffix}")


def _sizes_of(message: OutboundMessage) -> list[int]:
    if message.file_path is None:
        return []
    return [_size_of(path) for path in (message.file_path, *(file.path for file in message.more_files))]


def _size_of(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise DeliveryFailed(f"the file {Path(path).name} cannot be read: {error.strerror}", permanent=True) from error
