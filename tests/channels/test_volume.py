"""Thousands of messages through each platform, while everything goes wrong that may: at the doors of channel, intake
and outbox, with the real store and the real client, and the host killed now and then.

A few hundred in every run; ten thousand a platform in the long mode, which prints what it came to.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from channels.channel import Channel
from protocol.ids import ChannelId, ChatKey, GroupId, TaskId
from protocol.message import InboundMessage, OutboundMessage
from protocol.task import TaskResult, TaskStatus
from runtime.delivery import Delivery
from runtime.intake import Intake
from runtime.intake_ends import IntakeEnds
from runtime.recovery import recover
from runtime.store.records import Binding, NewOutbound, PersonLimits, StoredMessage
from runtime.store.store import Store, open_store
from tests.channels.conformance_support import Phone
from tests.channels.crowds import CROWDS, Crowded, Hall, Seat
from tests.channels.hasty_loop import LoopClock, run_hastily, table

GROUP = GroupId("main")
SEATS = 50
SAMPLE = 200
WHOLE = 10_000
HASTE: Mapping[str, float] = {"telegram": 10.0, "discord": 10.0, "slack": 24.0}
"""As fast as a machine can follow: Slack alone lets an app say only four things a second."""
BAD_LUCK = 0.2
WHOLE_BAD_LUCK = 0.05
"""Of the messages, how many meet with something that goes wrong."""
HIT_WITHIN_S = 60.0
LIVES = 4
SETTLE_S = 600.0
SETTLE_S_PER_MESSAGE = 0.6
"""Of the loop's time, after the last word was said: Slack lets an app say four things a second."""
MANY_ATTEMPTS = 10_000
"""Nothing is given up here: what is undelivered would be lost, and counted so."""


@dataclass(slots=True)
class Outcome:
    """What a run came to."""

    messages: int
    faults: int = 0
    """So many hit; `missed` are the kinds of which none did."""
    missed: tuple[str, ...] = ()
    lives: int = 0
    lost_in: int = 0
    lost_out: int = 0
    out_of_order: int = 0
    doubled_in: int = 0
    doubled_out: int = 0
    seconds: float = 0.0

    def row(self, name: str) -> Mapping[str, object]:
        figures = {slot: getattr(self, slot) for slot in self.__slots__ if slot not in ("seconds", "missed")}
        return {"platform": name, **figures, "seconds": round(self.seconds)}


