"""Saying things: the calls of one message in order, none of them twice where that can be known.

What was not answered is looked for in the conversation's history before it is said again, by the key that each message
carries as metadata; files are asked themselves where they were shown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from channels.channel import DeliveryFailed
from channels.slack.begun import Begun, BegunMessages
from channels.slack.client import SlackClient
from channels.slack.encode import Call, Place, Post, Upload
from channels.slack.failures import Refused, Unanswered
from channels.slack.files import Files
from channels.slack.inlet import Inlet
from protocol.ids import PlatformMessageId

log = logging.getLogger(__name__)

EVENT_TYPE = "nightyard_message"
PAGE = 200
MAX_PAGES = 10
"""Of a conversation's messages since one was begun, which it is looked for in."""
CLOCKS_APART_S = 60.0
"""Before the first event, what time it is on the server is known from our own clock, which may be ahead of it."""
SHARES_TRIES = 4
SHARES_AGAIN_S = 0.25

Metadata = dict[str, Any]
Takeover = Callable[[Post, Metadata | None], Awaitable[str]]
"""Has a message that stands become this post, or says it anew; returns its ts."""


class Sending:
    """What is said in one workspace."""

    def __init__(
        self, client: SlackClient, inlet: Inlet, begun: BegunMessages, files: Files, server_time: Callable[[], str]
    ) -> None:
        """`server_time` returns what time it is on the server, a ts; empty if nobody knows."""
        self._client = client
        self._inlet = inlet
        self._begun = begun
        self._files = files
        self.server_time = server_time

    async def say(self, key: str, calls: Sequence[Call], over: Takeover | None = None) -> tuple[PlatformMessageId, ...]:
        """Make the calls, return the ids of what can be seen now; the first one takes the place of `over`."""
        await self._client.connection()  # by then is known what an earlier host had begun, and what time it is
        begun = await self._begun.begin(key, self.server_time())
        if begun.is_unsure and calls:
            await self._look_for(key, begun, calls)
        for part, call in enumerate(calls):
            if part not in begun.said:
                begun.said[part] = await self._say_part(key, part, begun, call, over if part == 0 else None)
        self._begun.end(key)
        ids = (ts for part in range(len(calls)) for ts in begun.said[part])
        return tuple(PlatformMessageId(ts) for ts in ids)

    async def _say_part(self, key: str, part: int, begun: Begun, call: Call, over: Takeover | None) -> tuple[str, ...]:
        try:
            if isinstance(call, Upload):
                return await self._show_files(key, part, begun, call)
            metadata = _metadata(key, part)
            if over is not None:
                return (await over(call, metadata),)
            return (await self.post(call, metadata=metadata),)
        except (Unanswered, asyncio.CancelledError):  # cut off by who waits for it: Slack may have it all the same
            begun.is_unsure = True
            raise

    async def post(self, post: Post, *, is_courtesy: bool = False, metadata: Metadata | None = None) -> str:
        """Say something new; return its ts."""
        conversation = post.place.conversation
        arguments: dict[str, Any] = {"channel": conversation, "text": post.text, "blocks": list(post.blocks)}
        if post.place.thread:
            arguments["thread_ts"] = post.place.thread
        if metadata is not None:
            arguments["metadata"] = metadata
        # A preview makes Slack fetch the address: words of an agent must not cause requests.
        arguments |= {"unfurl_links": False, "unfurl_media": False}
        timeout_s = self._client.timings.show_s if is_courtesy else None
        method = "chat.postMessage"
        told = await self._client.call(method, conversation, timeout_s=timeout_s, is_courtesy=is_courtesy, **arguments)
        ts = str(told["ts"])
        self._inlet.note_ours(post.place, ts)
        return ts

    async def change(
        self,
        place: Place,
        ts: str,
        post: Post,
        *,
        is_courtesy: bool = False,
        metadata: Metadata | None = None,
    ) -> None:
        """Have a message of ours say something else."""
        arguments: dict[str, Any] = {"channel": place.conversation, "ts": ts, "text": post.text}
        arguments["blocks"] = list(post.blocks)
        if metadata is not None:
            arguments["metadata"] = metadata
        timeout_s = self._client.timings.show_s if is_courtesy else None
        await self._client.call(
            "chat.update", place.conversation, timeout_s=timeout_s, is_courtesy=is_courtesy, **arguments
        )

    async def read(self, place: Place, ts: str) -> dict[str, Any]:
        """Return a message as it stands; raise DeliveryFailed."""
        arguments: dict[str, Any] = {"channel": place.conversation, "oldest": ts, "latest": ts, "inclusive": True}
        arguments["include_all_metadata"] = True
        method = "conversations.history"
        if place.thread:
            method, arguments["ts"] = "conversations.replies", place.thread
        told = await self._client.call(method, place.conversation, **arguments)
        for message in told.get("messages") or ():
            if message.get("ts") == ts:
                return dict(message)
        raise Refused(method, "message_not_found")

    # Files

    async def _show_files(self, key: str, part: int, begun: Begun, upload: Upload) -> tuple[str, ...]:
        file_ids = await self._files.bring(upload.files)
        if key:
            begun.file_ids[part] = file_ids
            await self._begun.keep()  # what becomes of the next call can only be asked of the files
        named = zip(file_ids, upload.files, strict=True)
        arguments: dict[str, Any] = {"files": [{"id": file_id, "title": file.name} for file_id, file in named]}
        arguments["channel_id"] = upload.place.conversation
        if upload.place.thread:
            arguments["thread_ts"] = upload.place.thread
        if upload.comment:
            arguments["initial_comment"] = upload.comment
        await self._client.call("files.completeUploadExternal", upload.place.conversation, **arguments)
        return await self._shown_at(file_ids, upload.place, tries=SHARES_TRIES)

    async def _shown_at(self, file_ids: Sequence[str], place: Place, *, tries: int) -> tuple[str, ...]:
        """Return the ts of the message that the files have become; Slack tells it of a file, some moments later. None
        after some tries: then it has no id that could be changed or deleted by."""
        for again in range(tries):
            try:
                told = (await self._client.call("files.info", file=file_ids[0])).get("file") or {}
            except DeliveryFailed as failed:
                log.debug("which message a file became is not known: %s", failed.reason)
                return ()
            found = [
                str(share["ts"])
                for kind in (told.get("shares") or {}).values()
                for share in kind.get(place.conversation) or ()
            ]
            if found:
                self._inlet.note_ours(place, found[0])
                return (found[0],)
            if again + 1 < tries:
                await asyncio.sleep(SHARES_AGAIN_S)
        return ()

    # What was lost

    async def _look_for(self, key: str, begun: Begun, calls: Sequence[Call]) -> None:
        """Note which parts of a message can be seen already. Raise DeliveryFailed if that cannot be known now."""
        try:
            seen = await self._with_key(key, begun.after, calls[0].place)
        except Refused as refused:
            if not refused.permanent:
                raise
            log.warning("whether a message was said is not known: %s", refused.reason, extra={"action": "slack_unsure"})
            seen = {}
        for part, call in enumerate(calls):
            if part in begun.said:
                continue
            if part in seen:
                begun.said[part] = (seen[part],)
            elif isinstance(call, Upload) and part in begun.file_ids:
                shown = await self._shown_at(begun.file_ids[part], call.place, tries=SHARES_TRIES)
                if shown:
                    begun.said[part] = shown
        begun.is_unsure = False

    async def _with_key(self, key: str, after: str, place: Place) -> dict[int, str]:
        found: dict[int, str] = {}
        async for message in self.said_since(place, f"{float(after) - CLOCKS_APART_S:.6f}" if after else ""):
            payload = payload_of(message, EVENT_TYPE)
            if payload is not None and payload.get("key") == key:
                found[int(payload.get("part", 0))] = str(message["ts"])
        return found

    async def said_since(self, place: Place, after: str) -> AsyncIterator[dict[str, Any]]:
        """Give what stands in a place, with metadata, as far as it came after that ts; raise DeliveryFailed."""
        arguments: dict[str, Any] = {"channel": place.conversation, "limit": PAGE, "include_all_metadata": True}
        if after:
            arguments["oldest"] = after
        method = "conversations.history"
        if place.thread:
            method, arguments["ts"] = "conversations.replies", place.thread
        for _ in range(MAX_PAGES):
            told = await self._client.call(method, place.conversation, **arguments)
            for message in told.get("messages") or ():
                yield message
            arguments["cursor"] = (told.get("response_metadata") or {}).get("next_cursor")
            if not arguments["cursor"]:
                return


def payload_of(message: Mapping[str, Any], event_type: str) -> Metadata | None:
    """Return what our metadata of that type says of a message; None without any."""
    metadata = message.get("metadata") or {}
    return (metadata.get("event_payload") or {}) if metadata.get("event_type") == event_type else None


def _metadata(key: str, part: int) -> Metadata | None:
    return {"event_type": EVENT_TYPE, "event_payload": {"key": key, "part": part}} if key else None
