"""Answers what an agent, or a person, looks for in the agent's memory and its past conversations.

The index is brought up to date when somebody searches, and costs nothing until then. A group with a model for
embeddings is searched by meaning, too: what passages mean is asked for then, at the cost of the task that searches.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from protocol.codec import ShapeError, from_json
from protocol.ids import ChatKey, GroupId, TaskId
from protocol.plain_text import decode
from protocol.record import Record
from protocol.task import ModelRoute
from runtime.approvals.records import Taint, TaintSource
from runtime.history.tree import TreeRefused, opened_folder, walk
from runtime.home import Home
from runtime.recall.index import RecallIndex
from runtime.recall.meaning import Meaning
from runtime.recall.passages import match_expression
from runtime.recall.records import Looker, Passage
from runtime.recall.vectors import Vector, fuse
from runtime.recall.words import build_found, time_of
from runtime.refusal import OperationRefused
from runtime.service_door import AskFailed
from runtime.store import recall_rows
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.waiting_tasks import Asked

log = logging.getLogger(__name__)

KIND = "memory"
MAX_FOUND = 20
USUAL_FOUND = 8
MAX_QUESTION_CHARS = 1_000
MAX_FILES = 2_000
MAX_FILE_BYTES = 1 << 20
"""Of a file, so much is searched; the rest is still there to be read."""

BATCH = 64
"""Texts of one question to a service for embeddings: what a small one answers within seconds."""
MAX_BATCHES = 7
CATCH_UP_S = 2.0

Mark = Callable[[TaskId, TaintSource, str], Awaitable[None]]
TaintOf = Callable[[TaskId], Awaitable[Taint]]


class SearchAsk(Record):
    """What the tool asks."""

    query: str = ""
    limit: int = USUAL_FOUND


class Recall:
    """One for the whole host."""

    def __init__(
        self, home: Home, store: Store, *, taint_of: TaintOf, mark: Mark, meaning: Meaning | None = None
    ) -> None:
        """`taint_of` and `mark`: what a task has read of strangers' words, and that another has read it there.
        `meaning`: who knows what texts mean; None: searches go by words alone."""
        self._meaning = meaning
        self._home = home
        self._store = store
        self._index = RecallIndex(home.path)
        self._taint_of = taint_of
        self._mark = mark
        self._turn = asyncio.Lock()
        """The index has one user at a time."""

    async def asked(self, asked: Asked) -> str | None:
        """Answer a task's agent, with what all who are present in its chat may see. Raises OperationRefused."""
        try:
            ask = from_json(SearchAsk, asked.ask.payload, "memory")
        except ShapeError as error:
            raise OperationRefused("wrong_request", f"the search is not understood: {error}") from error
        task = asked.task
        looker = await self._store.read(recall_rows.looker, task.group_id, task.chat)
        passages, note = await self._search_for(task, ask, looker)
        found = [passage for passage in passages if passage.source != task.task_id]
        for passage in found:
            if passage.kind == "talk":
                for source, origin in (await self._taint_of(TaskId(passage.source))).sources:
                    await self._mark(task.task_id, source, origin)
        return build_found(found, task.chat, note)

    async def for_owner(self, group_id: GroupId, query: str, most: int = USUAL_FOUND) -> Sequence[Passage]:
        """Answer an owner. Raises OperationRefused."""
        return await self.search(group_id, query, Looker(chats=frozenset(), sees_all=True), most)

    async def in_chat(self, group_id: GroupId, query: str, chat: ChatKey) -> Sequence[Passage]:
        """Answer whoever asks in a chat, with what all who are present there may see. Raises OperationRefused."""
        looker = await self._store.read(recall_rows.looker, group_id, chat)
        return await self.search(group_id, query, looker, USUAL_FOUND)

    async def search(self, group_id: GroupId, query: str, looker: Looker, most: int) -> Sequence[Passage]:
        """Return the best passages that the looker may see, best first. Raises OperationRefused."""
        if len(query) > MAX_QUESTION_CHARS:
            message = f"a search has at most {MAX_QUESTION_CHARS} characters: name what you look for in a few words"
            raise OperationRefused("too_long", message)
        expression = match_expression(query)
        if not expression:
            raise OperationRefused("empty_text", "there is no word in that search: name what you look for")
        async with self._turn:
            await self._catch_up(group_id)
            most = min(max(most, 1), MAX_FOUND)
            return await asyncio.to_thread(self._index.search, group_id, expression, looker, most)

    async def _search_for(self, task: TaskRow, ask: SearchAsk, looker: Looker) -> tuple[Sequence[Passage], str]:
        """Return what a task finds, and what it should know of the search."""
        model = self._meaning.model_of(task.group_id) if self._meaning is not None else None
        if self._meaning is None or model is None:
            return await self.search(task.group_id, ask.query, looker, ask.limit), ""
        by_words = await self.search(task.group_id, ask.query, looker, MAX_FOUND)
        most = min(max(ask.limit, 1), MAX_FOUND)
        try:
            near = await self._near(self._meaning, model, task, ask.query, looker)
        except AskFailed as failed:
            extra = {"action": "meaning_failed", "task_id": task.task_id, "group_id": task.group_id}
            log.warning("a search went by words alone: %s", failed, extra=extra)
            return by_words[:most], f"by words alone: {failed}"
        return fuse((by_words, near), most), ""

    async def _near(
        self, meaning: Meaning, model: ModelRoute, task: TaskRow, query: str, looker: Looker
    ) -> Sequence[Passage]:
        """Return what is nearest to a question; raise AskFailed. Of passages whose meaning is not known yet it asks
        for some with it, and for more as long as that goes quickly: the newest first, the rest with later searches."""
        until = asyncio.get_running_loop().time() + CATCH_UP_S
        group_id, name = task.group_id, model.full_name
        asked, *_ = vectors = await self._learn(meaning, model, task, query)
        for _ in range(MAX_BATCHES):
            if len(vectors) < BATCH or asyncio.get_running_loop().time() > until:
                break
            with suppress(AskFailed):
                vectors = await self._learn(meaning, model, task, query)
        async with self._turn:
            return await asyncio.to_thread(self._index.nearest, group_id, name, asked, looker, MAX_FOUND)

    async def _learn(self, meaning: Meaning, model: ModelRoute, task: TaskRow, query: str) -> tuple[Vector, ...]:
        """Ask what a question means, and some passages with it; return all that came. Raises AskFailed."""
        async with self._turn:
            new = await asyncio.to_thread(self._index.without_vector, task.group_id, model.full_name, BATCH - 1)
        vectors = await meaning.vectors(task, model, [query, *new.values()])
        rows = [(number, text, vector) for (number, text), vector in zip(new.items(), vectors[1:], strict=True)]
        async with self._turn:
            await asyncio.to_thread(self._index.add_vectors, model.full_name, rows)
        return vectors

    async def drop(self) -> None:
        """Delete the index, with every word in it: the next search makes it anew of what is still there."""
        async with self._turn:
            await asyncio.to_thread(self._index.drop)

    async def _catch_up(self, group_id: GroupId) -> None:
        reached, more = await asyncio.to_thread(self._index.reached), True
        while more:
            turns, last, more = await self._store.read(recall_rows.turns_after, reached)
            if last != reached:
                await asyncio.to_thread(self._index.add_turns, turns, last)
            reached = last
        await asyncio.to_thread(partial(_read_files, self._home, self._index, group_id))


def _read_files(home: Home, index: RecallIndex, group_id: GroupId) -> None:
    """Take in the memory files that have changed, and take out those that are gone. Blocks."""
    known = index.stamps(group_id)
    folder = home.group(group_id) / "memory"
    if folder.is_dir():
        try:
            with opened_folder(folder) as root:
                for number, found in enumerate(walk(root, "")):
                    if number >= MAX_FILES:
                        break
                    path, state = found.path.lstrip("/"), found.state
                    stamp = f"{state.st_mtime_ns} {state.st_size} {state.st_ino}"
                    if not stat.S_ISREG(state.st_mode) or known.pop(path, "") == stamp:
                        continue
                    with os.fdopen(found.open(), "rb") as file:
                        data = file.read(MAX_FILE_BYTES)
                    text = decode(data.decode("utf-8", "ignore").encode()) or ""
                    index.set_file(group_id, path, stamp, time_of(state.st_mtime), f"{path}\n{text}")
        except (TreeRefused, OSError) as error:
            message = f"The memory of {group_id} cannot be read: {error}"
            raise OperationRefused("unreadable", message) from error
    for gone in known:
        index.remove_file(group_id, gone)