@dataclass(slots=True, kw_only=True)
class House:
    """The host's doors, life after life, over one home."""

    crowd: Crowded
    home: Path
    hall: Hall
    now: Callable[[], datetime]
    store: Store | None = None
    answers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def life(self) -> AsyncIterator[Channel]:
        """Run store, intake, outbox and channel; at the end of the block they are cut off wherever they are."""
        async with open_store(self.home, clock=self.now) as store:
            self.store = store
            await self._know_everybody(store)
            await recover(store)
            channel = self.crowd.build(self.hall.url, self.home / "kept")
            channels: dict[ChannelId, Channel] = {self.crowd.name: channel}
            delivery = Delivery(store, lambda: channels, MANY_ATTEMPTS, longest_wait_s=10.0, clock=self.now)
            woken = asyncio.Event()
            intake = Intake(
                store,
                lambda: channels,
                lambda: {GROUP: PersonLimits()},
                IntakeEnds(queued=lambda _: woken.set(), command=_no_command, outbox=delivery.wake),
                inbox=lambda group: self.home / "inbox" / group,
                max_file_bytes=lambda: 0,
                rehearsing=lambda: (),
            )
            parts = [
                asyncio.ensure_future(part)
                for part in (intake.run(), delivery.run(), self._answer(store, delivery, woken), channel.run(intake))
            ]
            try:
                yield channel
                assert not [part for part in parts if part.done()], "a part of the host ended"
            finally:
                for part in parts:
                    part.cancel()
                await asyncio.wait(parts)

    async def heard(self) -> list[InboundMessage]:
        """Return what was filed in all lives, in the order of its coming."""
        assert self.store is not None
        return [message.inbound for message in reversed(await self.store.recent_messages(1_000_000))]

    async def until_answered(self, more: int) -> None:
        """Return when so many more messages were answered than now."""
        wanted = self.answers + more
        while self.answers < wanted:
            self.changed.clear()
            await self.changed.wait()

    async def _know_everybody(self, store: Store) -> None:
        if await store.bindings():
            return
        for seat in self.hall.seats:
            await store.save_person(seat.person_key, "Somebody", "member", "test")
            await store.bind(Binding(chat=seat.chat_key, chat_kind="direct", group_id=GROUP, added_by="test"))

    async def _answer(self, store: Store, delivery: Delivery, woken: asyncio.Event) -> None:
        """Answer each waiting message, beginning with what the last life began to."""
        for task in await store.running_tasks():
            await self._say(store, task.task_id, await store.messages_of(task.task_id))
        while True:
            woken.clear()
            for message in await store.waiting_messages():
                claim = await store.claim_messages([message.message_id])
                await self._say(store, claim.task.task_id, claim.messages)
                delivery.wake()
            await woken.wait()

    async def _say(self, store: Store, task_id: TaskId, messages: Sequence[StoredMessage]) -> None:
        (inbound,) = (message.inbound for message in messages)
        answer = NewOutbound(step="reply", message=OutboundMessage(chat=inbound.chat, text=f"re {inbound.text}"))
        result = TaskResult(status=TaskStatus.REPLY, text=answer.message.text)
        if await store.finish_task(task_id, result, outbound=[answer]):
            self.answers += 1
            self.changed.set()


async def play(crowd: Crowded, home: Path, messages: int, seed: int, bad_luck: float) -> Outcome:
    """Have people say so many things, answer each, and return what became of them."""
    began, luck, outcome = time.monotonic(), random.Random(seed), Outcome(messages)
    async with (
        crowd.hall(SEATS, LoopClock()) as hall,
        httpx.AsyncClient(base_url=hall.api, timeout=3600, trust_env=False, verify=False) as http,
    ):
        phone = Phone(http, hall.seats[0].person)
        house = House(crowd=crowd, home=home, hall=hall, now=_loop_clock())
        said: dict[ChatKey, list[str]] = {seat.chat_key: [] for seat in hall.seats}
        async with house.life() as channel:
            await phone.until(lambda: channel.health() == "ok")
            for seat in hall.seats:  # of a direct chat in which it never was, Discord tells a bot nothing later
                await _say_next(phone, seat, said)
            await _heard(house, said)
        share = (messages - len(hall.seats)) // LIVES
        for life in range(LIVES):
            async with house.life():
                outcome.lives += 1
                for _ in range(share):
                    if luck.random() < bad_luck:  # one at a time: what piled up would be a platform that is gone
                        await phone.clear_faults()
                        for fault in luck.choice(crowd.weather):
                            await phone.fault(**fault)
                        await _say_next(phone, luck.choice(hall.seats), said)
                        await phone.faults_hit(HIT_WITHIN_S)
                    else:
                        await _say_next(phone, luck.choice(hall.seats), said)
                if life == LIVES - 1:
                    await _settled(crowd, phone, house, said)
                    await _count(crowd, phone, house, said, outcome)
        struck = await phone.faults_hit()
        outcome.faults = sum(struck.values())
        outcome.missed = tuple({fault["kind"] for faults in crowd.weather for fault in faults} - {*struck})
    outcome.seconds = time.monotonic() - began
    return outcome


