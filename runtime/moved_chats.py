"""The chats that have another key now, for what comes in: what is still said under a former key is said in the chat.

What becomes of the store is `store/move_rows.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from protocol.ids import ChatKey
from protocol.message import InboundMessage
from runtime.chat_key import moved_key
from runtime.insist import insist
from runtime.store import move_rows
from runtime.store.records import RawUpdate
from runtime.store.store import Store


class MovedChats:
    """All of them, in memory as in the store. `load` before anything is filed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._chats: Mapping[ChatKey, ChatKey] = {}

    async def load(self) -> None:
        """Read them; again after each move."""
        self._chats = await insist(lambda: self._store.read(move_rows.moved_chats), "the chats that moved")

    def place(self, inbound: InboundMessage) -> InboundMessage:
        """Return a message as said in its chat's key of now. The word of a move keeps the key that it is about."""
        if not self._chats or inbound.kind == "moved":
            return inbound
        for former, chat in self._chats.items():
            if (key := moved_key(inbound.chat, former, chat)) != inbound.chat:
                return replace(inbound, chat=key)
        return inbound

    async def move(self, update: RawUpdate, inbound: InboundMessage) -> bool:
        """Have a chat be known by the key that a `moved` message gives it; False: it was already."""
        job, chat = move_rows.move_chat, ChatKey(inbound.text)
        is_new = await insist(lambda: self._store.write(job, update.raw_id, inbound.chat, chat), "a chat's new key")
        await self.load()
        return is_new
