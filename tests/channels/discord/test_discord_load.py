"""Many messages with faults among them, and many chats at once inside Discord's limits."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from pathlib import Path

import pytest

from channels.channel import Channel, DeliveryFailed
from channels.discord.timings import Timings
from protocol.ids import ChatKey
from protocol.message import OutboundMessage
from tests.channels.conformance_support import Rig, Room, rig_of
from tests.channels.discord.platform import FACTS, DiscordPlatform

CHATS = 8
FAULTS = (
    {"kind": "close_socket", "code": 4000},
    {"kind": "close_socket", "code": 1001},
    {"kind": "close_socket", "code": 4007},
    {"kind": "close_socket", "code": 4009},
    {"kind": "no_resume", "method": "resume"},
    {"kind": "refuse_socket"},
    {"kind": "duplicate", "method": "message_create", "count": 3},
    {"kind": "reorder", "method": "message_create"},
    {"kind": "error", "method": "list_messages", "status": 503},
    {"kind": "reset", "method": "list_messages"},
    {"kind": "reset", "method": "create_message"},
    {"kind": "lost_answer", "method": "create_message"},
    {"kind": "garbage", "method": "create_message"},
    {"kind": "flood", "method": "create_message", "retry_after": 0.1},
)


async def _rooms(rig: Rig, count: int) -> list[Room]:
    made = [await rig.phone.post("channel", name=f"room-{number}") for number in range(count)]
    return [Room(chat=each["chat"], key=ChatKey(f"discord:{each['chat']}")) for each in made]


async def _deliver(channel: Channel, message: OutboundMessage) -> None:
    while True:
        try:
            await channel.send(message)
            return
        except DeliveryFailed as failed:
            assert not failed.permanent, failed.reason
            await asyncio.sleep(failed.retry_after_s or 0.02)


@pytest.mark.parametrize(
    ("messages", "every"), [(240, 20), pytest.param(10_000, 50, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
async def test_no_message_is_lost_doubled_or_out_of_order(tmp_path: Path, messages: int, every: int) -> None:
    """Messages in and out of several chats, with a random fault now and then, are all there once, in order."""
    chance = random.Random(f"discord {messages}")
    async with rig_of(DiscordPlatform(), tmp_path) as rig:
        rooms = [FACTS.direct, FACTS.many, *await _rooms(rig, CHATS - 2)]
        said: dict[Room, list[str]] = defaultdict(list)
        async with rig.connected() as channel:
            await rig.phone.type("first", FACTS.direct)  # a direct chat is known from its first word on
            await rig.messages(channel, 1)

            async def talk() -> None:
                for number in range(messages):
                    if number % every == every - 1:
                        await rig.phone.fault(**chance.choice(FAULTS))
                    room = chance.choice(rooms)
                    said[room].append(f"in {number}")
                    await rig.phone.type(f"in {number}", room)

            async def answer(room: Room) -> None:
                for number in range(messages // len(rooms)):
                    key = f"{room.chat}:{number}"
                    await _deliver(channel, OutboundMessage(chat=room.key, text=f"out {number}", idempotency_key=key))

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(talk())
                for room in rooms:
                    tasks.create_task(answer(room))
            await rig.phone.clear_faults()
            async with asyncio.timeout(60):
                await rig.inbox.until(lambda: len(rig.inbox.stored) >= messages + 1)
            heard = await rig.messages(channel, messages + 1)
        for room in rooms:
            assert [each.text for each in heard if each.chat == room.key and each.text != "first"] == said[room]
            answers = [each["text"] for each in await rig.phone.sees(room)]
            assert answers == [f"out {number}" for number in range(messages // len(rooms))]


async def test_fifty_chats_grow_at_once_within_the_limits(tmp_path: Path) -> None:
    """Fifty answers grow at once and end clean; Discord refuses nothing, but in one chat, which holds up no other."""
    async with rig_of(DiscordPlatform(limits=True, haste=1.0, timings=Timings()), tmp_path) as rig:
        rooms = await _rooms(rig, 50)
        async with rig.connected() as channel:
            await rig.phone.fault(kind="flood", method="create_message", retry_after=25)
            slow = OutboundMessage(chat=FACTS.second_direct.key, text="slow", idempotency_key="slow")
            with pytest.raises(DeliveryFailed):
                await channel.send(slow)

            async def work(room: Room) -> None:
                words = [f"word{number} " for number in range(25)]
                for word in words:
                    await channel.show(room.key, "delta", word)
                    await asyncio.sleep(0.1)
                text = f"**{''.join(words).strip()}**"
                await _deliver(
                    channel,
                    OutboundMessage(chat=room.key, text=text, is_answer=True, idempotency_key=f"{room.chat}"),
                )
                await channel.show(room.key, "done", "")

            async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
                for room in rooms:
                    tasks.create_task(work(room))
        seen = [await rig.phone.sees(room) for room in rooms]
        calls = [call for call in (await rig.phone.get("log", event="call"))["events"] if call.get("status") == 429]
    assert [len(messages) for messages in seen] == [1] * 50
    assert all(messages[0]["text"].endswith("word24**") for messages in seen)
    assert sum(messages[0]["edited"] for messages in seen) > 25
    assert [call["fault"] for call in calls] == ["flood"]
