"""The Slack channel: its client, what comes in and goes out, and what it shows of work, put together."""

from __future__ import annotations

import asyncio
from pathlib import Path

from channels.channel import DeliveryFailed, Inbox, NotYet, ShownKind
from channels.growing import Growing
from channels.growth import GrowingPace
from channels.lines import Lines
from channels.marks import TAKEN, Marks
from channels.slack.begun import BegunMessages
from channels.slack.client import FetchSecret, SlackClient
from channels.slack.decode import decode_raw
from channels.slack.emoji import slack_name
from channels.slack.encode import Place, Post, build_calls, named_place, parse_place, place_name
from channels.slack.failures import Refused
from channels.slack.files import Files
from channels.slack.inlet import Inlet
from channels.slack.raw import TS
from channels.slack.seen import Seen
from channels.slack.sending import Metadata, Sending, Takeover
from channels.slack.showing import MAX_STREAM_CHARS, Showing
from channels.slack.standing_buttons import without_buttons
from channels.slack.statuses import Statuses
from channels.slack.timings import Timings
from channels.standing import Standing
from protocol.ids import ChannelId, ChatKey, PlatformMessageId
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt

CHANGES_PER_S = 20.0


class SlackChannel:
    """One app in one workspace as a Channel."""

    def __init__(
        self,
        channel_id: ChannelId,
        fetch_secret: FetchSecret,
        url: str = "",
        timings: Timings | None = None,
        *,
        kept: Path | None = None,
    ) -> None:
        """`kept`: a path that is this channel's alone; files stand beside it. None: nothing survives the host."""
        self._channel_id = channel_id
        timings = timings or Timings()
        self._client = client = SlackClient(fetch_secret, url, timings)
        self._seen = Seen(_beside(kept, "seen"), timings.seen_every_s)
        self._begun = BegunMessages(_beside(kept, "begun"))
        self._inlet = Inlet(client, self._seen)
        self._files = Files(client)
        self._sending = Sending(client, self._inlet, self._begun, self._files, lambda: self._seen.newest)
        self._showing = Showing(client, self._inlet, self._sending)
        self._lines: Lines[Place] = Lines(
            self._showing,
            Standing(_beside(kept, "lines"), place_name, named_place),
            first_after_s=timings.first_line_s,
            every_s=lambda _: timings.line_every_s,
        )
        self._growing: Growing[Place] = Growing(
            self._showing,
            Standing(_beside(kept, "growing"), place_name, named_place),
            pace=lambda place: GrowingPace(
                first_after_s=timings.first_growth_s,
                every_s=timings.stream_every_s if place.thread else timings.growth_every_s,
            ),
            max_chars=MAX_STREAM_CHARS,
            per_s=CHANGES_PER_S,
            shape=lambda markdown: markdown,
        )
        self._marks: Marks[Place] = Marks(self._showing)
        self._statuses = Statuses(client)

    @property
    def channel_id(self) -> ChannelId:
        return self._channel_id

    async def run(self, inbox: Inbox) -> None:
        async def accept(event_id: str, raw: bytes) -> None:
            await inbox.accept(self._channel_id, event_id, raw)

        self._inlet.accept = accept
        await self._seen.load()
        await self._begun.load()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._seen.run())
            tasks.create_task(self._statuses.run())
            tasks.create_task(self._lines.run())
            tasks.create_task(self._growing.run())
            tasks.create_task(self._marks.run())
            tasks.create_task(self._inlet.run())
            tasks.create_task(self._client.run(self._inlet.take))

    def decode(self, raw: bytes) -> InboundMessage | None:
        return decode_raw(self._channel_id, raw)

    async def send(self, message: OutboundMessage) -> Receipt:
        """Deliver the message. What was sent of it before is not sent again, by this host or the one before it."""
        place, calls = parse_place(self._channel_id, message.chat), build_calls(self._channel_id, message)
        stands = await self._growing.take_over(place) if message.is_answer and calls else None
        over = None if stands is None or not isinstance(calls[0], Post) else self._takeover(place, stands)
        ids = await self._sending.say(message.idempotency_key, calls, over)
        if message.is_answer:
            await self._growing.settle(place, became_answer=stands is not None and ids[:1] == (stands,))
        return Receipt(platform_message_ids=ids)

    def _takeover(self, place: Place, stands: PlatformMessageId) -> Takeover:
        async def over(post: Post, metadata: Metadata | None) -> str:
            try:
                await self._showing.become(place, stands, post, metadata)
                return stands
            except NotYet:
                pass  # Slack takes 50 changes a minute, and many more posts: what grew goes when there is room for that
            except Refused as refused:  # it was taken away, or is too old to be changed
                if not refused.permanent:
                    raise
            return await self._sending.post(post, metadata=metadata)

        return over

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        return await self._files.fetch(file.reference, into, max_bytes)

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        place = parse_place(self._channel_id, chat)
        match kind:
            case "done":
                self._statuses.end(place)
                self._lines.end(place)
                self._growing.end(place)
            case "delta":
                self._growing.add(place, text)
            case "turn":
                self._growing.end_turn(place)
            case "accepted" | "progress" if self._statuses.has_one(place):
                self._statuses.begin(place, text)
            case "progress" if text:
                self._lines.want(place, text)

    async def edit(self, chat: ChatKey, message: PlatformMessageId, text: str) -> None:
        calls = build_calls(self._channel_id, OutboundMessage(chat=chat, text=text))
        if len(calls) != 1 or not isinstance(calls[0], Post):
            raise DeliveryFailed("the new text is too long for one message of Slack's", permanent=True)
        await self._sending.change(calls[0].place, _ts(message), calls[0])

    async def delete(self, chat: ChatKey, message: PlatformMessageId) -> None:
        await self._showing.delete(parse_place(self._channel_id, chat), _ts(message))

    async def take_buttons(self, chat: ChatKey, message: PlatformMessageId) -> None:
        place = parse_place(self._channel_id, chat)
        post = without_buttons(place, await self._sending.read(place, _ts(message)))
        if post is not None:
            await self._sending.change(place, message, post)

    def why_no_reaction(self, emoji: str) -> str:
        if not emoji or slack_name(emoji):
            return ""
        return "Slack has no name for this that is known here; give one between colons, such as :white_check_mark:"

    async def react(self, chat: ChatKey, message: PlatformMessageId, emoji: str) -> None:
        place, name = parse_place(self._channel_id, chat), slack_name(emoji) if emoji else ""
        if name is None:
            raise DeliveryFailed(self.why_no_reaction(emoji), permanent=True)
        await self._showing.react(place, _ts(message), name)
        if name == slack_name(TAKEN):
            self._marks.leave(place, message)

    def mark(self, chat: ChatKey, message: PlatformMessageId, *, is_on: bool) -> None:
        if TS.match(message):
            self._marks.set(parse_place(self._channel_id, chat), message, is_on=is_on)

    def health(self) -> str:
        return self._client.health()


def _ts(message: PlatformMessageId) -> str:
    if not TS.match(message):
        raise DeliveryFailed(f"`{message}` is no message of Slack's", permanent=True)
    return message


def _beside(kept: Path | None, name: str) -> Path | None:
    return None if kept is None else kept.with_suffix(f".{name}.json")
