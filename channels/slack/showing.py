"""What is shown of work: a growing answer, the line of progress, marks. `growing.py`, `lines.py`, `marks.py` call it.

An answer grows as one of Slack's own streams where there is a thread and the pace allows one, else by edits. A stream
only appends: it is given what is settled for good, and where that is not what went before, it ends and edits follow.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from channels.channel import NotYet
from channels.markdown.slack import render_slack
from channels.markdown.stream import settled_for_stream, unrung_markdown
from channels.preview import preview
from channels.slack.client import SlackClient
from channels.slack.emoji import slack_name
from channels.slack.encode import Place, Post, line_text
from channels.slack.failures import Refused, Unanswered
from channels.slack.inlet import Inlet
from channels.slack.sending import EVENT_TYPE, Metadata, Sending, payload_of
from protocol.ids import PlatformMessageId

MAX_STREAM_CHARS = 11_000
"""Of one stream; Slack takes 12,000 in a piece."""
MAX_BEGUN = 1000
GROWING_TYPE = "nightyard_growing"
LINE: Metadata = {"event_type": "nightyard_line", "event_payload": {}}
NOT_STREAMING = ("message_not_in_streaming_state", "streaming_state_conflict")
NO_STREAMS = ("unknown_method", "feature_disabled", "not_allowed", "streaming_not_supported")
GONE = ("message_not_found",)


@dataclass(slots=True, kw_only=True)
class _Stream:
    sent: str
    is_live: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lost:
    """A message whose beginning was not answered."""

    after: str
    """What time it was on the server before, a ts."""
    is_stream: bool


class Showing:
    """What is shown in one workspace."""

    def __init__(self, client: SlackClient, inlet: Inlet, sending: Sending) -> None:
        self._client = client
        self._inlet = inlet
        self._sending = sending
        self._begun: OrderedDict[str, _Stream | None] = OrderedDict()
        """What was begun by this host, newest last; None for what grows by edits."""
        self._lost: dict[int, _Lost] = {}
        self._life = secrets.token_hex(8)

    # GrowingCalls

    async def grow(
        self, place: Place, number: int, message: PlatformMessageId | None, markdown: str
    ) -> PlatformMessageId | None:
        if message is None:
            return await self._begin(place, number, markdown)
        stream = self._begun.get(message)
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

    async def find_grown(self, place: Place, number: int) -> PlatformMessageId | None:
        lost = self._lost.get(number)
        if lost is None:
            return None  # it was not even asked for
        found = None
        async for message in self._sending.said_since(place, lost.after):
            if self._is_lost_stream(message) if lost.is_stream else self._is_growth(message, number):
                found = PlatformMessageId(str(message["ts"]))
        if found is not None:
            if lost.is_stream:
                await self._stop(place, found, None)  # how much of it Slack has is not known: edits follow
            self._note_begun(place, found, None)
        self._lost.pop(number, None)
        return found

    def _is_growth(self, message: Mapping[str, Any], number: int) -> bool:
        return (payload_of(message, GROWING_TYPE) or {}).get("key") == self._key(number)

    def _is_lost_stream(self, message: Mapping[str, Any]) -> bool:
        """A stream takes no key at its beginning; but everything else that we say has one, or files."""
        is_bare = not (message.get("metadata") or message.get("files") or message.get("subtype"))
        return message.get("user") == self._client.bot.user and is_bare and message.get("ts") not in self._begun

    def _key(self, number: int) -> str:
        return f"{self._life}:{number}"

    def _note_begun(self, place: Place, ts: str, stream: _Stream | None) -> None:
        self._inlet.note_ours(place, ts)
        self._begun[ts] = stream
        if len(self._begun) > MAX_BEGUN:
            self._begun.popitem(last=False)

    async def _begin(self, place: Place, number: int, markdown: str) -> PlatformMessageId | None:
        lost = _Lost(after=self._sending.server_time(), is_stream=True)
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
            except Unanswered:
                self._lost[number] = lost
                raise
        post = _preview(place, markdown)
        if post is None:
            return None
        metadata = {"event_type": GROWING_TYPE, "event_payload": {"key": self._key(number)}}
        try:
            ts = await self._sending.post(post, is_courtesy=True, metadata=metadata)
        except Unanswered:
            self._lost[number] = replace(lost, is_stream=False)
            raise
        self._note_begun(place, ts, None)
        return PlatformMessageId(ts)

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
        self._note_begun(place, ts, _Stream(sent=settled))
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
        stream = self._begun.get(ts)
        if stream is not None and stream.is_live:
            await self._stop(place, ts, stream)
        try:
            await self._sending.change(place, ts, post, metadata=metadata)
        except Refused as refused:
            if refused.error not in NOT_STREAMING:
                raise
            await self._stop(place, ts, stream)
            await self._sending.change(place, ts, post, metadata=metadata)
        self._begun.pop(ts, None)

    async def take_away(self, place: Place, message: PlatformMessageId) -> None:
        if message not in self._begun and await self._is_answer(place, message):
            return  # the host that began it died before it had noted so
        stream = self._begun.get(message)
        if stream is not None and stream.is_live:
            await self._stop(place, message, stream)
        try:
            await self.delete(place, message)
        except Refused as refused:
            if refused.error not in NOT_STREAMING:
                raise
            await self._stop(place, message, stream)
            await self.delete(place, message)
        self._begun.pop(message, None)

    async def _is_answer(self, place: Place, message: PlatformMessageId) -> bool:
        try:
            return payload_of(await self._sending.read(place, message), EVENT_TYPE) is not None
        except Refused as refused:
            if not refused.permanent:
                raise
            return False  # it is gone, or we may not read there

    # LineCalls

    async def send_line(self, place: Place, text: str) -> PlatformMessageId:
        line = line_text(text)
        post = Post(place=place, text=line.text, blocks=line.blocks)
        return PlatformMessageId(await self._sending.post(post, is_courtesy=True, metadata=LINE))

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
