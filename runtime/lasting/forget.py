"""Forget: destroys what a person said, was told and sent, and leaves the chain of what happened whole."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from channels.channel import Channel, HasKept
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey, TaskId
from runtime.history.history import Histories
from runtime.home import Home
from runtime.lasting.forget_files import forget_files
from runtime.lasting.forget_sessions import forget_sessions
from runtime.lasting.receipt import ForgetReceipt, GroupFiles
from runtime.refusal import OperationRefused
from runtime.sessions.desk import drop_exports
from runtime.store import forget_rows, people_rows
from runtime.store.forget_rows import StoredFile
from runtime.store.store import Store
from runtime.task_desk import channel_of

COMPACT_TRIES = 20
COMPACT_PAUSE_S = 0.25


class ForgetDesk:
    """Carries it out."""

    def __init__(
        self,
        home: Home,
        store: Store,
        histories: Histories,
        drop_index: Callable[[], Awaitable[None]],
        channels: Callable[[], Mapping[ChannelId, Channel]] = dict,
    ) -> None:
        """`channels` that run now: some keep files of their own. `drop_index`: deletes what searches are made in."""
        self._home = home
        self._store = store
        self._histories = histories
        self._drop_index = drop_index
        self._channels = channels

    async def forget(self, person: PersonKey) -> ForgetReceipt:
        """Forget a person under all their identities; raise OperationRefused while work of theirs is under way. What is
        outside the store goes first: cut off on the way, the command finds the rest when it is given again."""
        keys = await self._store.read(people_rows.keys_of, person)
        work = await self._store.read(forget_rows.open_work, keys)
        if work.messages or work.tasks:
            what = f"{len(work.tasks)} tasks and {work.messages} messages of {person[:80]}"
            mend = f"./nightyard stop --task {work.tasks[0]}" if work.tasks else "./nightyard status"
            raise OperationRefused("still_working", f"{what} are still under way", mend)
        found = await self._store.read(forget_rows.outside, keys)
        groups = [
            await self._forget_in(group_id, tasks, found.since[group_id])
            for group_id, tasks in sorted(found.tasks.items())
        ]
        removed = await asyncio.to_thread(self._remove_files, found.files)
        done = await self._store.write(forget_rows.forget, keys)
        if not done.rows and not done.texts:
            raise OperationRefused("unknown_person", f"nothing is known of {person[:80]!r}", "./nightyard person list")
        for chat in done.chats:
            if (channel := self._keeping(chat)) is not None:
                await channel.forget(chat)
        await self._drop_index()
        return ForgetReceipt(
            forget_id=done.forget_id,
            person=person,
            identities=len(keys),
            messages=done.messages,
            tasks=done.tasks,
            turns=done.turns,
            texts=done.texts,
            rows=done.rows,
            files=removed,
            exports=await asyncio.to_thread(drop_exports, self._home),
            is_compact=await self._compact(),
            groups=tuple(groups),
            shared=found.shared,
        )

    async def _forget_in(self, group_id: GroupId, tasks: frozenset[TaskId], since: str) -> GroupFiles:
        """Destroy what tasks left in a group's folders."""
        files = await forget_files(self._store, self._histories, group_id, tasks, since)
        try:
            sessions = await asyncio.to_thread(forget_sessions, self._home.group(group_id) / "home")
        except OSError as error:
            problem = f"the sessions in its /home/agent could not be removed: {error}"
            return replace(files, problem="; ".join(filter(None, (files.problem, problem))))
        return replace(files, sessions=sessions)

    def _keeping(self, chat: ChatKey) -> HasKept | None:
        """Return the chat's channel, if it keeps files of its own."""
        channel = self._channels().get(channel_of(chat))
        return channel if isinstance(channel, HasKept) else None

    def _remove_files(self, files: tuple[StoredFile, ...]) -> int:
        """Remove files by the names that the host gave them; return how many there were."""
        removed = 0
        for file in files:
            group = self._home.group(file.group_id)
            name = Path(file.name).name
            for folder in (group / "inbox", group / "outbox"):
                for path in folder.glob(f"{name}*") if file.is_beginning else (folder / name,):
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