async def _settled(crowd: Crowded, phone: Phone, house: House, said: Mapping[ChatKey, list[str]]) -> None:
    """Return when everything was heard and every answer stands, or nothing more has come for long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S + SETTLE_S_PER_MESSAGE * sum(map(len, said.values()))) as patience:
            await _heard(house, said)
            await phone.clear_faults()
            newest = await phone.last_event()
            for seat in house.hall.seats:
                fewest = len(said[seat.chat_key]) + 1
                while (missing := len(said[seat.chat_key]) - len({*await _seen(crowd, phone, seat)})) > 0:
                    if missing < fewest:  # a busy machine takes longer, and loses nothing for it
                        fewest = missing
                        now = asyncio.get_running_loop().time()
                        patience.reschedule(max(patience.when() or now, now + SETTLE_S))
                    newest = await phone.next_event(newest + missing - 1)  # each answer is an event at least


async def _say_next(phone: Phone, seat: Seat, said: Mapping[ChatKey, list[str]]) -> None:
    text = f"w{len(said[seat.chat_key])}"
    await phone.post("type", text=text, person=seat.person, chat=seat.chat)
    said[seat.chat_key].append(text)


async def _heard(house: House, said: Mapping[ChatKey, list[str]]) -> None:
    """Return when all that was said is in the store."""
    while (missing := sum(map(len, said.values())) - len(await house.heard())) > 0:
        await house.until_answered(missing)


async def _seen(crowd: Crowded, phone: Phone, seat: Seat) -> list[str]:
    chat = await phone.get("chat", chat=seat.chat, person=seat.person)
    return [crowd.reads(message) for message in chat["messages"] if message["is_bot"]]


async def _count(
    crowd: Crowded, phone: Phone, house: House, said: Mapping[ChatKey, list[str]], outcome: Outcome
) -> None:
    filed = await house.heard()
    for seat in house.hall.seats:
        wanted = said[seat.chat_key]
        heard = [inbound.text for inbound in filed if inbound.chat == seat.chat_key]
        seen = [text.removeprefix("re ") for text in await _seen(crowd, phone, seat)]
        for came, where in ((heard, "in"), (seen, "out")):
            once = list(dict.fromkeys(came))
            doubled, lost = len(came) - len(once), len(set(wanted) - set(once))
            setattr(outcome, f"doubled_{where}", getattr(outcome, f"doubled_{where}") + doubled)
            setattr(outcome, f"lost_{where}", getattr(outcome, f"lost_{where}") + lost)
            outcome.out_of_order += once != [text for text in wanted if text in set(once)]


def _judge(crowd: Crowded, outcome: Outcome, bad_luck: float) -> None:
    assert outcome.faults >= outcome.messages * bad_luck / 2, outcome
    assert not outcome.missed, outcome
    assert (outcome.lost_in, outcome.lost_out, outcome.out_of_order, outcome.doubled_in) == (0, 0, 0, 0), outcome
    assert outcome.doubled_out == 0 or not crowd.has_key, outcome


def _loop_clock() -> Callable[[], datetime]:
    """Return a clock that goes as fast as the loop's time."""
    loop, began_at = asyncio.get_running_loop(), datetime.now(UTC)
    began = loop.time()
    return lambda: began_at + timedelta(seconds=loop.time() - began)


async def _no_command(message: StoredMessage) -> None:
    raise AssertionError(f"nobody gave a command: {message.inbound.text}")


@pytest.mark.parametrize("crowd", CROWDS, ids=lambda crowd: crowd.name)
def test_a_sample_loses_nothing(crowd: Crowded, tmp_path: Path) -> None:
    """A few hundred messages: all heard once and in order, all answered in order, doubled only without a key."""
    outcome = run_hastily(play(crowd, tmp_path, SAMPLE, 7, BAD_LUCK), HASTE[crowd.name])
    _judge(crowd, outcome, BAD_LUCK)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("crowd", CROWDS, ids=lambda crowd: crowd.name)
def test_ten_thousand_lose_nothing(crowd: Crowded, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same with ten thousand messages; the figures are printed."""
    outcome = run_hastily(play(crowd, tmp_path, WHOLE, 11, WHOLE_BAD_LUCK), HASTE[crowd.name])
    with capsys.disabled():
        print(f"\n{table([outcome.row(crowd.name)])}")
    _judge(crowd, outcome, WHOLE_BAD_LUCK)
