"""The one line in each chat that says what goes on: sent when work takes a while, edited as it goes on, deleted at its
end.

It never holds up work: what is wanted is only noted, `run` does the calling, and what the platform does not take in
time is left out. Which lines stand in chats is kept in a file, so that those of a host that died are taken away by the
next.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from channels.channel import DeliveryFailed
from channels.telegram.encode import Place

log = logging.getLogger(__name__)

SLOWER_IN_GROUPS = 2
"""Telegram takes 20 messages a minute in a group; answers come first."""
AGAIN_S = 5.0
MAX_TRIES = 6
"""To take a line away; then it is left to the next start."""
DONE = "✓"
"""What a line becomes that cannot be deleted any more."""


class LineCalls(Protocol):
    """The part of the client that lines need. Each raises DeliveryFailed."""

    async def send_line(self, place: Place, text: str) -> int: ...
    async def edit_line(self, place: Place, message_id: int, text: str) -> None: ...
    async def delete_line(self, place: Place, message_id: int) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Line:
    wanted: str
    """Empty: it is to go."""
    not_before: float
    shown: str = ""
    message_id: int | None = None
    tries: int = 0
    is_given_up: bool = False


class Lines:
    """The lines of one bot account."""

    def __init__(self, calls: LineCalls, kept: Path | None, *, first_after_s: float, every_s: float) -> None:
        self._calls = calls
        self._kept = kept
        self._first_after_s = first_after_s
        self._every_s = every_s
        self._lines: dict[Place, _Line] = {}
        self._wake = asyncio.Event()

    def want(self, place: Place, text: str) -> None:
        """Have a chat's line say this soon."""
        line = self._lines.get(place)
        if line is None or not line.wanted:
            now = asyncio.get_running_loop().time()
            fresh = _Line(wanted=text, not_before=now + self._first_after_s)
            if line is not None:  # the one before is not taken away yet: it is used again
                fresh.message_id, fresh.shown = line.message_id, line.shown
            self._lines[place] = fresh
        else:
            line.wanted = text
        self._wake.set()

    def end(self, place: Place) -> None:
        """Take a chat's line away."""
        line = self._lines.get(place)
        if line is None:
            return
        if line.message_id is None:
            # One that is being sent just now is found by `_act` when it is there.
            del self._lines[place]
            return
        line.wanted, line.not_before, line.tries, line.is_given_up = "", 0.0, 0, False
        self._wake.set()

    async def run(self) -> None:
        """Keep the lines until cancelled; those that an earlier host left go first."""
        for place, message_id in await asyncio.to_thread(self._load):
            self._lines[place] = _Line(wanted="", not_before=0.0, message_id=message_id)
        while True:
            self._wake.clear()
            now = asyncio.get_running_loop().time()
            open_ones = [(place, line) for place, line in self._lines.items() if _has_work(line)]
            due = [(place, line) for place, line in open_ones if line.not_before <= now]
            if due:
                async with asyncio.TaskGroup() as acting:
                    for place, line in due:
                        acting.create_task(self._act(place, line))
                continue
            await self._pause(min((line.not_before for _, line in open_ones), default=None), now)

    async def _pause(self, until: float | None, now: float) -> None:
        try:
            async with asyncio.timeout(None if until is None else until - now):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _act(self, place: Place, line: _Line) -> None:
        now = asyncio.get_running_loop().time
        try:
            await (self._show(place, line) if line.wanted else self._take_away(place, line))
        except DeliveryFailed as failed:
            line.tries += 1
            line.not_before = now() + (failed.retry_after_s or AGAIN_S)
            # A chat that takes no line now is asked no more until its next work; a line that stands is to go, though.
            line.is_given_up = line.tries >= MAX_TRIES or (failed.permanent and bool(line.wanted))
            if not line.wanted and line.is_given_up:
                self._drop(place, line)
        else:
            every_s = self._every_s if place.chat_id > 0 else self._every_s * SLOWER_IN_GROUPS
            line.not_before, line.tries = (now() + every_s if line.wanted else 0.0), 0

    async def _show(self, place: Place, line: _Line) -> None:
        text = line.wanted
        if line.message_id is None:
            line.message_id = await self._calls.send_line(place, text)
            await self._keep()
            if self._lines.get(place) is not line:  # ended while it was sent
                await self._orphan(place, line)
        else:
            await self._calls.edit_line(place, line.message_id, text)
        line.shown = text

    async def _orphan(self, place: Place, line: _Line) -> None:
        line.wanted = ""
        if place in self._lines:  # other work has begun there meanwhile, and takes this line over
            if self._lines[place].message_id is None:
                self._lines[place].message_id, self._lines[place].shown = line.message_id, line.shown
                await self._keep()
        else:
            self._lines[place] = line
            line.not_before = 0.0

    async def _take_away(self, place: Place, line: _Line) -> None:
        assert line.message_id is not None  # others are not asked to go
        try:
            await self._calls.delete_line(place, line.message_id)
        except DeliveryFailed as failed:
            if not failed.permanent:
                raise
            log.debug("a line was not deleted: %s", failed.reason)
            await self._mark_done(place, line.message_id)
        self._drop(place, line)
        await self._keep()

    async def _mark_done(self, place: Place, message_id: int) -> None:
        try:
            await self._calls.edit_line(place, message_id, DONE)
        except DeliveryFailed as failed:
            if not failed.permanent:
                raise

    def _drop(self, place: Place, line: _Line) -> None:
        """Forget a line that is gone; other work that meant to use it again needs one of its own."""
        now = self._lines.get(place)
        if now is line:
            del self._lines[place]
        elif now is not None and now.message_id == line.message_id:
            now.message_id, now.shown = None, ""

    async def _keep(self) -> None:
        if self._kept is not None:
            standing = [
                [place.chat_id, place.topic_id, line.message_id]
                for place, line in self._lines.items()
                if line.message_id is not None
            ]
            await asyncio.to_thread(_write, self._kept, json.dumps(standing))

    def _load(self) -> list[tuple[Place, int]]:
        try:
            text = self._kept.read_text("ascii") if self._kept is not None else "[]"
            return [(Place(chat_id=chat, topic_id=topic), message) for chat, topic, message in json.loads(text)]
        except (OSError, ValueError, TypeError):
            return []  # none was kept, or in no form of ours: then a line may stay


def _has_work(line: _Line) -> bool:
    return not line.is_given_up and (not line.wanted or line.wanted != line.shown)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(text, "ascii")
        part.replace(path)
    except OSError as error:
        log.warning("which lines stand was not kept: %s", error.strerror, extra={"action": "telegram_lines_unkept"})
