"""The terminal channel: any number of terminals, each looking at one chat, several may look at the same.

What is said while nobody looks is kept (kept.py) and shown to the next who does. The socket is
`runtime/control/server.py`'s, the picture `cli/chat.py`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import pwd
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from os import getuid
from pathlib import Path
from typing import Protocol

from channels.channel import DeliveryFailed, Inbox, ShownKind
from channels.terminal.decode import Saying, decode_saying, encode_saying
from channels.terminal.encode import encode_message
from channels.terminal.files import UnusableFile, copy_capped, look_at
from channels.terminal.kept import KeptMessages
from protocol.control import Say, Shown
from protocol.ids import ChannelId, ChatKey, PlatformMessageId, mint
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt

INBOX_TIMEOUT_S = 10.0
"""How long a terminal waits for a host that is just starting."""
NO_TEXT_YET = "working"


class Screen(Protocol):
    """One attached terminal."""

    def said(self) -> AsyncIterator[Say]:
        """Yield what the person says, until the terminal goes."""

    async def show(self, shown: Shown) -> bool:
        """Show it; False if the terminal is gone or does not read any more."""

    def show_soon(self, shown: Shown) -> None:
        """Show it if the terminal keeps up; for what is worth nothing later."""


class _Room:
    """One chat: who looks at it, and what is going on in it."""

    def __init__(self) -> None:
        self.screens: list[Screen] = []
        self.doing = ""
        self.turn = asyncio.Lock()
        """Held while a message is shown or kept, and while what was kept is shown: that is what keeps the order."""

    def show_soon(self, shown: Shown, but: Screen | None = None) -> None:
        for screen in self.screens:
            if screen is not but:
                screen.show_soon(shown)


class TerminalChannel:
    """`channels.channel.Channel` for terminals, and the `TerminalDoor` of control.sock.

    `kept` is a folder of the home that is this channel's alone.
    """

    def __init__(self, channel_id: ChannelId, kept: Path) -> None:
        self._channel_id = channel_id
        self._kept = KeptMessages(kept)
        self._rooms: dict[ChatKey, _Room] = {}
        self._inbox: Inbox | None = None
        self._running = asyncio.Event()

    @property
    def channel_id(self) -> ChannelId:
        return self._channel_id

    async def run(self, inbox: Inbox) -> None:
        """Take in what is said, until cancelled. Terminals that attach before wait for it."""
        self._inbox = inbox
        self._running.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._running.clear()
            self._inbox = None

    async def attach(self, chat: ChatKey, screen: Screen) -> None:
        """Serve one terminal until it goes: show what was kept and what is going on, then pass on what is said.

        What the inbox raises (a full disk) ends this terminal's connection with it: what was said is not stored.
        """
        room = self._rooms.setdefault(chat, _Room())
        async with room.turn:
            if not await self._show_kept(chat, screen):
                return
            room.screens.append(screen)
        try:
            screen.show_soon(Shown(kind="progress", text=room.doing))
            async for say in screen.said():
                await self._take_in(chat, say, screen)
        finally:
            room.screens.remove(screen)

    async def forget(self, chat: ChatKey) -> None:
        """Destroy what was said to a chat while no terminal looked."""
        await asyncio.to_thread(self._kept.keep_only, chat, ())

    async def take_buttons(self, chat: ChatKey, message: PlatformMessageId) -> None:
        """Have a message that nobody has seen yet be shown without its buttons; screens forget those of what they show
        with the next message."""
        async with self._rooms.setdefault(chat, _Room()).turn:
            try:
                await asyncio.to_thread(self._kept.take_buttons, chat, message)
            except OSError as error:
                raise DeliveryFailed(f"what is kept for a terminal cannot be changed: {error}") from error

    async def _show_kept(self, chat: ChatKey, screen: Screen) -> bool:
        """Show all that was kept; False if the terminal went before the end: the rest stays kept."""
        kept = await asyncio.to_thread(self._kept.all, chat)
        for index, each in enumerate(kept):
            if not await screen.show(each.shown):
                await asyncio.to_thread(self._kept.keep_only, chat, kept[index:])
                return False
        if kept:
            await asyncio.to_thread(self._kept.keep_only, chat, ())
        return True

    async def _take_in(self, chat: ChatKey, say: Say, screen: Screen) -> None:
        """Store one saying, then answer `accepted` with its id; an empty id where it was not taken, with a notice."""
        try:
            files = tuple(look_at(path) for path in say.files)
        except UnusableFile as error:
            await screen.show(Shown(kind="notice", text=f"Not sent: {error}."))
            await screen.show(Shown(kind="accepted", text=""))
            return
        saying = Saying(
            event_id=mint("said"),
            chat=chat,
            sender=_user_name(),
            said_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            text=say.text,
            kind=say.kind,
            files=files,
        )
        if not self._running.is_set():
            async with asyncio.timeout(INBOX_TIMEOUT_S):
                await self._running.wait()
        if self._inbox is not None:
            await self._inbox.accept(self._channel_id, saying.event_id, encode_saying(saying))
        self._rooms[chat].show_soon(Shown(kind="notice", text=f"› {say.text}"), but=screen)
        await screen.show(Shown(kind="accepted", text=saying.event_id))

    def decode(self, raw: bytes) -> InboundMessage | None:
        return decode_saying(self._channel_id, raw)

    async def send(self, message: OutboundMessage) -> Receipt:
        """Show a message to whoever looks at its chat, or keep it until somebody does."""
        shown = encode_message(message)
        name = PlatformMessageId(message.idempotency_key or mint("shown"))
        room = self._rooms.setdefault(message.chat, _Room())
        async with room.turn:
            if not await _show_to(room.screens, shown):
                try:
                    await asyncio.to_thread(self._kept.add, message.chat, shown, name)
                except OSError as error:
                    raise DeliveryFailed(f"no terminal is open, and keeping the message failed: {error}") from error
        return Receipt(platform_message_ids=(name,))

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        try:
            return await asyncio.to_thread(copy_capped, file.reference, into, max_bytes)
        except UnusableFile as error:
            raise DeliveryFailed(error.reason, permanent=True) from error
        except OSError as error:
            raise DeliveryFailed(f"{file.name!r} could not be copied: {error.strerror}") from error

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        """Pass on what goes on; `done` is a progress without text."""
        room = self._rooms.setdefault(chat, _Room())
        match kind:
            case "delta":
                room.show_soon(Shown(kind="delta", text=text))
            case "accepted" | "progress":
                room.doing = text or NO_TEXT_YET
                room.show_soon(Shown(kind="progress", text=room.doing))
            case "done":
                room.doing = ""
                room.show_soon(Shown(kind="progress", text=""))

    def health(self) -> str:
        return "ok" if self._running.is_set() else "is starting"

    @property
    def terminals(self) -> int:
        """How many terminals look on now."""
        return sum(len(room.screens) for room in self._rooms.values())


async def _show_to(screens: Sequence[Screen], shown: Shown) -> bool:
    """Show it to all at once; return whether anybody sees it. To one, which is the rule, it goes out before anything
    else is done: what a task of its own shows goes behind all that the loop is to do just now."""
    if len(screens) == 1:
        return await screens[0].show(shown)
    return any(await asyncio.gather(*(screen.show(shown) for screen in screens)))


@functools.cache
def _user_name() -> str:
    """Looked up once: it takes longer than storing what was said."""
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(getuid()).pw_name
    return "owner"
