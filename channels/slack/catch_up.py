"""Reading history for what was missed while there was no socket, in its order, conversation by conversation.

Slack sends what was not acknowledged again only for some minutes, and behind what came meanwhile. So after each gap a
conversation is read before anything new from it is taken; after a long one, and at a start, all of them are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Protocol

from channels.channel import DeliveryFailed
from channels.slack.encode import Place
from channels.slack.raw import as_dict, dicts, is_ts
from channels.slack.seen import Seen

log = logging.getLogger(__name__)

LONGEST_BACK_S = 48 * 3600.0
"""As long as the host knows an event again. What is older was said to a bot that did not answer for two days."""
PAGE = 200
MAX_PAGES = 10
LONGEST_TRY_S = 600.0
"""A history that fails for longer is left, and the conversation goes on: Slack itself sends nothing again by then."""
TYPES = "public_channel,private_channel,mpim,im"

Message = dict[str, Any]
Recount = Callable[[str, Message], Awaitable[None]]
"""Takes a conversation and a message of its history."""


class Asks(Protocol):
    async def call(self, method: str, conversation: str = "", **arguments: Any) -> Any: ...


class CatchUp:
    """The reading of one workspace's history."""

    def __init__(self, client: Asks, seen: Seen, me: Callable[[], str], *, again_s: float) -> None:
        """`me`: our user id, once it is known."""
        self._client = client
        self._seen = seen
        self._me = me
        self._again_s = again_s
        self._gap = 0
        """How many gaps there were."""
        self._read_after: dict[str, int] = {}
        """Conversation → the last gap after which it was read."""
        self._since = ""
        """Of a conversation in which nothing was seen yet: from when on it is read."""

    def begin(self) -> None:
        """There was a gap: from now on each conversation is read before anything new from it is taken."""
        if self._seen.newest:
            self._gap += 1
            self._since = self._seen.newest
        else:  # the first connection of all: what was said before is not for us
            self._seen.note_time(f"{time.time():.6f}")

    def is_due(self, conversation: str) -> bool:
        return self._read_after.get(conversation, 0) < self._gap

    async def conversations(self) -> list[str]:
        """Return the conversations that we are in; none if that cannot be had."""
        found: list[str] = []
        cursor = ""
        try:
            while True:
                told = await self._ask("users.conversations", "", types=TYPES, limit=PAGE, cursor=cursor)
                found += [str(conversation.get("id")) for conversation in dicts(told.get("channels"))]
                cursor = _next_page(told)
                if not cursor:
                    return found
        except DeliveryFailed as failed:
            log.warning("which conversations to read: %s", failed.reason, extra={"action": "slack_catch_up_failed"})
            return found

    async def read(self, conversation: str, recount: Recount) -> None:
        """Recount what was missed there, in its order. Never raises for Slack's sake: what cannot be read is left."""
        gap = self._gap
        try:
            for message in sorted(await self._missed(conversation), key=lambda message: str(message["ts"])):
                await recount(conversation, message)
        except DeliveryFailed as failed:
            text = "what was missed in %s is not read: %s"
            log.warning(text, conversation, failed.reason, extra={"action": "slack_catch_up_failed"})
        self._read_after[conversation] = gap

    async def _missed(self, conversation: str) -> list[Message]:
        since = self._oldest(self._seen.last(conversation) or self._since)
        missed = {str(message["ts"]): message for message in await self._history(conversation, since)}
        began = {ts: since for ts, message in missed.items() if message.get("reply_count")}
        known = {thread: self._seen.last(conversation, thread) for thread in self._seen.threads(conversation)}
        for thread, seen in (began | known).items():
            missed |= await self._replies(conversation, thread, seen)
        return list(self._of_ours(missed))

    async def _replies(self, conversation: str, thread: str, seen: str) -> dict[str, Message]:
        """Return what was said in a thread since; nothing of one that is gone, which must not cost us the rest."""
        try:
            page = await self._pages("conversations.replies", conversation, ts=thread, oldest=self._oldest(seen))
        except DeliveryFailed as failed:
            if not failed.permanent:
                raise
            text = "the thread %s in %s is not read: %s"
            log.info(text, thread, conversation, failed.reason, extra={"action": "slack_thread_gone"})
            return {}
        return {str(message["ts"]): message for message in page if str(message["ts"]) > seen}

    async def _history(self, conversation: str, since: str) -> list[Message]:
        return await self._pages("conversations.history", conversation, oldest=since)

    def _of_ours(self, missed: dict[str, Message]) -> Iterator[Message]:
        """Leave out what was said before we came."""
        came = [ts for ts, said in missed.items() if said.get("subtype") in _COMINGS and said.get("user") == self._me()]
        yield from (message for ts, message in missed.items() if ts > max(came, default=""))

    def _oldest(self, ts: str) -> str:
        return max(ts, f"{time.time() - LONGEST_BACK_S:.6f}")

    async def _pages(self, method: str, conversation: str, **arguments: Any) -> list[Message]:
        found: list[Message] = []
        cursor = ""
        for _ in range(MAX_PAGES):
            told = await self._ask(method, conversation, channel=conversation, limit=PAGE, cursor=cursor, **arguments)
            found += [message for message in dicts(told.get("messages")) if is_ts(message.get("ts"))]
            cursor = _next_page(told)
            if not cursor:
                return found
        text = "more than %d messages were missed in %s; those beyond are left out"
        log.warning(text, len(found), conversation, extra={"action": "slack_catch_up_cut"})
        return found

    async def _ask(self, method: str, conversation: str, **arguments: Any) -> Any:
        arguments = {name: value for name, value in arguments.items() if value != ""}
        now = asyncio.get_running_loop().time
        until = now() + LONGEST_TRY_S
        while True:
            try:
                return await self._client.call(method, conversation, **arguments)
            except DeliveryFailed as failed:
                if failed.permanent or now() > until:
                    raise
                # What came since is not acknowledged meanwhile: going on would turn the order round.
                await asyncio.sleep(failed.retry_after_s or self._again_s)


def _next_page(told: Mapping[str, Any]) -> str:
    return str(as_dict(told.get("response_metadata")).get("next_cursor") or "")


_COMINGS = ("channel_join", "group_join")


def place_of(conversation: str, message: Message) -> Place:
    """Return where a message of a history stands."""
    thread = message.get("thread_ts")
    return Place(conversation=conversation, thread=str(thread) if is_ts(thread) and thread != message["ts"] else None)
