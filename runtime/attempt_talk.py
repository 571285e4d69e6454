"""What a working agent asks and is told beside its steps: questions of its tools, and messages that came meanwhile.

A question waits for its answer with the container for a minute; then the attempt ends (`patience`), and the task waits
without one. A message that was told counts as delivered when its step is stored (`taken_in`), not sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from protocol.ids import MessageId
from protocol.link import Answered, Ask, Steer, SteerMessage
from protocol.transcript import Step
from runtime.attempt_outcome import Misbehaved
from runtime.store.records import TaskRow
from runtime.task_desk import AgentSession
from runtime.waiting_tasks import WaitingTasks, checked_ask

MAX_QUESTIONS = 1_000
"""Of one attempt: a loop that asks without end is no work."""


class AttemptTalk:
    """Of one task: what is told and not taken in passes from one attempt to the next."""

    def __init__(self, waiting: WaitingTasks, row: TaskRow) -> None:
        self._waiting = waiting
        self._row = row
        self._session: AgentSession | None = None
        self._untaken: dict[str, SteerMessage] = {}
        self._unsent: set[str] = set()
        self._wall: asyncio.Timeout | None = None
        self._patience: asyncio.Timeout | None = None
        self._open_call = ""
        self._asked_at = 0.0
        self._questions = 0
        self.when_taken_in: Callable[[tuple[MessageId, ...]], None] = lambda _: None

    @property
    def is_asking(self) -> bool:
        return bool(self._open_call)

    async def begin(self, session: AgentSession, wall: asyncio.Timeout, patience: asyncio.Timeout) -> None:
        """Follow an attempt whose agent has its task: within `wall` and, while it waits for an answer, `patience`."""
        self._session, self._wall, self._patience = session, wall, patience
        self._open_call, self._questions = "", 0
        self._unsent = set(self._untaken)
        await self.send_unsent()

    def end(self) -> None:
        """The attempt is over."""
        self._session = self._wall = self._patience = None
        self._open_call = ""

    async def tell(self, messages: Sequence[SteerMessage]) -> None:
        """Have the agent see these at the next opportunity, in order; if it cannot, the next attempt's."""
        for message in messages:
            self._untaken[message.message_id] = message
            self._unsent.add(message.message_id)
        await self.send_unsent()

    def withdraw(self, message_id: MessageId) -> bool:
        """Do not tell this any more; False if it was not to be told, or was taken in."""
        self._unsent.discard(message_id)
        return self._untaken.pop(message_id, None) is not None

    async def stored(self, step: Step) -> None:
        """Hear that a step is on disk."""
        if step.message_ids:
            for message_id in step.message_ids:
                self.withdraw(MessageId(message_id))
            self.when_taken_in(tuple(MessageId(message_id) for message_id in step.message_ids))
        await self.send_unsent()

    async def asked(self, ask: Ask) -> Misbehaved | None:
        """Take a question; the answer follows by `answer`, if there is none yet."""
        checked = checked_ask(ask)
        if checked is None:
            return Misbehaved(code="wrong_shape", detail="a question without a kind or call")
        if self.is_asking and checked.call_id != self._open_call:
            return Misbehaved(code="two_questions", detail="a question while another is open")
        self._questions += 1
        if self._questions > MAX_QUESTIONS:
            return Misbehaved(code="too_many_questions", detail=f"more than {MAX_QUESTIONS} questions")
        if not self.is_asking:
            self._open_call, self._asked_at = checked.call_id, asyncio.get_running_loop().time()
            if self._patience is not None:
                self._patience.reschedule(self._asked_at + self._waiting.suspend_after_s)
        answered = await self._waiting.asked(self._row, checked)
        if answered is not None:
            await self.answer(answered)
        return None

    async def answer(self, answered: Answered) -> None:
        """Give the agent an answer, if it waits for this one. What it waited is not counted as work."""
        if answered.call_id != self._open_call or self._session is None:
            return
        self._open_call = ""
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(None)
        if self._wall is not None and not self._wall.expired() and (until := self._wall.when()) is not None:
            self._wall.reschedule(until + asyncio.get_running_loop().time() - self._asked_at)
        await self._session.send(answered)

    def stop_waiting(self) -> None:
        """End the attempt now, if all it does is wait for an answer."""
        if self.is_asking and self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def send_unsent(self) -> None:
        """Say what the agent was not there to hear."""
        unsent = [message for message_id, message in self._untaken.items() if message_id in self._unsent]
        if not unsent or self._session is None:
            return
        self._unsent.clear()
        if not await self._session.send(Steer(messages=tuple(unsent))):
            self._unsent.update(message.message_id for message in unsent)
