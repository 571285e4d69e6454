"""Questions of agents to people: asked in the task's chat, answered by a button, a command, a reply or plain words.

A room of `waiting_tasks.py`, which keeps the questions, suspends a task that waits, and ends what nobody answers. What
is open is known in memory, too, by chat: intake asks of every message whether it may be an answer. Which one is, and
who may give it, is `answers.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from functools import partial

from protocol.ids import ChatKey, GroupId, PersonKey
from protocol.link import Ask
from protocol.message import InboundMessage
from protocol.record import replace
from runtime.access import role_of
from runtime.approvals.rules import normal_id
from runtime.asks.answers import (
    MAX_ANSWER_CHARS,
    MAX_PER_TASK,
    OpenQuestion,
    answer_text,
    build_question,
    choose,
    find_answered,
    make_code,
    may_answer,
)
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.store import answer_rows, question_rows, send_rows
from runtime.store.people_rows import people_with
from runtime.store.records import Filed, StoredMessage, TaskRow
from runtime.store.store import Store
from runtime.waiting_tasks import Asked, WaitingTasks


class UserQuestions:
    """One for the whole host. `load` before messages come in."""

    def __init__(
        self,
        store: Store,
        waiting: WaitingTasks,
        *,
        wake_delivery: Callable[[], None],
        zone: Callable[[], tzinfo],
    ) -> None:
        self._store = store
        self._waiting = waiting
        self._wake_delivery = wake_delivery
        self._zone = zone
        self._open: dict[str, OpenQuestion] = {}
        """By code, the oldest first."""

    async def load(self) -> None:
        """Know the questions that an earlier host has asked."""
        for question in await self._store.read(question_rows.open_questions):
            task = await self._store.task(question.task_id)
            if question.ask.kind == answer_rows.KIND and task is not None and task.chat is not None:
                await self._know(task, task.chat, question.ask)

    async def asked(self, asked: Asked) -> None:
        """Ask what an agent wants to know; the answer follows. Raises OperationRefused."""
        task, ask = asked.task, asked.ask
        if task.chat is None:
            message = "this task has no chat where somebody could be asked: go on without, or say what you would need"
            raise OperationRefused("no_chat", message)
        if not ask.text.strip():
            raise OperationRefused("empty_text", "there is nothing to ask: the question is empty")
        if await self._store.read(answer_rows.asked_before, task.task_id) > MAX_PER_TASK:
            message = f"one task asks people at most {MAX_PER_TASK} questions: go on with what you know"
            raise OperationRefused("too_many_questions", message)
        question = await self._know(task, task.chat, ask)
        binding = await self._store.binding_of(task.chat, task.group_id)
        card = build_question(question, is_many=binding is not None and binding.chat_kind == "many")
        key = question.outbox_key
        await insist(lambda: self._store.put_outbound(key, card, task.task_id), "a question")
        if (await self._store.read(send_rows.where_is, key))[0] == "refused":
            self._open.pop(question.code, None)
            raise OperationRefused("constraint_denied", "a constraint of your owner's rules this question out")
        self._wake_delivery()

    async def _know(self, task: TaskRow, chat: ChatKey, ask: Ask) -> OpenQuestion:
        code = make_code(task.task_id, ask.call_id)
        question = self._open[code] = OpenQuestion(
            code=code,
            task_id=task.task_id,
            call_id=ask.call_id,
            group_id=task.group_id,
            chat=chat,
            text=ask.text,
            options=ask.options,
            outbox_key=question_rows.card_key(task.task_id, ask.call_id),
            persons=await self._store.read(answer_rows.askers_of, task.task_id),
        )
        return question

    def task_ended(self, row: TaskRow) -> None:
        """Forget what an ended task has asked. Returns at once."""
        self._open = {code: each for code, each in self._open.items() if each.task_id != row.task_id}

    # --- Answers that are messages: intake's part

    def waits_in(self, chat: ChatKey) -> bool:
        """Return whether a message of this chat may be an answer."""
        return any(each.chat == chat for each in self._open.values())

    async def file(self, raw_id: int, inbound: InboundMessage, group_id: GroupId, note: str) -> Filed | None:
        """File a message to an agent as the answer that it is; None for one that is none."""
        while (question := await self._answered_by(inbound, group_id)) is not None:
            job = partial(
                answer_rows.file_answer,
                note=note,
                task_id=question.task_id,
                call_id=question.call_id,
                words=await self._words(question, inbound),
            )
            done = await insist(partial(self._store.write, job, raw_id, inbound, group_id), "an answer")
            self._open.pop(question.code, None)
            if done is None:  # it ran out, or was answered, in this moment
                continue
            filed, answered = done
            self._wake_delivery()  # of the card's buttons
            if filed.first:
                await self._waiting.deliver(question.task_id, answered)
            return filed
        return None

    async def _answered_by(self, inbound: InboundMessage, group_id: GroupId) -> OpenQuestion | None:
        waiting = [each for each in self._open.values() if each.chat == inbound.chat]
        if not waiting:
            return None
        answerer = await self._store.read(answer_rows.answerer, inbound.person)
        cards = {each.code: (await self._store.read(send_rows.where_is, each.outbox_key))[1] for each in waiting}
        return find_answered(waiting, inbound, group_id, answerer, cards)

    async def _words(self, question: OpenQuestion, inbound: InboundMessage) -> Callable[[StoredMessage], str]:
        people = await self._store.read(people_with, (inbound.person,), question.group_id)
        role = role_of(inbound, people.get(inbound.person))
        words, zone = choose(question, inbound.text), self._zone()
        return lambda message: answer_text(message, words, role, zone)

    # --- Answers that are commands

    def find(self, code: str) -> OpenQuestion | None:
        return self._open.get(normal_id(code))

    def all(self, chat: ChatKey | None = None) -> tuple[OpenQuestion, ...]:
        """Return the questions that wait, of a chat or all, the oldest first."""
        return tuple(each for each in self._open.values() if chat in (None, each.chat))

    async def answer(self, question: OpenQuestion, words: str, message: StoredMessage | None) -> str:
        """Give somebody's answer, and return it; `message`: their command, None: somebody at the machine. Raises
        OperationRefused for one that is not theirs to answer, or waits no more."""
        if message is None:
            text = f"The owner, at the machine, answers: {choose(question, words)[:MAX_ANSWER_CHARS]}"
        else:
            await self._check(question, message.inbound.person)
            text = (await self._words(question, replace(message.inbound, text=words)))(message)
        if not choose(question, words):
            raise OperationRefused("empty_text", "that answer is empty", f"/answer {question.code} WORDS")
        self._open.pop(question.code, None)
        if not await self._waiting.resume(question.task_id, question.call_id, text):
            raise over(question.code)
        self._wake_delivery()
        return choose(question, words)

    async def _check(self, question: OpenQuestion, person: PersonKey) -> None:
        answerer = await self._store.read(answer_rows.answerer, person)
        if not may_answer(question, answerer):
            raise OperationRefused("not_theirs", "that question is for whoever asked the agent to do this")


def over(code: str) -> OperationRefused:
    return OperationRefused("question_over", f"the question {code[:20]!r} waits for no answer any more")
