"""Answers that grow on people's phones: drafts in private chats, edits in groups, and what becomes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from channels.channel import DeliveryFailed, NotYet
from channels.growth import GrowingPace
from channels.telegram.channel import TelegramChannel
from channels.telegram.flood import PUBLISHED
from channels.telegram.timings import Timings
from protocol.ids import ChatKey, PlatformMessageId
from protocol.message import OutboundMessage
from tests.channels.telegram.support import CHANNEL, QUICK, KeepingInbox, Phone, fetch_secret, until
from twins.telegram.chats import Chat
from twins.telegram.limits import GROUP
from twins.telegram.server import TelegramTwin
from twins.telegram.world import YARD

ADA, THE_YARD, COMPOST = ChatKey("telegram:1001"), ChatKey(f"telegram:{YARD}"), ChatKey(f"telegram:{YARD}:7")
SOON = GrowingPace(first_after_s=0.0, every_s=0.02, answer_within_s=0.3)
FAST = replace(QUICK, draft=replace(SOON, again_s=0.2), growing=SOON, typing_every_s=0.05)


@asynccontextmanager
async def running(
    address: str, inbox: KeepingInbox, kept: Path, timings: Timings = FAST
) -> AsyncIterator[TelegramChannel]:
    channel = TelegramChannel(CHANNEL, fetch_secret, address, timings, kept=kept)
    task = asyncio.ensure_future(channel.run(inbox))
    try:
        async with asyncio.timeout(15):
            await inbox.until(lambda: channel.health() == "ok")
        yield channel
    finally:
        task.cancel()
        await asyncio.wait({task})


def said(twin: TelegramTwin, chat: int = YARD) -> list[str]:
    return [str(message.get("text")) for message in twin.world.messages_of_bot(twin.world.chats[chat], 0)]


async def test_an_answer_grows_as_a_draft_in_a_private_chat(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """The draft has its styles, keeps its number, stays while tools run, has no `typing…` over it; the answer is one
    clean message, and no draft comes after it."""
    world, address = twin
    chat = world.world.chats[1001]
    async with running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(ADA, "accepted", "")
        await until(phone, lambda: chat.typing_until > 0)
        await channel.show(ADA, "delta", "It is **ve")
        await until(phone, lambda: chat.draft == "It is ve")
        assert [entity["type"] for entity in chat.draft_entities] == ["bold"]
        await channel.show(ADA, "delta", "ry** good.")
        await until(phone, lambda: chat.draft == "It is very good.")
        await channel.show(ADA, "turn", "")
        drafts = len(await phone.calls("sendMessageDraft"))
        typing = len(await phone.calls("sendChatAction"))
        await channel.show(ADA, "progress", "")
        async with asyncio.timeout(10):
            while len(await phone.calls("sendMessageDraft")) < drafts + 2:
                await phone.until_event("call", after=await phone.last_event())
        assert len(await phone.calls("sendChatAction")) == typing
        receipt = await channel.send(OutboundMessage(chat=ADA, text="It is **very** good.", is_answer=True))
        drafts = len(await phone.calls("sendMessageDraft"))
        await channel.show(ADA, "done", "")
        await channel.send(OutboundMessage(chat=THE_YARD, text="meanwhile"))
    assert said(world, 1001) == ["It is very good."]
    assert len(receipt.platform_message_ids) == 1
    calls = await phone.calls("sendMessageDraft")
    assert len(calls) == drafts
    assert len({call["arguments"]["draft_id"] for call in calls}) == 1


async def test_an_answer_grows_by_edits_in_a_topic_and_stays(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """In a group it is one message, a reply to what was asked, whose last edit is the answer; the rest comes after."""
    world, address = twin
    asked = await phone.type("@rehearsal_bot tell me", chat=YARD, thread=7)
    text = "\n\n".join(f"**Part {number}** " + "word " * 600 for number in range(3))
    async with running(address, inbox, tmp_path / "kept.json") as channel:
        channel.mark(COMPOST, PlatformMessageId(str(asked)), is_on=True)
        for start in range(0, len(text), 40):
            await channel.show(COMPOST, "delta", text[start : start + 40])
        await until(phone, lambda: said(world))
        (grown,) = world.world.messages_of_bot(world.world.chats[YARD], 0)
        assert (grown["message_thread_id"], grown["reply_to_message"]["message_id"]) == (7, asked)
        kept, noted = tmp_path / "kept.growing.json", [[COMPOST, str(grown["message_id"])]]
        await until(phone, lambda: kept.exists() and json.loads(kept.read_text()) == noted)
        await channel.show(COMPOST, "done", "")
        answer = OutboundMessage(chat=COMPOST, text=text, reply_to=PlatformMessageId(str(asked)), is_answer=True)
        receipt = await channel.send(answer)
    seen = said(world)
    assert receipt.platform_message_ids[0] == str(grown["message_id"])
    assert len(receipt.platform_message_ids) == len(seen) >= 2
    assert "".join(" ".join(seen).split()) == "".join(text.replace("**", "").split())
    assert json.loads(kept.read_text()) == []


async def test_an_answer_to_another_message_is_one_of_its_own(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """An edit cannot change what a message replies to: then the answer is sent, and what grew goes."""
    world, address = twin
    asked = await phone.type("@rehearsal_bot tell me", chat=YARD)
    async with running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(THE_YARD, "delta", "half")
        await until(phone, lambda: said(world) == ["half"])
        await channel.send(
            OutboundMessage(chat=THE_YARD, text="whole", reply_to=PlatformMessageId(str(asked)), is_answer=True)
        )
        await until(phone, lambda: said(world) == ["whole"])


async def test_an_answer_whose_message_somebody_deleted_is_sent(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """Where what grew is gone, the answer comes all the same."""
    world, address = twin
    async with running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(THE_YARD, "delta", "half")
        await until(phone, lambda: said(world) == ["half"])
        (grown,) = world.world.messages_of_bot(world.world.chats[YARD], 0)
        await phone.post("delete", chat=YARD, message_id=grown["message_id"])
        await channel.send(OutboundMessage(chat=THE_YARD, text="whole", is_answer=True))
    assert said(world) == ["whole"]


async def test_an_answer_that_must_wait_takes_over_when_it_is_tried_again(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """An edit that Telegram does not take just now is repeated, and there is one message in the end."""
    world, address = twin
    async with running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(THE_YARD, "delta", "half")
        await until(phone, lambda: said(world) == ["half"])
        await channel.show(THE_YARD, "done", "")
        await phone.post("fault", kind="error", method="editMessageText", status=502)
        answer = OutboundMessage(chat=THE_YARD, text="whole", is_answer=True, idempotency_key="task/1")
        with pytest.raises(DeliveryFailed, match="Bad Gateway"):
            await channel.send(answer)
        await channel.send(answer)
    assert said(world) == ["whole"]


async def test_work_that_ends_without_an_answer_leaves_nothing(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """A group does not keep half an answer of work that was stopped."""
    world, address = twin
    async with running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(THE_YARD, "delta", "half")
        await until(phone, lambda: said(world) == ["half"])
        await channel.show(THE_YARD, "done", "")
        await until(phone, lambda: said(world) == [])


async def test_half_an_answer_of_a_dead_host_goes(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """The next start takes away what the last one was showing when it died."""
    world, address = twin
    async with running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(THE_YARD, "delta", "half")
        kept = tmp_path / "kept.growing.json"
        await until(phone, lambda: kept.exists() and "telegram" in kept.read_text())
    assert said(world) == ["half"]
    async with running(address, inbox, tmp_path / "kept.json"):
        await until(phone, lambda: said(world) == [])


async def test_a_chat_that_takes_no_draft_gets_its_answer(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """A server that knows no drafts is asked once for each answer, and harms none."""
    world, address = twin
    await phone.post("fault", kind="error", method="sendMessageDraft", status=404, count=-1)
    async with running(address, inbox, tmp_path / "kept.json") as channel:
        for number in range(30):
            await channel.show(ADA, "delta", f"word {number} ")
        async with asyncio.timeout(10):
            while not await phone.calls("sendMessageDraft"):
                await phone.until_event("call")
        await channel.send(OutboundMessage(chat=ADA, text="whole", is_answer=True))
    assert said(world, 1001) == ["whole"]


SPEED = 5.0
"""The twin's clock runs so much faster; our pace a little less, since calls crowd in one busy process."""
SCALED = Timings(
    rates=PUBLISHED.times(0.8 * SPEED),
    draft=GrowingPace(first_after_s=0.4 / SPEED, every_s=1.0 / SPEED, again_s=20.0 / SPEED),
    growing=GrowingPace(first_after_s=1.5 / SPEED, every_s=3.0 / SPEED),
)


