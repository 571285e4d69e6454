"""The outbox, handed over: per chat in order, across chats side by side, never silently dropped."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Channel, DeliveryFailed, Inbox, NotYet, ShownKind
from protocol.ids import ChannelId, ChatKey, GroupId
from protocol.message import InboundMessage, OutboundFile, OutboundMessage, PendingFile, Receipt
from runtime.approvals.reviews import FILE_SHA256
from runtime.delivery import SIDE_BY_SIDE, Delivery, is_same_file, upload_s
from runtime.outbound_files import label_of
from runtime.recovery import recover
from runtime.store import letter_rows
from runtime.store.records import Binding
from runtime.store.store import Store, open_store


class Platform:
    """A channel whose sends do what the test says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[str] = []
        self.holding: set[str] = set()
        self.faults: dict[str, list[Exception]] = {}
        self.changed = asyncio.Condition()

    @property
    def channel_id(self) -> ChannelId:
        return ChannelId(self.name)

    async def run(self, inbox: Inbox) -> None: ...

    def decode(self, raw: bytes) -> InboundMessage | None: ...

    async def send(self, message: OutboundMessage) -> Receipt:
        async with self.changed:
            await self.changed.wait_for(lambda: message.text not in self.holding)
        if self.faults.get(message.text):
            raise self.faults[message.text].pop(0)
        self.sent.append(message.text)
        async with self.changed:
            self.changed.notify_all()
        return Receipt(platform_message_ids=())

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        return 0

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None: ...

    def health(self) -> str:
        return "ok"

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: len(self.sent) >= count)
        return self.sent

    async def release(self) -> None:
        async with self.changed:
            self.holding.clear()
            self.changed.notify_all()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        yield opened


class Running:
    """Delivery at work, with one channel `p` and what else the test adds."""

    def __init__(self, store: Store, attempts: int = 40, **more: Any) -> None:
        self.store = store
        self.channels: dict[ChannelId, Channel] = {}
        self.delivery = Delivery(store, lambda: self.channels, attempts, **more)

    async def put(self, text: str, chat: str = "p:1") -> None:
        await self.store.put_outbound(f"key:{text}", OutboundMessage(chat=ChatKey(chat), text=text))
        self.delivery.wake()

    async def __aenter__(self) -> Running:
        self.group = asyncio.TaskGroup()
        await self.group.__aenter__()
        self.running = self.group.create_task(self.delivery.run())
        return self

    async def __aexit__(self, *raised: object) -> None:
        self.running.cancel()
        await self.group.__aexit__(None, None, None)


async def test_a_chat_gets_its_messages_in_order_while_others_go_on(store: Store) -> None:
    """A slow delivery holds up its own chat only."""
    platform = Platform("p")
    platform.holding = {"a1"}
    async with Running(store) as running:
        running.channels[platform.channel_id] = platform
        for text, chat in (("a1", "p:a"), ("a2", "p:a"), ("b1", "p:b"), ("b2", "p:b")):
            await running.put(text, chat)
        assert await platform.until(2) == ["b1", "b2"]
        await platform.release()
        assert (await platform.until(4))[2:] == ["a1", "a2"]


async def test_a_failed_delivery_is_tried_again_before_the_next(store: Store) -> None:
    """The order holds over a failure, and a platform's surprise is one like any other."""
    platform = Platform("p")
    platform.faults = {"one": [RuntimeError("a surprise")]}
    async with Running(store, longest_wait_s=1) as running:
        running.channels[platform.channel_id] = platform
        await running.put("one")
        await running.put("two")
        assert await platform.until(2) == ["one", "two"]


async def test_a_pace_that_says_wait_is_no_try(store: Store) -> None:
    """However often a channel says so, the message is not given up, and goes once it is let; its order holds."""
    platform = Platform("p")
    platform.faults = {"one": [NotYet("the chat's pace", retry_after_s=0.01) for _ in range(6)]}
    async with Running(store, attempts=2) as running:
        running.channels[platform.channel_id] = platform
        await running.put("one")
        await running.put("two")
        assert await platform.until(2) == ["one", "two"]
        await running.delivery.settled()
    rows = await store.read(
        lambda transaction: transaction.connection.execute("SELECT state, attempts, reason FROM outbox").fetchall()
    )
    assert [tuple(row) for row in rows] == [("sent", 1, "")] * 2


