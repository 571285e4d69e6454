"""Fifty answers grow at once on each platform, its published limits on: they keep inside them, and a chat that is told
to wait keeps no other one waiting."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.channel import Channel
from protocol.message import OutboundMessage
from tests.channels.conformance_support import Inbox, Json, Phone, deliver
from tests.channels.crowds import CROWDS, Crowded, Hall, Seat
from tests.channels.hasty_loop import LoopClock, run_hastily

SEATS = 50
HASTE = 4.0
PIECES = 8
PIECE_EVERY_S = 1.0
"""A model that writes some thirty characters a second."""
ANSWER_WITHIN_S = 40.0
"""Of the loop's time, for fifty answers at once: Slack lets an app say four things a second in all."""
CLEAN_WITHIN_S = 120.0
"""After that, nothing but the answers stands: Slack lets an app delete 50 messages a minute."""
FLOOD_S = 80.0
HURRIED = 0.015
"""Of all calls, how many may be refused for haste: a machine that stands still for a moment calls twice in the next."""
SENDING = {"telegram": "send*", "discord": "create_message", "slack": "chat.*"}


class Audience:
    """What the fifty see."""

    def __init__(self, crowd: Crowded, phone: Phone) -> None:
        self._crowd = crowd
        self._phone = phone

    async def grown(self, seat: Seat) -> str:
        """Return what is seen growing, or said, in a chat."""
        chat = await self._phone.get("chat", chat=seat.chat, person=seat.person)
        return "".join([str(chat["draft"]), *self._said(chat)])

    async def said(self, seat: Seat) -> list[str]:
        return self._said(await self._phone.get("chat", chat=seat.chat, person=seat.person))

    def _said(self, chat: Json) -> list[str]:
        return [self._crowd.reads(message) for message in chat["messages"] if message["is_bot"]]

    async def settled(self, seat: Seat) -> None:
        """Return when the answer alone stands in a chat: what was seen growing may go a moment later."""
        after = 0
        async with asyncio.timeout(CLEAN_WITHIN_S):
            while await self.said(seat) != [shown(seat)]:
                after = await self._phone.next_event(after)

    async def calls(self) -> int:
        return len((await self._phone.get("log", event="call"))["events"])

    async def hurried(self) -> list[Json]:
        """Return the calls that were refused since they came too fast."""
        calls = (await self._phone.get("log", event="call"))["events"]
        return [call for call in calls if (call.get("status") == 429 or call.get("error") == "ratelimited")]


async def stream(channel: Channel, hall: Hall, audience: Audience) -> int:
    """Let fifty answers grow at once; return in how many chats something was seen of them before they were whole."""
    for seat in hall.seats:
        await channel.show(seat.chat_key, "accepted", "")
    for number in range(PIECES):
        for seat in hall.seats:
            await channel.show(seat.chat_key, "delta", piece(seat, number))
        await asyncio.sleep(PIECE_EVERY_S)
    return sum([bool(await audience.grown(seat)) for seat in hall.seats])


async def answer_all(channel: Channel, seats: tuple[Seat, ...]) -> float:
    """Say all answers at once, as the outbox does; return the seconds until the last one stood."""
    began = asyncio.get_running_loop().time()

    async def answer(seat: Seat) -> None:
        message = OutboundMessage(
            chat=seat.chat_key, text=whole(seat), is_answer=True, idempotency_key=f"answer:{seat.chat}"
        )
        await deliver(channel, message, within_s=600)
        await channel.show(seat.chat_key, "done", "")

    async with asyncio.TaskGroup() as answering:
        for seat in seats:
            answering.create_task(answer(seat))
    return asyncio.get_running_loop().time() - began


def piece(seat: Seat, number: int) -> str:
    return f"Piece {number} for **{seat.person}**, some words long. "


def whole(seat: Seat) -> str:
    return "".join(piece(seat, number) for number in range(PIECES))


def shown(seat: Seat) -> str:
    return whole(seat).replace("**", "").strip()


async def play(crowd: Crowded, kept: Path, test: Any) -> None:
    async with (
        crowd.hall(SEATS, LoopClock()) as hall,
        httpx.AsyncClient(base_url=hall.api, timeout=600, trust_env=False, verify=False) as http,
    ):
        phone = Phone(http, hall.seats[0].person)
        channel = crowd.build(hall.url, kept / "kept")
        running = asyncio.ensure_future(channel.run(Inbox()))
        try:
            await phone.until(lambda: channel.health() == "ok")
            await test(crowd, channel, hall, phone, Audience(crowd, phone))
        finally:
            running.cancel()
            await asyncio.wait({running})


async def all_at_once(crowd: Crowded, channel: Channel, hall: Hall, _: Phone, audience: Audience) -> None:
    grown = await stream(channel, hall, audience)
    took_s = await answer_all(channel, hall.seats)
    assert len(await audience.hurried()) <= await audience.calls() * HURRIED
    assert grown >= SEATS * 0.8, f"{crowd.name}: in {grown} chats something was seen growing"
    assert took_s <= ANSWER_WITHIN_S
    for seat in hall.seats:
        await audience.settled(seat)


async def one_must_wait(crowd: Crowded, channel: Channel, hall: Hall, phone: Phone, audience: Audience) -> None:
    first, *others = hall.seats
    await phone.fault(kind="flood", method=SENDING[crowd.name], retry_after=FLOOD_S)
    await channel.show(first.chat_key, "delta", piece(first, 0))
    flooded = asyncio.ensure_future(answer_all(channel, (first,)))
    after = 0
    while not await audience.hurried():
        after = await phone.next_event(after)
    took_s = await answer_all(channel, tuple(others))
    assert not flooded.done()
    assert await flooded > FLOOD_S * 0.9
    assert took_s <= FLOOD_S * 0.75  # a busy machine takes its time; waiting for the first one takes all of it
    assert len(await audience.hurried()) <= 1 + await audience.calls() * HURRIED
    for seat in hall.seats:
        await audience.settled(seat)


@pytest.mark.parametrize("crowd", CROWDS, ids=lambda crowd: crowd.name)
def test_fifty_answers_grow_at_once(crowd: Crowded, tmp_path: Path) -> None:
    """Nothing is refused for haste, nearly all are seen growing, each answer stands clean soon after its last word."""
    run_hastily(play(crowd, tmp_path, all_at_once), HASTE)


@pytest.mark.parametrize("crowd", CROWDS, ids=lambda crowd: crowd.name)
def test_nobody_waits_for_anothers_flood(crowd: Crowded, tmp_path: Path) -> None:
    """While one chat has to wait for long, the answers of all others stand in their usual time."""
    run_hastily(play(crowd, tmp_path, one_must_wait), 10.0)
