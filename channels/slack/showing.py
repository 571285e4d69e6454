"""What is shown of work: a growing answer, the line of progress, marks. `growing.py`, `lines.py`, `marks.py` call it.

An answer grows as one of Slack's own streams where there is a thread and the pace allows one, else by edits. A stream
only appends: it is given what is settled for good, and where that is not what went before, it ends and edits follow.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from channels.channel import NotYet
from channels.markdown.slack import render_slack
from channels.markdown.stream import settled_for_stream, unrung_markdown
from channels.preview import preview
from channels.slack.client import SlackClient
from channels.slack.emoji import slack_name
from channels.slack.encode import Place, Post, line_text
from channels.slack.failures import Refused
from channels.slack.inlet import Inlet
from channels.slack.sending import Sending
from protocol.ids import PlatformMessageId

MAX_STREAM_CHARS = 11_000
"""Of one stream; Slack takes 12,000 in a piece."""
MAX_STREAMS = 500
NOT_STREAMING = ("message_not_in_streaming_state", "streaming_state_conflict")
NO_STREAMS = ("unknown_method", "feature_disabled", "not_allowed", "streaming_not_supported")
GONE = ("message_not_found",)


@dataclass(slots=True, kw_only=True)
class _Stream:
    sent: str
    is_live: bool = True


class Showing:
    """What is shown in one workspace."""

    def __init__(self, client: SlackClient, inlet: Inlet, sending: Sending) -> None:
        self._client = client
        self._inlet = inlet
        self._sending = sending
        self._streams: OrderedDict[str, _Stream] = OrderedDict()

    # GrowingCalls

    async def grow(
        self, place: Place, number: int, message: PlatformMessageId | None, markdown: str
    ) -> PlatformMessageId | None:
        del number
        if message is None:
            return await self._begin(place, markdown)
        stream = self._streams.get(message)
        if stream is not None and stream.is_live:
            settled = unrung_markdown(settled_for_stream(markdown))[:MAX_STREAM_CHARS]
            if settled.startswith(stream.sent):
                await self._append(place, message, stream, settled)
                return message
            await self._stop(place, message, stream)
        posts = _preview(place, markdown)
        if posts:
            await self._sending.change(place, message, posts, is_courtesy=True)
        return message

    async def _begin(self, place: Place, markdown: str) -> PlatformMessageId | None:
        settled = unrung_markdown(settled_for_stream(markdown))[:MAX_STREAM_CHARS] if place.thread else ""
        recipient = self._inlet.speaker(place)
        if place.thread and (place.is_direct or recipient):
            if not settled.strip():
                return None
            try:
                return await self._start(place, settled, recipient)
            except NotYet:
                pass  # more answers begin in this minute than Slack streams: this one grows by edits
            except Refused as refused:
                if not refused.permanent or refused.error in GONE:
                    raise
        post = _preview(place, markdown)
        return PlatformMessageId(await self._sending.post(post, is_courtesy=True)) if post else None

    async def _start(self, place: Place, settled: str, recipient: str) -> PlatformMessageId:
        arguments: dict[str, Any] = {"channel": place.conversation, "thread_ts": place.thread, "markdown_text": settled}
        if recipient and not place.is_direct:
            arguments |= {"recipient_user_id": recipient, "recipient_team_id": self._client.bot.team}
        told = await self._client.call(
            "chat.startStream",
            place.conversation,
            timeout_s=self._client.timings.show_s,
            is_courtesy=True,
            **arguments,
        )
        ts = str(told["ts"])
        self._inlet.note_ours(place, ts)
        self._streams[ts] = _Stream(sent=settled)
        if len(self._streams) > MAX_STREAMS:
            self._streams.popitem(last=False)
        return PlatformMessageId(ts)

    async def _append(self, place: Place, ts: str, stream: _Stream, settled: str) -> None:
        piece = settled[len(stream.sent) :]
        if not piece.strip():
            return
        try:
            await self._client.call(
                "chat.appendStream",
                place.conversation,
                timeout_s=self._client.timings.show_s,
                is_courtesy=True,
                channel=place.conversation,
                ts=ts,
                markdown_text=piece,
            )
        except Refused as refused:
            if refused.error not in NOT_STREAMING:
                raise
            stream.is_live = False  # from now on by edits
        stream.sent = settled

    async def _stop(self, place: Place, ts: str, stream: _Stream | None) -> None:
        try:
            await self._client.call("chat.stopStream", place.conversation, channel=place.conversation, ts=ts)
        except Refused as refused:
            if refused.error not in NOT_STREAMING:
                raise
        if stream is not None:
            stream.is_live = False

    async def become(self, place: Place, ts: str, post: Post, metadata: dict[str, object] | None) -> None:
        """Have what stands of a growing answer become the answer."""
        stream = self._streams.get(ts)
        if stream is not None and stream.is_live:
            await self._stop(place, ts, stream)
        try:
            await self._sending.change(place, ts, post, metadata=metadata)
        except Refused as refused:
            if refused.error not in NOT_STREAMING:
                raise
            await self._stop(place, ts, stream)
            await self._sending.change(place, ts, post, metadata=metadata)
        self._streams.pop(ts, None)

    async def take_away(self, place: Place, message: PlatformMessageId) -> None:
        stream = self._streams.get(message)
        if stream is not None and stream.is_live:
            await self._stop(place, message, stream)
        try:
            await self.delete(place, message)
        except Refused as refused:
            if refused.error not in NOT_STREAMING:
                raise
            await self._stop(place, message, stream)
            await self.delete(place, message)
        self._streams.pop(message, None)

    # LineCalls

    async def send_line(self, place: Place, text: str) -> PlatformMessageId:
        line = line_text(text)
        post = Post(place=place, text=line.text, blocks=line.blocks)
        return PlatformMessageId(await self._sending.post(post, is_courtesy=True))

    async def edit_line(self, place: Place, message: PlatformMessageId, text: str) -> None:
        line = line_text(text)
        post = Post(place=place, text=line.text, blocks=line.blocks)
        await self._sending.change(place, message, post, is_courtesy=True)

    async def delete_line(self, place: Place, message: PlatformMessageId) -> None:
        await self.delete(place, message)

    async def delete(self, place: Place, message: str) -> None:
        """Have a message of ours go; one that is gone already is well."""
        try:
            await self._client.call("chat.delete", place.conversation, channel=place.conversation, ts=message)
        except Refused as refused:
            if refused.error not in GONE:
                raise

    # MarkCalls

    async def set_mark(self, place: Place, message: PlatformMessageId, emoji: str, *, is_on: bool) -> None:
        await self.set_reaction(place, message, slack_name(emoji) or "eyes", is_on=is_on, is_courtesy=is_on)

    async def set_reaction(
        self, place: Place, message: str, name: str, *, is_on: bool, is_courtesy: bool = False
    ) -> None:
        """Put a reaction of ours under a message, or take it away; what is so already is well."""
        try:
            await self._client.call(
                "reactions.add" if is_on else "reactions.remove",
                place.conversation,
                is_courtesy=is_courtesy,
                channel=place.conversation,
                timestamp=message,
                name=name,
            )
        except Refused as refused:
            if refused.error not in ("already_reacted", "no_reaction"):
                raise

    async def react(self, place: Place, message: str, name: str) -> None:
        """Have this be our one reaction under a message; none for an empty name."""
        told = await self._client.call(
            "reactions.get", place.conversation, channel=place.conversation, timestamp=message, full=True
        )
        ours = {
            str(reaction.get("name"))
            for reaction in (told.get("message") or {}).get("reactions") or ()
            if self._client.bot.user in (reaction.get("users") or ())
        }
        for other in ours - {name}:
            await self.set_reaction(place, message, other, is_on=False)
        if name and name not in ours:
            await self.set_reaction(place, message, name, is_on=True)


def _preview(place: Place, markdown: str) -> Post | None:
    chunks = render_slack(preview(markdown))
    return Post(place=place, text=chunks[0].text, blocks=chunks[0].blocks) if chunks else None
