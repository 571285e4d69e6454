"""Looks at how the channels are, and has an owner told, on another one, of a channel that does not work.

It reads what each channel knows of itself: no platform is asked anything for it, and none more often. What was told is
kept in the store, so that a restart says nothing twice. What is told when is decided in `unwell.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from channels.channel import Channel
from protocol.ids import ChannelId, GroupId
from runtime.config import TERMINAL, ChannelSettings, channel_platform
from runtime.insist import insist
from runtime.owner_alarm import OwnerAlarm
from runtime.store import unwell_rows
from runtime.store.store import Store
from runtime.unwell import Condition, describe, look

log = logging.getLogger(__name__)

LOOK_EVERY_S = 15.0


class ChannelWatch:
    """One for the whole host."""

    def __init__(
        self,
        store: Store,
        alarm: OwnerAlarm,
        channels: Callable[[], Mapping[ChannelId, Channel]],
        settings: Callable[[], Mapping[str, ChannelSettings]],
        *,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._store = store
        self._alarm = alarm
        self._channels = channels
        self._settings = settings
        self._look_every_s = look_every_s
        self._conditions: dict[ChannelId, Condition] = {}

    async def load(self) -> None:
        """Know what an earlier host has told."""
        told = await insist(lambda: self._store.read(unwell_rows.told_of), "what owners know of channels")
        self._conditions = {channel_id: Condition(is_told=True) for channel_id in told}

    async def run(self) -> None:
        """Look until cancelled."""
        await self.load()
        while True:
            await self.look(asyncio.get_running_loop().time())
            await asyncio.sleep(self._look_every_s)

    async def look(self, now: float) -> None:
        """Look at each channel once."""
        found = {channel_id: channel.health() for channel_id, channel in self._channels().items()}
        for channel_id, health in found.items():
            before = self._conditions.get(channel_id, Condition())
            after, is_due = look(before, health, now)
            self._conditions[channel_id] = after
            if is_due:
                self._tell(channel_id, health, [each for each in found if found[each] != "ok"])
            if before.is_told != after.is_told:
                await self._note(channel_id, is_told=after.is_told)

    async def _note(self, channel_id: ChannelId, *, is_told: bool) -> None:
        job = unwell_rows.note_told
        await insist(lambda: self._store.write(job, channel_id, is_told=is_told), "what owners know of a channel")

    def _tell(self, channel_id: ChannelId, health: str, unwell: list[ChannelId]) -> None:
        settings = self._settings().get(channel_id)
        if settings is None or channel_id == TERMINAL:
            return
        text = describe(channel_id, channel_platform(channel_id, settings), health, settings.secret or "NAME")
        log.error("%s does not work: %s", channel_id, health, extra={"action": "channel_unwell"})
        self._alarm.tell(f"unwell:{channel_id}", text, GroupId(settings.group), avoid=unwell, is_new=True)
