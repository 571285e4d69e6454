"""Dead letters: what failed of tasks and schedules, messages not delivered, updates that nobody could read.

Each is listed, explained, tried again or closed by a person; after LETTER_DAYS its age closes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from protocol.ids import ChatKey, TaskId
from runtime.refusal import OperationRefused
from runtime.schedules.records import RunId
from runtime.schedules.words import schedule_name
from runtime.store import letter_rows, schedule_rows
from runtime.store.letter_rows import Letter
from runtime.store.store import Store

log = logging.getLogger(__name__)

LETTER_DAYS = 90
SWEEP_EVERY_S = 86_400.0
MAX_LISTED = 200
AGE = "age"
"""Who closes what is too old, as the journal names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A letter, and why it is one."""

    letter: Letter
    what: str
    """What it was about, in the words of whoever wrote it: untrusted."""
    why: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterEnds:
    """Who tries again."""

    task: Callable[[TaskId, str], Awaitable[None]]
    """Make a new task of what a failed one was to answer; by whom. Raises OperationRefused."""
    run: Callable[[], None]
    """A schedule's run waits."""
    delivery: Callable[[], None]
    """The outbox has something that is due."""
    update: Callable[[], None]
    """An update waits to be decoded."""


class LetterDesk:
    """Lists, explains, retries and closes."""

    def __init__(self, store: Store, ends: LetterEnds) -> None:
        self._store = store
        self._ends = ends

    async def letters(self, limit: int = 20, *, with_ended: bool = False) -> tuple[Explained, ...]:
        """Return the newest letters, newest first; those that somebody has ended only `with_ended`."""
        limit = max(1, min(limit, MAX_LISTED))
        if with_ended:
            found = await self._store.read(letter_rows.newest_letters, limit)
        else:
            found, _ = await self._store.read(letter_rows.open_letters, limit)
        return tuple([await self._explain(letter) for letter in found])

    async def page(self, chat: ChatKey | None, past: int, limit: int) -> tuple[tuple[Explained, ...], int]:
        """Return open letters of one chat, or of all, newest first, and how many there are."""
        found, count = await self._store.read(letter_rows.open_letters, limit, past, chat)
        return tuple([await self._explain(letter) for letter in found]), count

    async def counts(self) -> Mapping[str, int]:
        """Return how many are open, by kind."""
        return await self._store.read(letter_rows.count_letters)

    async def show(self, reference: str) -> Explained:
        """Return one letter with its reason; raise OperationRefused for one that there is not."""
        return await self._explain(await self._letter(reference))

    async def of_chat(self, chat: ChatKey) -> Letter | None:
        """Return the chat's newest failed task that nobody has ended."""
        return await self._store.read(letter_rows.failed_task_of_chat, chat)

    async def retry(self, reference: str, by: str) -> None:
        """Try again: a task is made anew, a message is delivered, an update is decoded."""
        letter = await self._letter(reference)
        if letter.state != "open":
            raise OperationRefused("letter_ended", f"{reference} is {letter.state} already, by {letter.ended_by}")
        if letter.kind == "schedule":
            await self._retry_run(letter, by)
            return
        if letter.kind == "task":
            await self._ends.task(TaskId(reference), by)
            await self._store.write(letter_rows.end_letter, reference, "retried", by)
            return
        again = letter_rows.retry_delivery if letter.kind == "delivery" else letter_rows.retry_update
        if not await self._store.write(again, letter, by):
            raise OperationRefused("letter_ended", f"{reference} is not dead any more")
        (self._ends.delivery if letter.kind == "delivery" else self._ends.update)()

    async def close(self, reference: str, by: str) -> None:
        """Say that a letter needs nothing more."""
        letter = await self._letter(reference)
        if not await self._store.write(letter_rows.end_letter, reference, "closed", by):
            raise OperationRefused("letter_ended", f"{reference} is {letter.state} already, by {letter.ended_by}")

    async def close_all(self, by: str, *, before: datetime | None = None, chat: ChatKey | None = None) -> int:
        """Close all open letters, or those of one chat, or those that died before a time; return how many."""
        return await self._store.write(letter_rows.close_letters, before or datetime.now(UTC), by, chat)

    async def run(self) -> None:
        """Close what is too old, now and every day, until cancelled."""
        while True:
            closed = await self.close_all(AGE, before=datetime.now(UTC) - timedelta(days=LETTER_DAYS))
            if closed:
                log.info("old dead letters were closed", extra={"action": "letters_closed", "letters": closed})
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _letter(self, reference: str) -> Letter:
        found = await self._store.read(letter_rows.letter, reference)
        if found is None:
            text = f"there is no dead letter {reference[:80]!r}"
            raise OperationRefused("unknown_letter", text, "./nightyard letters")
        return found

    async def _explain(self, letter: Letter) -> Explained:
        match letter.kind:
            case "task":
                return await self._explain_task(letter)
            case "schedule":
                return await self._explain_run(letter)
            case "delivery":
                return await self._explain_delivery(letter)
            case "update":
                return await self._explain_update(letter)

    async def _explain_task(self, letter: Letter) -> Explained:
        task_id = TaskId(letter.reference)
        row, messages = await self._store.task(task_id), await self._store.messages_of(task_id)
        asked = " ".join(message.inbound.text for message in messages)
        result = row.result if row else None
        why = f"{result.reason} ({result.code})" if result else "it ended without a word"
        return Explained(letter=letter, what=asked, why=why, mend=f"./nightyard trace {task_id}")

    async def _retry_run(self, letter: Letter, by: str) -> None:
        refused = await self._store.write(schedule_rows.retry_run, RunId(letter.reference), by)
        if refused:
            why = "its schedule was removed" if refused == "removed" else "it is not kept any more"
            raise OperationRefused("nothing_left", f"{letter.reference} cannot run again: {why}", "/schedule list")
        self._ends.run()

    async def _explain_run(self, letter: Letter) -> Explained:
        run = await self._store.read(schedule_rows.run_by_id, RunId(letter.reference))
        schedule = await self._store.read(schedule_rows.schedule, run.schedule_id) if run is not None else None
        if run is None or schedule is None:
            return Explained(letter=letter, what="", why="its run is not kept any more", mend="")
        task = await self._store.task(run.task_id) if run.task_id is not None else None
        reason = task.result.reason if task is not None and task.result is not None else "it began no task"
        what = f"{schedule_name(schedule)}, due {run.due_at:%Y-%m-%d %H:%M} UTC"
        mend = f"./nightyard schedule history {schedule.schedule_id}"
        return Explained(letter=letter, what=what, why=f"{reason} ({run.reason})", mend=mend)

    async def _explain_delivery(self, letter: Letter) -> Explained:
        row = await self._store.read(letter_rows.dead_delivery, letter.number)
        if row is None:
            return Explained(letter=letter, what="", why="its message is not kept any more", mend="")
        what = row.message.text or row.message.file_name
        why = f"{row.reason} (after {row.attempts} {'try' if row.attempts == 1 else 'tries'})"
        return Explained(letter=letter, what=what, why=why, mend="./nightyard channel list")

    async def _explain_update(self, letter: Letter) -> Explained:
        update = await self._store.read(letter_rows.dead_update, letter.number)
        if update is None:
            return Explained(letter=letter, what="", why="its bytes are not kept any more", mend="")
        what = f"event {update.event_id} of {update.channel_id}, {update.raw_bytes} bytes"
        return Explained(letter=letter, what=what, why=update.reason, mend="./nightyard logs host")
