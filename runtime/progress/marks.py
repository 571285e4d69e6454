"""Marks people's messages as taken, and takes the marks away when their work has ended, however it ended.

Which messages are marked is known in memory only: what a crash left marked and ended stays so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from channels.channel import Channel, HasMarks
from protocol.ids import ChannelId, ChatKey, MessageId, PlatformMessageId
from runtime.store.records import MessageState, StoredMessage, TaskRow
from runtime.store.store import Store
from runtime.task_desk import channel_of

OPEN = (MessageState.QUEUED, MessageState.CLAIMED)
MAX_MARKED = 10_000
"""Messages that wait with a mark; more get none."""


class MessageMarks:
    """One for the whole host."""

    def __init__(self, store: Store, channels: Callable[[], Mapping[ChannelId, Channel]]) -> None:
        self._store = store
        self._channels = channels
        self._marked: dict[ChatKey, dict[MessageId, PlatformMessageId]] = {}
        self._count = 0
        self._look: set[ChatKey] = set()
        self._awake = asyncio.Event()

    def taken(self, messages: Sequence[StoredMessage]) -> None:
        """Mark messages that wait, or are worked on. Returns at once."""
        for message in messages:
            inbound = message.inbound
            channel = self._marking(inbound.chat)
            marked = self._marked.setdefault(inbound.chat, {})
            is_new = message.message_id not in marked and self._count < MAX_MARKED
            if channel is not None and is_new and inbound.kind == "message":
                marked[message.message_id] = inbound.platform_message_id
                self._count += 1
                channel.mark(inbound.chat, inbound.platform_message_id, is_on=True)
            if not marked:
                del self._marked[inbound.chat]

    def look(self, chat: ChatKey | None) -> None:
        """Take away the marks of what has ended in a chat. Returns at once."""
        if chat in self._marked:
            self._look.add(chat)
            self._awake.set()

    def task_ended(self, row: TaskRow) -> None:
        self.look(row.chat)

    async def run(self) -> None:
        """Take marks away until cancelled; first, mark what an earlier host has left waiting."""
        self.taken(await self._store.waiting_messages())
        while True:
            await self._awake.wait()
            self._awake.clear()
            while self._look:
                await self._settle(self._look.pop())

    async def _settle(self, chat: ChatKey) -> None:
        for message_id, platform_id in list(self._marked.get(chat, {}).items()):
            message = await self._store.message(message_id)
            if message is not None and message.state in OPEN:
                continue
            if self._marked.get(chat, {}).pop(message_id, None) is not None:
                self._count -= 1
                channel = self._marking(chat)
                if channel is not None:
                    channel.mark(chat, platform_id, is_on=False)
        if not self._marked.get(chat, True):
            del self._marked[chat]

    def _marking(self, chat: ChatKey) -> HasMarks | None:
        """Return a chat's channel, if it runs and its platform has marks."""
        channel: object = self._channels().get(channel_of(chat))
        return channel if isinstance(channel, HasMarks) else None
