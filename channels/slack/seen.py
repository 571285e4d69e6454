"""What was seen last in each conversation and thread: where reading history goes on after a break.

Kept in a file, written some seconds behind: what is read twice for it has its own key of de-duplication.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path
from typing import Any

from channels.kept_file import read_kept, write_kept
from channels.slack.raw import is_ts

MAX_KEPT = 3000
THREADS_OF_ONE = 20
THREAD_DAYS = 7


class Seen:
    """The last ts of each place of one workspace. A ts is Slack's, a text of fixed width: greater is later."""

    def __init__(self, path: Path | None, every_s: float) -> None:
        self._path = path
        self._every_s = every_s
        self._last: OrderedDict[str, str] = OrderedDict()
        self._changed = asyncio.Event()
        self.newest = ""
        """The last ts of all, the server's clock as far as it is known; empty before anything was seen."""

    def note(self, conversation: str, thread: str | None, ts: str) -> None:
        place = f"{conversation}:{thread}" if thread else conversation
        self.note_time(ts)
        if is_ts(ts) and ts > self._last.get(place, ""):
            self._last[place] = ts
            self._last.move_to_end(place)
            if len(self._last) > MAX_KEPT:
                self._last.popitem(last=False)
            self._changed.set()

    def note_time(self, ts: str) -> None:
        """Note what time it is on the server."""
        if is_ts(ts):
            self.newest = max(self.newest, ts)

    def forget(self, conversation: str) -> None:
        """Know nothing of a conversation any more: it is another one now, or not ours."""
        for place in [place for place in self._last if place.partition(":")[0] == conversation]:
            del self._last[place]
        self._changed.set()

    def last(self, conversation: str, thread: str | None = None) -> str:
        """Return the ts of what was seen last there; empty for nothing."""
        return self._last.get(f"{conversation}:{thread}" if thread else conversation, "")

    def knows_thread(self, conversation: str, thread: str) -> bool:
        return f"{conversation}:{thread}" in self._last

    def threads(self, conversation: str) -> list[str]:
        """Return the threads there that were spoken in lately, those of last first."""
        oldest = f"{float(self.newest or 0) - THREAD_DAYS * 86_400:.6f}"
        prefix = f"{conversation}:"
        found = [(ts, place) for place, ts in self._last.items() if place.startswith(prefix) and ts > oldest]
        return [place.removeprefix(prefix) for _, place in sorted(found, reverse=True)[:THREADS_OF_ONE]]

    async def load(self) -> None:
        if self._path is not None:
            self._last.update(await asyncio.to_thread(_read, self._path))
            self.newest = max(self._last.values(), default="")

    async def run(self) -> None:
        """Write what changed until cancelled, and at the end."""
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(self._every_s)
                self._changed.clear()
                await asyncio.to_thread(self._write)
        finally:
            self._write()

    def _write(self) -> None:
        if self._path is not None:
            write_kept(self._path, dict(self._last), what="what was seen last", action="slack_seen_unkept")


def _read(path: Path) -> dict[str, str]:
    try:
        noted: Any = read_kept(path)
        return {str(place): ts for place, ts in noted.items() if is_ts(ts)}
    except (OSError, ValueError, AttributeError):
        return {}
