"""Has files of an agent's memory removed when an owner says so, and writes that down."""

from __future__ import annotations

import asyncio

from protocol.ids import GroupId
from runtime.journal import JournalKind
from runtime.memory_files import MemoryFiles
from runtime.recall.room import Recall
from runtime.store.database import Transaction
from runtime.store.journal_rows import append
from runtime.store.store import Store


class MemoryDesk:
    """One for the whole host."""

    def __init__(self, store: Store, files: MemoryFiles, recall: Recall) -> None:
        self._store = store
        self.files = files
        self._recall = recall

    async def forget(self, group_id: GroupId, path: str, by: str) -> None:
        """Remove a file; OperationRefused for one that is not there."""
        await asyncio.to_thread(self.files.forget, group_id, path)
        await self._recall.drop()
        await self._store.write(_note, group_id, path, by)


def _note(transaction: Transaction, group_id: GroupId, path: str, by: str) -> None:
    append(transaction, JournalKind.MEMORY_FORGOTTEN, f"{path} {by}", group=group_id)