async def test_chats_that_must_wait_hold_up_nobody(store: Store) -> None:
    """Twice as many chats as are served at once are told to wait for an hour: the one behind them has its turn."""
    platform = Platform("p")
    texts = [f"slow {number}" for number in range(2 * SIDE_BY_SIDE)]
    platform.faults = {text: [NotYet("429", retry_after_s=3600)] for text in texts}
    async with Running(store) as running:
        running.channels[platform.channel_id] = platform
        for text in texts:
            await running.put(text, f"p:{text}")
        await running.put("quick", "p:quick")
        assert await platform.until(1) == ["quick"]
        await running.delivery.settled()
    assert await store.claim_outbox(100) == ()
    next_at = await store.next_outbox_at()
    assert next_at is not None
    assert next_at - datetime.now(UTC) > timedelta(minutes=50)


async def test_no_file_of_several_is_another(store: Store, tmp_path: Path) -> None:
    """Each is what the agent sent, or nothing goes out."""
    files = []
    labels = {}
    for index, words in enumerate((b"first", b"second")):
        (tmp_path / str(index)).write_bytes(words)
        files.append(OutboundFile(path=str(tmp_path / str(index)), name=f"{index}.txt"))
        labels[label_of(FILE_SHA256, index)] = hashlib.sha256(words).hexdigest()
    first, second = files
    message = OutboundMessage(
        chat=ChatKey("p:1"), file_path=first.path, file_name=first.name, more_files=(second,), labels=labels
    )
    assert is_same_file(message)
    (tmp_path / "1").write_bytes(b"another")
    assert not is_same_file(message)
    platform = Platform("p")
    async with Running(store) as running:
        running.channels[platform.channel_id] = platform
        await store.put_outbound("files", message)
        assert "not the one that was to go" in (await platform.until(1))[0]


async def test_a_clock_that_is_set_back_puts_no_delivery_off(tmp_path: Path) -> None:
    """What was to be tried again in a second by a clock that was two hours ahead is not left waiting for two hours."""
    ahead, platform = [timedelta(hours=2)], Platform("p")
    platform.faults = {"one": [DeliveryFailed("not now", permanent=False)]}

    def clock() -> datetime:
        return datetime.now(UTC) + ahead[0]

    async with open_store(tmp_path, clock=clock) as store, Running(store, clock=clock) as running:
        running.channels[platform.channel_id] = platform
        await running.put("one")
        async with asyncio.timeout(5):
            while platform.faults["one"] or not await store.next_outbox_at():
                await running.delivery.settled()
        ahead[0] = timedelta(0)
        running.delivery.wake()
        assert await platform.until(1) == ["one"]


@pytest.mark.parametrize("set_back", [timedelta(minutes=20), timedelta(days=40)])
async def test_a_clock_that_is_set_back_over_a_restart_puts_no_delivery_off(
    tmp_path: Path, set_back: timedelta
) -> None:
    """The next host sees by the journal that the hour comes twice, and sends when the wait is over."""
    platform = Platform("p")
    platform.faults = {"one": [DeliveryFailed("not now", permanent=False)]}
    async with open_store(tmp_path, clock=lambda: datetime.now(UTC) + set_back) as store:
        async with Running(store, clock=lambda: datetime.now(UTC) + set_back) as running:
            running.channels[platform.channel_id] = platform
            await running.put("one")
            async with asyncio.timeout(5):
                while platform.faults["one"] or not await store.next_outbox_at():
                    await running.delivery.settled()
        platform.faults = {"one": [DeliveryFailed("not now", retry_after_s=3000.0)]}
    async with open_store(tmp_path) as store:
        await recover(store)
        async with Running(store) as running:
            running.channels[platform.channel_id] = platform
            async with asyncio.timeout(5):
                while platform.faults["one"]:
                    await running.delivery.settled()
        due_at = await store.next_outbox_at()
        await recover(store)
        assert await store.next_outbox_at() == due_at, "what a platform asked for is kept where no clock was set"


