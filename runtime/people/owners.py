"""Where owners are asked and told: one direct chat for each."""

from __future__ import annotations

from protocol.ids import ChatKey
from runtime.store import people_rows
from runtime.store.store import Store


class Owners:
    """The owners' chats, as the store knows them now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def owner_chats(self) -> tuple[ChatKey, ...]:
        """Return a direct chat of each owner who has one; while none has, a terminal's, if one was ever opened."""
        return await self._store.read(people_rows.owner_chats)
