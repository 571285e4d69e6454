"""Buttons in a chat of many: whoever presses gives the word with their own rights, and a word that is not theirs to
give changes nothing. Through the intake, as every platform's press comes in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Inbox, ShownKind
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey, PlatformMessageId
from protocol.link import Ask
from protocol.message import OutboundMessage, Receipt
from runtime.approvals.records import Approval, NewApproval
from runtime.store import question_rows
from runtime.store.answer_rows import KIND
from runtime.store.records import Binding
from runtime.waiting_tasks import Asked
from tests.runtime.approvals.support import PUSH
from tests.runtime.test_inbound_filing import TalkingWire
from tests.runtime.test_intake import CHANNEL
from tests.scripted_house import House, scripted_house

YARD = ChatKey("wire:yard")
ADA, BOB, ANNA, EVE = (PersonKey(f"wire:{name}") for name in ("ada", "bob", "anna", "eve"))
SETTINGS = "channels:\n  wire: {platform: wire, group: main, secret: x}\n"


class Crowd(TalkingWire):
    """A platform that shows what is said, and carries presses."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[OutboundMessage] = []
        self.inbox: Inbox | None = None
        self.changed = asyncio.Event()
        self._events = 0

    async def run(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.changed.set()
        await asyncio.Event().wait()

    async def send(self, message: OutboundMessage) -> Receipt:
        self.sent.append(message)
        self.changed.set()
        return Receipt(platform_message_ids=(PlatformMessageId(f"out{len(self.sent)}"),))

    async def take_buttons(self, chat: ChatKey, message: PlatformMessageId) -> None:
        """They go, for all that anybody sees here."""

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        """Nobody looks."""

    async def until(self, found: Any) -> Any:
        """Return what is found, once it is there."""
        async with asyncio.timeout(20):
            while not (result := found()):
                self.changed.clear()
                await self.changed.wait()
        return result

    async def hear(self, person: PersonKey, text: str, kind: str = "message") -> None:
        self._events += 1
        event = f"e{self._events}"
        said = {"event": event, "text": text, "kind": kind, "person": person, "chat": YARD, "chat_kind": "many"}
        await self.until(lambda: self.inbox is not None)
        assert self.inbox is not None
        await self.inbox.accept(CHANNEL, event, json.dumps({**said, "mentions_me": True}).encode())

    async def told(self, person: PersonKey, text: str, kind: str) -> str:
        """Have somebody say or press something; return what the chat reads of it."""
        before = len(self.sent)
        await self.hear(person, text, kind)
        await self.until(lambda: len(self.sent) > before)
        return self.sent[before].text

    async def card(self, words: str) -> OutboundMessage:
        """Return what was shown with buttons and these words."""
        card = await self.until(lambda: next((each for each in self.sent if each.buttons and words in each.text), None))
        assert isinstance(card, OutboundMessage)
        return card


@pytest.fixture
async def crowd() -> Crowd:
    return Crowd()


@pytest.fixture
async def house(tmp_path: Path, crowd: Crowd) -> AsyncIterator[House]:
    async with asyncio.timeout(30), scripted_house(tmp_path, SETTINGS, {ChannelId("wire"): crowd}) as house:
        for person, role in ((ADA, "member"), (BOB, "member"), (ANNA, "owner")):
            await house.store.save_person(person, person, role, "cli")  # type: ignore[arg-type]  # roles, all of them
        await house.store.bind(Binding(chat=YARD, chat_kind="many", group_id=GroupId("main"), added_by="cli"))
        yield house


async def asked(house: House, **more: Any) -> Approval:
    new = NewApproval(kind="tool", group_id=GroupId("main"), payload=PUSH.payload, summary="It would push.", **more)
    return await house.decisions.approvals.ask(new)


async def test_a_card_is_decided_by_whom_it_asks(house: House, crowd: Crowd) -> None:
    """A stranger, a member and a reaction decide nothing; the owner's press does, once."""
    approval = await asked(house)
    yes = f"/approve {approval.approval_id}"
    assert "I do not know you" in await crowd.told(EVE, yes, "press")
    await crowd.hear(ANNA, yes, "reaction")
    assert "not yours to decide" in await crowd.told(BOB, yes, "press")
    assert (await house.decisions.approvals.find(approval.approval_id)).is_open
    assert ": yes." in await crowd.told(ANNA, yes, "press")
    assert "was approved by" in await crowd.told(ANNA, f"/deny {approval.approval_id}", "press")
    assert (await house.decisions.approvals.find(approval.approval_id)).is_approved


async def test_a_card_for_named_people_is_decided_by_them(house: House, crowd: Crowd) -> None:
    """Where the constraint names a person, an owner is not enough, and another member neither."""
    approval = await asked(house, who=(BOB,))
    no = f"/deny {approval.approval_id}"
    for other in (ADA, ANNA):
        await crowd.told(other, no, "press")
        assert (await house.decisions.approvals.find(approval.approval_id)).is_open
    assert ": no." in await crowd.told(BOB, no, "press")


async def test_a_question_is_answered_by_who_asked_for_the_work(house: House, crowd: Crowd) -> None:
    """The buttons of an agent's question are everybody's to see, and Ada's to press; each only once."""
    await crowd.hear(ADA, "slow")
    await house.agent.working.wait()
    (task,) = await house.store.running_tasks()
    ask = Ask(call_id="call_1", kind=KIND, text="Which colour?", options=("red", "blue"))
    await house.store.write(question_rows.ask, task.task_id, ask)
    await house.questions.asked(Asked(task=task, ask=ask))
    card = await crowd.card("Which colour?")
    assert [button.label for button in card.buttons] == ["red", "blue"]
    blue = card.buttons[1].value
    assert "whoever asked the agent" in await crowd.told(BOB, blue, "press")
    assert "Answered: blue" in await crowd.told(ADA, blue, "press")
    assert "waits for no answer any more" in await crowd.told(ADA, card.buttons[0].value, "press")
    question = await house.store.read(question_rows.question, task.task_id, "call_1")
    assert question is not None
    assert "blue" in (question.answer.answer if question.answer is not None else "")
