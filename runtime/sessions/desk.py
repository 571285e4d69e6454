"""What people and programs may do with conversations as a whole: list them, take one up again, write one out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from protocol.ids import ChatKey, GroupId, SessionId, mint
from runtime.home import Home
from runtime.refusal import OperationRefused
from runtime.sessions.compaction import Compactor
from runtime.sessions.export_text import build_head, build_turns, file_name
from runtime.sessions.records import SessionHead, SessionLine, SessionTurn
from runtime.store import session_rows
from runtime.store.store import Store

LISTED = 10
MAX_LISTED = 100
TURNS_AT_ONCE = 50
EXPORTS_KEPT = 20
"""Files in the folder of exports; the oldest go: each was sent, or copied, long ago."""


class SessionDesk:
    """One for the whole host."""

    def __init__(self, store: Store, home: Home, compactor: Compactor, zone: Callable[[], tzinfo]) -> None:
        self._store = store
        self._folder = home.exports
        self._compactor = compactor
        self._zone = zone

    @property
    def zone(self) -> tzinfo:
        return self._zone()

    async def group_of(self, chat: ChatKey, group_id: GroupId | None = None) -> GroupId:
        """Return the agent of a chat, the default one where there are several; OperationRefused where there is none."""
        binding = await self._store.binding_of(chat, group_id)
        if binding is None:
            raise OperationRefused("unknown_chat", f"No agent is bound to the chat {chat[:80]!r}", "/status")
        return binding.group_id

    async def list(self, group_id: GroupId, chat: ChatKey, limit: int = LISTED) -> tuple[SessionLine, ...]:
        """Return a chat's conversations with an agent, newest first."""
        return await self._store.read(session_rows.sessions_of, group_id, chat, max(1, min(limit, MAX_LISTED)))

    async def resume(self, group_id: GroupId, chat: ChatKey, reference: str) -> SessionLine:
        """Make an earlier conversation of a chat its current one; `reference`: its id, or its number in the list."""
        lines = await self.list(group_id, chat, MAX_LISTED)
        found = self._find(lines, reference)
        if found is None or not await self._store.write(session_rows.take_up_session, group_id, chat, found.session_id):
            raise OperationRefused("unknown_session", f"There is no conversation {reference[:40]!r} here", "/sessions")
        return found

    def _find(self, lines: tuple[SessionLine, ...], reference: str) -> SessionLine | None:
        if reference.isdecimal() and len(reference) <= 4:
            number = int(reference)
            return lines[number - 1] if 1 <= number <= len(lines) else None
        return next((line for line in lines if line.session_id == reference), None)

    async def compact(self, group_id: GroupId, chat: ChatKey, by: str, key: str) -> int:
        """Have a chat's current conversation summed up; return how many turns."""
        return await self._compactor.compact(group_id, await self._current(group_id, chat), chat, by, key)

    async def export(self, group_id: GroupId, chat: ChatKey) -> tuple[Path, str]:
        """Write a chat's current conversation into a file; return it and the name to give it."""
        return await self.export_session(await self._current(group_id, chat))

    async def export_session(self, session_id: SessionId) -> tuple[Path, str]:
        """Write any conversation into a file; return it and the name to give it."""
        head = await self._store.read(session_rows.session_head, session_id)
        if head is None:
            raise OperationRefused("unknown_session", f"There is no conversation {session_id[:60]!r}")
        turns = await self._turns(head, 0)
        if not turns:
            raise OperationRefused("empty", "Nothing was asked in this conversation yet")
        path = self._folder / f"{mint('export')}.md"
        await asyncio.to_thread(_begin, path, build_head(head, self.zone))
        past = 0
        while turns:
            await asyncio.to_thread(_append, path, build_turns(turns, self.zone))
            past += len(turns)
            turns = await self._turns(head, past)
        return path, file_name(head)

    async def _turns(self, head: SessionHead, past: int) -> tuple[SessionTurn, ...]:
        return await self._store.read(session_rows.session_turns, head.session_id, past, TURNS_AT_ONCE)

    async def _current(self, group_id: GroupId, chat: ChatKey) -> SessionId:
        session_id = await self._store.current_session(group_id, chat)
        if session_id is None:
            raise OperationRefused("no_session", "There is no conversation here yet")
        return session_id

    def now(self) -> datetime:
        return datetime.now(UTC)


def drop_exports(home: Home) -> int:
    """Remove all conversations that were written out: each was sent, or copied, long ago. Returns how many."""
    files = list(home.exports.glob("export_*.md"))
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


def _begin(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = sorted(path.parent.glob("export_*.md"), key=lambda each: each.stat().st_mtime)
    for old in kept[: max(0, len(kept) - EXPORTS_KEPT + 1)]:
        old.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