async def test_no_delivery_waits_for_longer_than_any_may(store: Store) -> None:
    """Whatever became of the clock that a due time was made by."""
    await store.put_outbound("key", OutboundMessage(chat=ChatKey("p:1"), text="one"))
    (row,) = await store.claim_outbox(1)
    await store.outbox_failed(row.outbox_id, "not now", datetime.now(UTC) + timedelta(days=3))
    await recover(store)
    due_at = await store.next_outbox_at()
    assert due_at is not None and due_at <= datetime.now(UTC)


async def test_a_platform_that_does_not_answer_is_a_failure(store: Store) -> None:
    """The wait for it is bounded."""
    platform = Platform("p")
    platform.holding = {"stuck"}
    async with Running(store, 1, send_timeout_s=0.05) as running:
        running.channels[platform.channel_id] = platform
        await running.put("stuck")
        (notice,) = await platform.until(1)
        assert "did not answer within" in notice


async def test_an_unreachable_chat_is_told_to_the_owner_elsewhere(store: Store) -> None:
    """When neither the message nor the word about it can be delivered, the owner's other chat reads so."""
    platform, terminal = Platform("p"), Platform("terminal")
    chat = ChatKey("terminal:main")
    await store.bind(Binding(chat=chat, chat_kind="direct", group_id=GroupId("main"), added_by="cli"))

    async def refuse(message: OutboundMessage) -> Receipt:
        raise DeliveryFailed("the bot was blocked", permanent=True)

    platform.send = refuse  # type: ignore[method-assign]  # the platform's door is shut for this test
    async with Running(store) as running:
        running.channels |= {platform.channel_id: platform, terminal.channel_id: terminal}
        await running.put("lost")
        (notice,) = await terminal.until(1)
        assert "p:1 cannot be reached: the bot was blocked" in notice


async def test_who_waits_for_dead_messages_hears_of_each_when_it_is_stored(store: Store) -> None:
    """A schedule whose answer is lost looks at once, and finds the row: it does not wait for its slow re-read."""
    platform, heard = Platform("p"), asyncio.Event()
    platform.faults["lost"] = [DeliveryFailed("the bot was blocked", permanent=True)]
    async with Running(store) as running:
        running.delivery.when_dead(heard.set)
        running.channels[platform.channel_id] = platform
        await running.put("lost")
        async with asyncio.timeout(5):
            await heard.wait()
        assert dict(await store.read(letter_rows.count_letters)) == {"delivery": 1}


async def test_a_channel_that_is_not_there_yet_is_waited_for(store: Store) -> None:
    """A message for a channel that starts later goes out then."""
    platform = Platform("p")
    async with Running(store, longest_wait_s=1) as running:
        await running.put("early")
        running.channels[platform.channel_id] = platform
        assert await platform.until(1) == ["early"]


async def test_settled_is_when_nothing_is_due(store: Store) -> None:
    """A shutdown waits for what is under way."""
    platform = Platform("p")
    platform.holding = {"slow"}
    async with Running(store) as running:
        running.channels[platform.channel_id] = platform
        await running.put("slow")
        async with asyncio.TaskGroup() as group:
            settling = group.create_task(running.delivery.settled())
            await platform.release()
            async with asyncio.timeout(5):
                await settling
        assert platform.sent == ["slow"]


def test_a_large_file_may_take_its_time(tmp_path: Path) -> None:
    """The time for a delivery grows with its file; a text and a file that is gone have the usual time."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(50 << 20)
    chat = ChatKey("stage:1")
    assert upload_s(OutboundMessage(chat=chat, text="hi")) == 0
    assert upload_s(OutboundMessage(chat=chat, text="", file_path=str(large))) == 1600
    assert upload_s(OutboundMessage(chat=chat, text="", file_path=str(tmp_path / "gone"))) == 0
