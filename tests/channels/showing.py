"""A platform as the shared pieces see it: chats that are integers, what stands in them, and refusals on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from channels.channel import DeliveryFailed
from channels.standing import Standing
from protocol.ids import PlatformMessageId


class Stage:
    """One account's chats."""

    def __init__(self) -> None:
        self.standing: dict[int, dict[str, str]] = {}
        """By chat: what each message says."""
        self.calls: list[tuple[str, int, str]] = []
        self.refusals: dict[int, list[DeliveryFailed]] = {}
        """What the next calls to a chat meet."""
        self.held: dict[int, asyncio.Event] = {}
        """Calls to these chats wait."""
        self.has_drafts = False
        self._count = 0
        self._changed = asyncio.Condition()

    async def send_line(self, place: int, text: str) -> PlatformMessageId:
        await self._called("send", place, text)
        return await self._say(place, text)

    async def edit_line(self, place: int, message: PlatformMessageId, text: str) -> None:
        await self._called("edit", place, text)
        await self._change(place, message, text)

    async def delete_line(self, place: int, message: PlatformMessageId) -> None:
        await self._called("delete", place, message)
        await self._change(place, message, None)

    async def grow(
        self, place: int, number: int, message: PlatformMessageId | None, markdown: str
    ) -> PlatformMessageId | None:
        await self._called(f"grow {number}", place, markdown)
        if self.has_drafts:
            return None
        if message is None:
            return await self._say(place, markdown)
        await self._change(place, message, markdown)
        return message

    async def take_away(self, place: int, message: PlatformMessageId) -> None:
        await self.delete_line(place, message)

    async def set_mark(self, place: int, message: PlatformMessageId, emoji: str, *, is_on: bool) -> None:
        await self._called("mark" if is_on else "unmark", place, f"{message} {emoji}")

    async def send_typing(self, place: int) -> None:
        await self._called("typing", place, "")

    def seen(self, place: int) -> list[str]:
        return list(self.standing.get(place, {}).values())

    def count(self, kind: str, place: int) -> int:
        return sum(call[:2] == (kind, place) for call in self.calls)

    async def until(self, holds: Callable[[], Any]) -> None:
        """Return when something holds; each call is a reason to look again, and so is a moment's silence."""
        async with asyncio.timeout(10), self._changed:
            while not holds():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()

    async def _called(self, kind: str, place: int, text: str) -> None:
        self.calls.append((kind, place, text))
        await self._notify()
        if place in self.held:
            await self.held[place].wait()
        if self.refusals.get(place):
            raise self.refusals[place].pop(0)

    async def _say(self, place: int, text: str) -> PlatformMessageId:
        self._count += 1
        self.standing.setdefault(place, {})[str(self._count)] = text
        await self._notify()
        return PlatformMessageId(str(self._count))

    async def _change(self, place: int, message: str, text: str | None) -> None:
        if message not in self.standing.get(place, {}):
            raise DeliveryFailed("there is no such message", permanent=True)
        if text is None:
            del self.standing[place][message]
        else:
            self.standing[place][message] = text
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def noted(path: Path | None) -> Standing[int]:
    return Standing(path, str, int)


@asynccontextmanager
async def running(run: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run something while the block lasts."""
    task = asyncio.ensure_future(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
