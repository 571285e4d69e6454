"""Tasks that wait for an answer: a tool asks a person, or a room of the host, and its output is what they say.

A question is stored before its room hears of it. Without an answer after a minute the attempt ends (attempt.py): the
task is suspended, holds no container, and goes on in a new attempt when the answer comes, be it after a restart. Stop,
freeze and caps hold for it as for any task (dispatcher.py). A deadline that passes is an answer too.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from protocol.ids import TaskId
from protocol.link import Answered, Ask
from protocol.record import replace
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.store import question_rows
from runtime.store.records import TaskRow
from runtime.store.store import Store

log = logging.getLogger(__name__)

SUSPEND_AFTER_S = 60.0
"""How long a container is held for a person who thinks."""
ROOM_TIMEOUT_S = 30.0
"""How long a room may take to say whether it answers at once."""
LONGEST_WAIT_S = 30 * 86_400.0
SLOW_REREAD_S = 60.0
"""Deadlines are looked at again at least so often: a clock may have been set."""
MAX_TEXT_CHARS = 8_000
MAX_OPTIONS = 10
MAX_OPTION_CHARS = 100
MAX_CALL_ID_CHARS = 200
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
NOBODY = "Nobody answered in time. Do without the answer, or say what you would need it for."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, as the room that answers its kind gets it."""

    task: TaskRow
    ask: Ask


Room = Callable[[Asked], Awaitable[str | None]]
"""Returns the answer, or None where `resume` follows. May raise OperationRefused: the answer is then that error. It is
harmless to call it twice for one call of one task: after a restart it is."""
Deliver = Callable[[TaskId, Answered], Awaitable[None]]


class WaitingTasks:
    """One for the whole host."""

    def __init__(self, store: Store, *, suspend_after_s: float = SUSPEND_AFTER_S) -> None:
        self.suspend_after_s = suspend_after_s
        self._store = store
        self._rooms: dict[str, Room] = {}
        self._deliver: Deliver | None = None
        self._told: set[tuple[TaskId, str]] = set()
        """Questions whose room has heard of them."""
        self._changed = asyncio.Event()

    def answer_kind(self, kind: str, room: Room) -> None:
        """Have a room answer the questions of a kind; ValueError for a kind that has one. Before `run`."""
        if kind in self._rooms:
            raise ValueError(f"two rooms answer {kind}")
        self._rooms[kind] = room

    def when_answered(self, deliver: Deliver) -> None:
        """Have `deliver` bring stored answers to their tasks: the dispatcher's part."""
        self._deliver = deliver

    async def asked(self, row: TaskRow, ask: Ask) -> Answered | None:
        """Store a question and have its room told; return the answer if there is one already, None if it follows."""
        stored = await insist(lambda: self._store.write(question_rows.ask, row.task_id, ask), "a question")
        if stored.state == "open":
            self._changed.set()
        return stored.answer

    async def resume(self, task_id: TaskId, call_id: str, answer: str, *, is_error: bool = False) -> bool:
        """Give a task the answer that it waits for: to its agent, or in a new attempt. False: it does not wait for it
        any more, and nothing was changed."""
        answered = Answered(call_id=call_id, answer=answer, is_error=is_error)
        is_taken = await insist(lambda: self._store.write(question_rows.answer, task_id, answered), "an answer")
        if is_taken:
            await self.deliver(task_id, answered)
        return is_taken

    async def deliver(self, task_id: TaskId, answered: Answered) -> None:
        """Bring an answer that is stored to its task."""
        self._told.discard((task_id, answered.call_id))
        if self._deliver is not None:
            await self._deliver(task_id, answered)

    async def run(self) -> None:
        """Tell rooms of questions, and answer those whose deadline has passed, until cancelled."""
        await insist(lambda: self._store.write(question_rows.close_questions), "old questions")
        async with asyncio.TaskGroup() as rooms:
            while True:
                self._changed.clear()
                pause_s = await self._look(rooms)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._changed.wait()

    async def _look(self, rooms: asyncio.TaskGroup) -> float:
        """Tell rooms what they have not heard of, those of an earlier host too, and end what is overdue; return how
        long nothing more is due, at most SLOW_REREAD_S."""
        pause_s = SLOW_REREAD_S
        for question in await self._store.read(question_rows.open_questions):
            left_s = (datetime.fromisoformat(question.deadline_at) - datetime.now(UTC)).total_seconds()
            if left_s <= 0:
                await self.resume(question.task_id, question.ask.call_id, NOBODY, is_error=True)
                continue
            pause_s = min(pause_s, left_s)
            task = await self._store.task(question.task_id)
            if task is not None and (task.task_id, question.ask.call_id) not in self._told:
                self._told.add((task.task_id, question.ask.call_id))
                rooms.create_task(self._tell_room(Asked(task=task, ask=question.ask)))
        return pause_s

    async def _tell_room(self, asked: Asked) -> None:
        answer = await self._ask_room(asked)
        if answer is not None:
            await self.resume(asked.task.task_id, asked.ask.call_id, answer.text, is_error=answer.is_error)

    async def _ask_room(self, asked: Asked) -> _Answer | None:
        room = self._rooms.get(asked.ask.kind)
        if room is None:
            return _Answer(f"Nobody here answers questions of the kind {asked.ask.kind!r}.", is_error=True)
        try:
            async with asyncio.timeout(ROOM_TIMEOUT_S):
                answer = await room(asked)
        except OperationRefused as refused:
            mend = f" What helps: {refused.mend}" if refused.mend else ""
            return _Answer(f"{refused.message}.{mend}", is_error=True)
        except Exception:  # a room's bug: the task goes on with a word
            extra = {"action": "question_broke", "task_id": asked.task.task_id, "kind": asked.ask.kind}
            log.exception("a question could not be asked", extra=extra)
            return _Answer("Nightyard itself failed to ask this; its log tells more.", is_error=True)
        return None if answer is None else _Answer(answer)


@dataclass(frozen=True, slots=True)
class _Answer:
    text: str
    is_error: bool = False


def checked_ask(ask: Ask) -> Ask | None:
    """Return an agent's question with its texts cut and its deadline in bounds; None for one that is none."""
    if not _KIND.fullmatch(ask.kind) or not ask.call_id or len(ask.call_id) > MAX_CALL_ID_CHARS:
        return None
    return replace(
        ask,
        text=ask.text[:MAX_TEXT_CHARS],
        options=tuple(option[:MAX_OPTION_CHARS] for option in ask.options[:MAX_OPTIONS]),
        timeout_s=min(max(ask.timeout_s, 1.0), LONGEST_WAIT_S),
    )
