"""Forget: destroys what a person said, was told and sent, and leaves the chain of what happened whole."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from channels.channel import Channel, HasKept
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey
from runtime.home import Home
from runtime.refusal import OperationRefused
from runtime.store import forget_rows, people_rows
from runtime.store.forget_rows import StoredFile
from runtime.store.store import Store
from runtime.task_desk import channel_of

COMPACT_TRIES = 20
COMPACT_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReceipt:
    """What was destroyed, and what is not ours to destroy."""

    forget_id: str
    person: PersonKey
    identities: int
    messages: int
    tasks: int
    texts: int
    rows: int
    files: int
    is_compact: bool
    """The store's file holds no old bytes any more; False: somebody read it all the time, and the next one does it."""
    groups: tuple[GroupId, ...]
    """Whose agents may have kept something in their own files."""


class ForgetDesk:
    """Carries it out."""

    def __init__(self, home: Home, store: Store, channels: Callable[[], Mapping[ChannelId, Channel]] = dict) -> None:
        """`channels` that run now: some keep files of their own."""
        self._home = home
        self._store = store
        self._channels = channels

    async def forget(self, person: PersonKey) -> ForgetReceipt:
        """Forget a person under all their identities; raise OperationRefused while work of theirs is under way."""
        keys = await self._store.read(people_rows.keys_of, person)
        work = await self._store.read(forget_rows.open_work, keys)
        if work.messages or work.tasks:
            what = f"{len(work.tasks)} tasks and {work.messages} messages of {person[:80]}"
            mend = f"./nightyard stop --task {work.tasks[0]}" if work.tasks else "./nightyard status"
            raise OperationRefused("still_working", f"{what} are still under way", mend)
        done = await self._store.write(forget_rows.forget, keys)
        if not done.rows and not done.texts:
            raise OperationRefused("unknown_person", f"nothing is known of {person[:80]!r}", "./nightyard person list")
        removed = await asyncio.to_thread(self._remove_files, done.files)
        for chat in done.chats:
            if (channel := self._keeping(chat)) is not None:
                await channel.forget(chat)
        return ForgetReceipt(
            forget_id=done.forget_id,
            person=person,
            identities=len(keys),
            messages=done.messages,
            tasks=done.tasks,
            texts=done.texts,
            rows=done.rows,
            files=removed,
            is_compact=await self._compact(),
            groups=done.groups,
        )

    def _keeping(self, chat: ChatKey) -> HasKept | None:
        """Return the chat's channel, if it keeps files of its own."""
        channel = self._channels().get(channel_of(chat))
        return channel if isinstance(channel, HasKept) else None

    def _remove_files(self, files: tuple[StoredFile, ...]) -> int:
        """Remove files by the names that the host gave them; return how many there were."""
        removed = 0
        for file in files:
            group = self._home.group(file.group_id)
            for path in (group / "inbox" / Path(file.name).name, group / "outbox" / Path(file.name).name):
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                    removed += 1
        return removed

    async def _compact(self) -> bool:
        """Write the store's file anew, so that no old bytes are left between the new ones."""
        for _ in range(COMPACT_TRIES):
            if await asyncio.to_thread(_compact, self._home.store):
                return True
            await asyncio.sleep(COMPACT_PAUSE_S)
        return False


def _compact(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path, timeout=1.0, isolation_level=None)) as connection:
        try:
            connection.execute("VACUUM")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:  # somebody writes just now
            return False
    return not busy
