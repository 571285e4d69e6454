"""Keeps the menus of platforms as the commands and people's roles say: at start, and when either changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from channels.channel import Channel, HasMenus, Menus
from protocol.ids import ChannelId
from runtime.commands.help import build_menu
from runtime.store.session_rows import uncommon_chats
from runtime.store.store import Store

REREAD_S = 60.0
"""Roles are given and taken in many places: their chats are looked up so often."""


class MenuKeeper:
    """One for the whole host."""

    def __init__(self, store: Store, channels: Callable[[], Mapping[ChannelId, Channel]]) -> None:
        self._store = store
        self._channels = channels
        self._told: dict[ChannelId, tuple[Channel, Menus]] = {}
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Look again now."""
        self._awake.set()

    async def run(self) -> None:
        """Keep the menus until cancelled."""
        while True:
            self._awake.clear()
            await self._tell()
            with suppress(TimeoutError):
                async with asyncio.timeout(REREAD_S):
                    await self._awake.wait()

    async def _tell(self) -> None:
        having = {name: channel for name, channel in self._channels().items() if isinstance(channel, HasMenus)}
        uncommon = await self._store.read(uncommon_chats) if having else ()
        for name, channel in having.items():
            theirs = ((chat, role) for chat, role in uncommon if chat.startswith(f"{name}:"))
            menus = Menus(
                direct=build_menu("member", is_direct=True),
                many=build_menu("member", is_direct=False),
                chats={chat: build_menu(role, is_direct=True) for chat, role in theirs},
            )
            if self._told.get(name) != (channel, menus):
                await channel.set_menu(menus)
                self._told[name] = (channel, menus)
        for gone in self._told.keys() - having.keys():
            del self._told[gone]
