"""The bot's slash commands: what Discord's apps offer after a `/`. Set at each connection, and when they change.

Discord knows commands for servers and for direct chats, not for one chat: in direct ones all are offered that anybody
may use, and the host says no to who may not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from channels.channel import DeliveryFailed, MenuEntry, Menus

AGAIN_S = 60.0
MAX_COMMANDS = 100
MAX_WHAT_CHARS = 100
_NAME = re.compile(r"[a-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as Discord is told of it."""

    name: str
    what: str
    in_direct: bool
    in_many: bool


class MenuCalls(Protocol):
    """The part of the client that menus need."""

    async def set_commands(self, commands: Sequence[Command]) -> None:
        """Offer just these. Raise DeliveryFailed."""


class MenuSetter:
    """Sets the commands of one bot account."""

    def __init__(self, calls: MenuCalls) -> None:
        self._calls = calls
        self._wanted: tuple[Command, ...] | None = None
        self._set: tuple[Command, ...] | None = None
        self._wake = asyncio.Event()

    def want(self, menus: Menus) -> None:
        """Offer these from now on."""
        self._wanted = commands_of(menus)
        self._wake.set()

    def connected(self) -> None:
        """Set them anew: the account may be another one, or have been changed by hand."""
        self._set = None
        self._wake.set()

    async def run(self) -> None:
        """Keep the commands until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            wanted = self._wanted
            if wanted is None or wanted == self._set:
                continue
            try:
                await self._calls.set_commands(wanted)
                self._set = wanted
            except DeliveryFailed as failed:
                if failed.permanent:
                    self._set = wanted  # never to be: not asked again at this connection
                else:
                    await asyncio.sleep(failed.retry_after_s or AGAIN_S)
                    self._wake.set()


def commands_of(menus: Menus) -> tuple[Command, ...]:
    """Return the commands that offer all that the menus do; those of names that Discord takes not are left out."""
    direct, many = _by_name(menus.direct), _by_name(menus.many)
    for menu in menus.chats.values():
        direct = {**_by_name(menu), **direct}
    everything = {**direct, **many}
    return tuple(
        Command(
            name=name,
            what=everything[name][:MAX_WHAT_CHARS] or name,
            in_direct=name in direct,
            in_many=name in many,
        )
        for name in list(everything)[:MAX_COMMANDS]
    )


def _by_name(entries: Iterable[MenuEntry]) -> dict[str, str]:
    return {entry.name: entry.what for entry in entries if _NAME.fullmatch(entry.name)}
