"""The bot's menus: which commands Telegram's apps offer where. Set at each connection, and when they change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Protocol

from channels.channel import DeliveryFailed, MenuEntry, Menus
from channels.telegram.places import Place, parse_place
from protocol.ids import ChannelId, ChatKey

AGAIN_S = 60.0
MAX_ENTRIES = 100
"""Telegram's own limit."""

Scope = Place | str
"""A chat, or `direct` or `many` for all chats of a kind."""


class MenuCalls(Protocol):
    """The part of the client that menus need."""

    async def set_commands(self, scope: Scope, entries: Sequence[MenuEntry]) -> None:
        """Offer commands; none: those of the wider scope again. Raise DeliveryFailed."""


class MenuSetter:
    """Sets the menus of one bot account."""

    def __init__(self, channel_id: ChannelId, calls: MenuCalls) -> None:
        self._channel_id = channel_id
        self._calls = calls
        self._menus: Menus | None = None
        self._set: dict[Scope, tuple[MenuEntry, ...]] = {}
        self._wake = asyncio.Event()

    def want(self, menus: Menus) -> None:
        """Offer these from now on."""
        self._menus = menus
        self._wake.set()

    def connected(self) -> None:
        """Set them anew: the account may be another one, or have been changed by hand."""
        self._set.clear()
        self._wake.set()

    async def run(self) -> None:
        """Keep the menus until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for scope, entries in self._changed():
                try:
                    await self._calls.set_commands(scope, entries)
                except DeliveryFailed as failed:
                    if not failed.permanent:
                        await asyncio.sleep(failed.retry_after_s or AGAIN_S)
                        self._wake.set()
                        break
                # Set, or never to be: a chat that is gone is not asked again at this connection.
                self._set[scope] = entries

    def _changed(self) -> Iterator[tuple[Scope, tuple[MenuEntry, ...]]]:
        if self._menus is None:
            return
        wanted: dict[Scope, tuple[MenuEntry, ...]] = {"direct": self._menus.direct, "many": self._menus.many}
        wanted |= {parse_place(self._channel_id, ChatKey(chat)): menu for chat, menu in self._menus.chats.items()}
        for scope, entries in [*wanted.items(), *((gone, ()) for gone in self._set.keys() - wanted.keys())]:
            if self._set.get(scope, ()) != entries[:MAX_ENTRIES]:
                yield scope, entries[:MAX_ENTRIES]
