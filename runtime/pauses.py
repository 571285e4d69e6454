"""Groups that are held back: nothing new of theirs starts, what runs goes on, messages are kept.

A person pauses a group with /pause, a spent budget or a crash loop with a reason of its own; each cause is lifted by
itself, and /resume lifts what a person may lift. The dispatcher asks here before each start.
"""

from __future__ import annotations

from collections.abc import Callable

from protocol.ids import GroupId
from runtime.store.pause_rows import Pause, pause, pauses, resume
from runtime.store.store import Store

PERSON = "person"
BUDGET = "budget"
CRASH_LOOP = "crash_loop"
MEMORY = "memory"
LIFTED_BY_PEOPLE = (PERSON, CRASH_LOOP)
"""What /resume lifts; a budget is raised, not waved through, and a memory taken back first."""


class Pauses:
    """One for the whole host; `load` before anything starts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pauses: dict[GroupId, dict[str, Pause]] = {}
        self._calls: list[Callable[[], None]] = []

    def when_changed(self, call: Callable[[], None]) -> None:
        """Have `call` called when a group is held back or let go."""
        self._calls.append(call)

    async def load(self) -> None:
        """Read what the store knows."""
        held: dict[GroupId, dict[str, Pause]] = {}
        for each in await self._store.read(pauses):
            held.setdefault(each.group_id, {})[each.cause] = each
        self._pauses = held

    def of(self, group_id: GroupId) -> tuple[Pause, ...]:
        """Return what holds a group back, oldest first; empty: nothing does."""
        return tuple(self._pauses.get(group_id, {}).values())

    def reasons(self, group_id: GroupId) -> tuple[str, ...]:
        """Return in words what holds a group back; empty: nothing does."""
        return tuple(each.reason or f"paused by {each.set_by}" for each in self.of(group_id))

    def all(self) -> tuple[Pause, ...]:
        """Return what holds any group back."""
        return tuple(each for held in self._pauses.values() for each in held.values())

    async def pause(self, group_id: GroupId, *, by: str, cause: str = PERSON, reason: str = "") -> bool:
        """Hold a group back; False if this cause does already. `reason`: for people, without a full stop."""
        is_new = await self._store.write(pause, group_id, cause, reason, by)
        await self._follow()
        return is_new

    async def resume(self, group_id: GroupId, *, causes: tuple[str, ...] = LIFTED_BY_PEOPLE) -> bool:
        """Let a group go on as far as these causes are concerned; False if none of them held it."""
        is_lifted = await self._store.write(resume, group_id, causes)
        await self._follow()
        return is_lifted

    async def _follow(self) -> None:
        await self.load()
        for call in self._calls:
            call()
