"""Where a group may send of its own accord: chats under names, its address book and the list that the host enforces.

A group may always answer where it was asked. Anything else goes through `resolve`: what has no name here is refused,
whatever chat an agent writes down. How a message then goes out is not decided here.
"""

from __future__ import annotations

import re

from protocol.ids import ChatKey, GroupId
from runtime.people.records import Destination
from runtime.refusal import OperationRefused
from runtime.store import access_rows
from runtime.store.store import Store

MAX_DESTINATIONS = 50
"""Of one group: more would fill its instructions."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


class Destinations:
    """All groups' destinations, in memory as in the store. `load` before a task begins."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._chats: dict[tuple[GroupId, str], Destination] = {}

    async def load(self) -> None:
        """Read them; again after each change."""
        found = await self._store.read(access_rows.destinations)
        self._chats = {(each.group_id, each.name): each for each in found}

    def of(self, group_id: GroupId | None = None) -> tuple[Destination, ...]:
        """Return the destinations of a group, or of all, by name."""
        return tuple(each for each in self._chats.values() if group_id in (None, each.group_id))

    def names(self, group_id: GroupId) -> tuple[str, ...]:
        """Return the names that a group's agents are told."""
        return tuple(each.name for each in self.of(group_id))

    async def resolve(self, group_id: GroupId, name: str) -> ChatKey:
        """Return the chat of a name; OperationRefused for one that the group has not."""
        found = self._chats.get((group_id, name.strip().lower()))
        if found is None:
            known = ", ".join(self.names(group_id)) or "none"
            raise OperationRefused(
                "unknown_destination",
                f"the agent {group_id} has no destination {name[:40]!r} (known: {known})",
                f"./nightyard destination add {group_id} NAME CHAT",
            )
        return found.chat

    def may_send(self, group_id: GroupId, chat: ChatKey) -> bool:
        """Return whether one of a group's destinations is this chat."""
        return any(each.chat == chat for each in self.of(group_id))

    async def add(self, destination: Destination) -> Destination:
        """Let a group send to a chat under a name; a name that it has gets another chat."""
        name = destination.name
        if _NAME.fullmatch(name) is None:
            text = f"a destination's name is 1-32 of a-z, 0-9 and inner hyphens, not {name[:40]!r}"
            raise OperationRefused("wrong_name", text)
        others = [each for each in self.of(destination.group_id) if each.name != name]
        if len(others) >= MAX_DESTINATIONS:
            text = (
                f"the agent {destination.group_id} has {MAX_DESTINATIONS} destinations, which is as many as it may have"
            )
            raise OperationRefused(
                "too_many_destinations", text, f"./nightyard destination list {destination.group_id}"
            )
        saved = await self._store.write(access_rows.save_destination, destination)
        await self.load()
        return saved

    async def remove(self, group_id: GroupId, name: str) -> None:
        """Take a destination from a group."""
        await self.resolve(group_id, name)
        await self._store.write(access_rows.remove_destination, group_id, name.strip().lower())
        await self.load()