async def test_fifty_chats_grow_at_once(inbox: KeepingInbox, tmp_path: Path) -> None:
    """Thirty-five people and fifteen groups watch an answer grow, by the published limits, and one group has used up
    its own: it alone is told to wait; all others see their answers grow and end."""
    twin = TelegramTwin(limits=True)
    twin.world.clock.scale = SPEED
    people, groups = range(2001, 2036), range(-2015, -2000)
    for person in people:
        twin.world.add_person(person, f"P{person}")
    for group in groups:
        info = {"id": group, "type": "supergroup", "title": f"G{group}"}
        twin.world.chats[group] = Chat(info=info, members=[1001])
    slow = groups[0]
    assert twin.world.limits.take(slow, 1, twin.world.clock.now()) == 0
    twin.world.limits._buckets[slow].left = -GROUP.per_s * 300
    keys = {chat: ChatKey(f"telegram:{chat}") for chat in (*people, *groups)}
    async with twin.serve() as address, running(address, inbox, tmp_path / "kept.json", SCALED) as channel:
        async with asyncio.timeout(60):
            number = 0
            while any(len(shown(twin, chat)) < 2 for chat in keys if chat != slow):
                number += 1
                for key in keys.values():
                    await channel.show(key, "delta", f"word {number} ")
                await asyncio.sleep(0.05)  # as fast as a model writes
            answers = {
                chat: asyncio.ensure_future(finished(channel, key)) for chat, key in keys.items() if chat != slow
            }
            await asyncio.wait(answers.values())
            for answer in answers.values():
                answer.result()
    calls = twin.world.log.read(event="call")
    refused = [call["arguments"]["chat_id"] for call in calls if call.get("status") == 429]
    assert set(refused) <= {str(slow)}
    assert len(refused) <= 3
    assert all(said(twin, chat) == ["the end"] for chat in answers)


def shown(twin: TelegramTwin, chat: int) -> set[str]:
    """Return the texts that a chat was shown or sent."""
    calls = [call.get("arguments", {}) for call in twin.world.log.read(event="call")]
    return {call["text"] for call in calls if call.get("chat_id") == str(chat) and "text" in call}


async def finished(channel: TelegramChannel, key: ChatKey) -> None:
    await channel.show(key, "done", "")
    while True:
        try:
            await channel.send(OutboundMessage(chat=key, text="the end", is_answer=True))
        except NotYet as not_yet:
            await asyncio.sleep(not_yet.retry_after_s or 0)
        else:
            return
