"""Which messages were begun to be said, so that none whose answer was lost is said twice.

Slack takes no key that would tell; a message carries ours as metadata, and one that was begun before is looked for
before it is said again. Kept in a file, written before each message: a host that died in between is the case for which
it is there.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from channels.kept_file import read_kept, write_kept

MAX_KEPT = 1000
"""Only what could not be said for long comes near: each chat has one message under way."""
MAX_SAID_KEPT = 50
"""Of those that were said whole: the host may die before it has noted so, and would have them said again."""


@dataclass(slots=True, kw_only=True)
class Begun:
    """One message of the host's."""

    after: str
    """What time it was on the server, a ts: it cannot have been said before."""
    is_unsure: bool
    """Something of it may have been said without our knowing."""
    is_whole: bool = False
    said: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Part → the ids of what can be seen of it."""
    file_ids: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Part → Slack's ids of the files that were to become its message."""


class BegunMessages:
    """The file of one account."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._begun: OrderedDict[str, Begun] = OrderedDict()
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Take up what an earlier host had begun. Nothing may be begun before: it would be written over that."""
        for key, (after, files) in (await asyncio.to_thread(_read, self._path) if self._path else {}).items():
            file_ids = {int(part): tuple(ids) for part, ids in files.items()}
            self._begun[key] = Begun(after=after, is_unsure=True, file_ids=file_ids)

    async def begin(self, key: str, after: str) -> Begun:
        """Return what is known of a message, noted on the disk by then. One without a key is not remembered."""
        if not key:
            return Begun(after=after, is_unsure=False)
        known = self._begun.get(key)
        if known is not None:
            self._begun.move_to_end(key)  # others must not push it out while it waits for its next try
            return known
        begun = self._begun[key] = Begun(after=after, is_unsure=False)
        if len(self._begun) > MAX_KEPT:
            self._begun.popitem(last=False)
        await self.keep()
        return begun

    def end(self, key: str) -> None:
        """It was said whole; it is known for a while yet."""
        begun = self._begun.get(key)
        if begun is None:
            return
        begun.is_whole = True
        said = [each for each, begun in self._begun.items() if begun.is_whole]
        for each in said[:-MAX_SAID_KEPT]:
            del self._begun[each]

    async def keep(self) -> None:
        if self._path is None:
            return
        async with self._lock:
            noted = {key: (begun.after, begun.file_ids.copy()) for key, begun in self._begun.items()}
            await asyncio.to_thread(
                write_kept, self._path, noted, what="what is being said", action="slack_begun_unkept"
            )


def _read(path: Path) -> dict[str, tuple[str, dict[str, list[str]]]]:
    try:
        noted: Any = read_kept(path)
        return {str(key): (str(after), dict(files)) for key, (after, files) in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
