"""Questions of agents to people: who may answer, and by which words, with the container at hand and without it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path

import pytest

from protocol.ids import ChatKey, GroupId, PersonKey, PlatformMessageId
from protocol.link import Ask
from protocol.message import InboundMessage
from protocol.record import replace
from protocol.transcript import ToolCall
from runtime.asks.answers import MAX_PER_TASK, OpenQuestion
from runtime.asks.questions import UserQuestions
from runtime.refusal import OperationRefused
from runtime.store import send_rows
from runtime.store.records import Binding, Filed, MessageState, Role, StoredMessage
from runtime.waiting_tasks import NOBODY, Asked
from tests.runtime.host_bench import MAIN, TIMEOUT_S, HostBench, ScriptedAgent, open_bench

CALL = ToolCall(call_id="call_1", name="ask_user", arguments={})
ADA, BOB, EVE = PersonKey("stage:ada"), PersonKey("stage:bob"), PersonKey("stage:eve")
CHAT = ChatKey("stage:1")


class Desk:
    """The host's answer desk over its lives: a host that starts again has a new one."""

    def __init__(self, bench: HostBench) -> None:
        self.bench = bench
        self.questions: UserQuestions | None = None
        self._is_there = asyncio.Event()

    def waits_in(self, chat: ChatKey) -> bool:
        return self.questions is not None and self.questions.waits_in(chat)

    async def file(self, raw_id: int, inbound: InboundMessage, group_id: GroupId, note: str) -> Filed | None:
        assert self.questions is not None
        return await self.questions.file(raw_id, inbound, group_id, note)

    async def asked(self, asked: Asked) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await self._is_there.wait()
        assert self.questions is not None
        return await self.questions.asked(asked)

    @asynccontextmanager
    async def host(self) -> AsyncIterator[UserQuestions]:
        self.questions = None
        self._is_there.clear()
        async with self.bench.host() as dispatcher:
            questions = UserQuestions(
                self.bench.store,
                self.bench.waiting,
                wake_delivery=self.bench.delivery.wake,
                zone=lambda: UTC,
            )
            await questions.load()
            self.questions = questions
            self._is_there.set()
            dispatcher.ends.subscribe(questions.task_ended)
            yield questions

    async def open(self) -> OpenQuestion:
        """Return the one question that waits, once its card can be seen."""
        assert self.questions is not None
        questions = self.questions
        await self.bench.channel.until(lambda: bool(self.bench.channel.sent))
        (question,) = questions.all()
        return question


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_bench(tmp_path, groups={"main": "", "side": ""}) as bench:
        desk = Desk(bench)
        bench.rooms["question"] = desk.asked
        bench.answers = desk
        roles: dict[PersonKey, Role] = {ADA: "member", BOB: "member", EVE: "owner"}
        for person, role in roles.items():
            await bench.store.save_person(person, person, role, "cli")
        await bench.store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN, added_by="cli"))
        yield desk


def asking(
    text: str = "Which?", options: tuple[str, ...] = (), timeout_s: float = 3600.0
) -> Callable[[ScriptedAgent], Awaitable[None]]:
    """Return an agent that asks, and replies with what it was told; in a later attempt with what it finds."""

    async def script(agent: ScriptedAgent) -> None:
        outputs = [step.output for step in agent.assignment.steps if step.output is not None]
        if outputs:
            told = outputs[0].text
        else:
            await agent.turn(0, "", CALL)
            await agent.tool_started(1, CALL)
            answered = await agent.ask("question", call=CALL, text=text, options=options, timeout_s=timeout_s)
            told = answered.answer
        await agent.reply(f"told in attempt {agent.assignment.attempt_number}: {told}")

    return script


async def test_plain_words_are_the_answer(desk: Desk) -> None:
    """The card is in the chat; the next thing that the asker says there is the answer, and no message of its own."""
    desk.bench.room.scripts = [asking("Which colour?")]
    async with desk.host():
        await desk.bench.hear("paint it")
        question = await desk.open()
        assert (question.text, desk.bench.channel.sent[0].text) == ("Which colour?", "Which colour?")
        await desk.bench.hear("blue, please")
        said = (await desk.bench.channel.texts(2))[1]
        assert said.startswith('told in attempt 1: <message from="Ada" trust="member"')
        assert said.endswith("\nblue, please\n</message>")
        await desk.bench.idle()
        assert desk.bench.room.taken == 1
        states = [message.state for message in await desk.bench.store.recent_messages()]
        assert states == ["answered", "answered"]


async def test_a_task_without_a_container_goes_on_with_the_answer(desk: Desk) -> None:
    """Suspended, over a restart of the host: what is said in the chat is the answer still."""
    desk.bench.suspend_after_s = 0.05
    desk.bench.room.scripts = [asking(), asking()]
    async with desk.host():
        await desk.bench.hear("paint it")
        await desk.open()
        await desk.bench.idle()
    async with desk.host():
        await desk.bench.hear("blue")
        assert (await desk.bench.channel.texts(2))[1].startswith("told in attempt 2: ")
        await desk.bench.idle()
        assert desk.bench.room.taken == 2


def given_by(message: StoredMessage, person: PersonKey) -> StoredMessage:
    return dataclasses.replace(message, inbound=replace(message.inbound, person=person))


@pytest.mark.parametrize("words", ["2", "GREEN", " green "])
async def test_an_option_is_named_by_its_number_or_words(desk: Desk, words: str) -> None:
    """The agent reads the option as it wrote it; buttons carry a command of the host's and the option's number."""
    desk.bench.room.scripts = [asking(options=("Blue", "Green"))]
    async with desk.host():
        await desk.bench.hear("paint it")
        question = await desk.open()
        assert [(button.label, button.value) for button in desk.bench.channel.sent[0].buttons] == [
            ("Blue", f"/answer {question.code} 1"),
            ("Green", f"/answer {question.code} 2"),
        ]
        await desk.bench.hear(words)
        assert "\nGreen\n" in (await desk.bench.channel.texts(2))[1]


async def test_only_who_asked_or_an_owner_answers(desk: Desk) -> None:
    """Somebody else's words in the chat are a message like any; so is a reply to another message."""
    desk.bench.room.scripts = [asking()]
    async with desk.host() as questions:
        await desk.bench.hear("paint it")
        question = await desk.open()
        await desk.bench.hear("I say red", person=BOB)
        await desk.bench.hear("to that: yes", reply_to=PlatformMessageId("event_9"))
        command = await desk.bench.file("/answer", state=MessageState.COMMAND)
        with pytest.raises(OperationRefused) as caught:
            await questions.answer(question, "red", given_by(command, BOB))
        assert caught.value.code == "not_theirs"
        assert questions.all() == (question,)
        await questions.answer(question, "green", given_by(command, EVE))
        assert "\ngreen\n" in (await desk.bench.channel.texts(2))[1]


async def test_a_reply_to_the_card_is_the_answer(desk: Desk) -> None:
    """The platform says what it replies to."""
    desk.bench.room.scripts = [asking()]
    async with desk.host():
        await desk.bench.hear("paint it")
        question = await desk.open()
        async with asyncio.timeout(TIMEOUT_S):
            while not (await desk.bench.store.read(send_rows.where_is, question.outbox_key))[1]:
                pass
        await desk.bench.hear("blue", reply_to=PlatformMessageId("out1"))
        assert "\nblue\n" in (await desk.bench.channel.texts(2))[1]


async def test_somebody_at_the_machine_may_answer(desk: Desk) -> None:
    """Once: the second answer is refused."""
    desk.bench.room.scripts = [asking(options=("Yes", "No"))]
    async with desk.host() as questions:
        await desk.bench.hear("paint it")
        question = await desk.open()
        assert await questions.answer(question, "1", None) == "Yes"
        assert (await desk.bench.channel.texts(2))[1].endswith("The owner, at the machine, answers: Yes")
        with pytest.raises(OperationRefused) as caught:
            await questions.answer(question, "2", None)
        assert caught.value.code == "question_over"


async def test_nobody_answers_in_time(desk: Desk) -> None:
    """The agent is told so, and what is said afterwards is a message of its own."""
    desk.bench.room.scripts = [asking(timeout_s=1.0)]
    async with desk.host() as questions:
        await desk.bench.hear("paint it")
        assert (await desk.bench.channel.texts(2))[1] == f"told in attempt 1: {NOBODY}"
        await desk.bench.idle()
        assert questions.all() == ()
        await desk.bench.hear("blue")
        assert (await desk.bench.channel.texts(3))[2] == "echo: blue"


async def test_where_nobody_can_be_asked_the_agent_is_told(desk: Desk) -> None:
    """No chat, no words, or too many questions before: a plain error."""
    async with desk.host() as questions:
        claim = await desk.bench.store.claim_messages([(await desk.bench.file("hi")).message_id])
        row = claim.task
        for task, text, code in (
            (dataclasses.replace(row, chat=None), "Which?", "no_chat"),
            (row, "  ", "empty_text"),
        ):
            with pytest.raises(OperationRefused) as caught:
                await questions.asked(Asked(task=task, ask=Ask(call_id="c", kind="question", text=text)))
            assert caught.value.code == code
        for number in range(MAX_PER_TASK + 1):
            await desk.bench.waiting.asked(row, Ask(call_id=f"c{number}", kind="question", text="?"))
        with pytest.raises(OperationRefused) as caught:
            await questions.asked(Asked(task=row, ask=Ask(call_id="c1", kind="question", text="?")))
        assert caught.value.code == "too_many_questions"


async def test_another_agents_messages_are_not_taken_for_answers(desk: Desk) -> None:
    """Two agents in one chat: the words for one are no answer to the other."""
    desk.bench.room.scripts = [asking()]
    async with desk.host() as questions:
        await desk.bench.hear("paint it")
        await desk.open()
        message = await desk.bench.file("for side", group=GroupId("side"))
        assert await questions.file(1, message.inbound, GroupId("side"), "") is None
        assert len(questions.all()) == 1
