"""How fast messages are taken in: the host's own intake and store in this process, a channel that hands them over."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.report import percentile
from channels.channel import DeliveryFailed, Inbox, ShownKind
from protocol.codec import from_json, to_json
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey, PlatformMessageId
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt
from runtime.intake import Intake
from runtime.intake_ends import IntakeEnds
from runtime.store import inbound_rows
from runtime.store.database import Transaction
from runtime.store.records import Binding, MessageState, PersonLimits, StoredMessage
from runtime.store.store import Store, open_store

CHANNEL = ChannelId("bench")
GROUP = GroupId("main")
CHATS = 50
SENDERS = 200
"""Updates that are handed over at the same time when the rate is measured."""
CALM_PER_S = 500
"""Updates a second when the time of one is measured: a busy day, and far from the limit."""
FSYNCS = 200
FILL_AT_ONCE = 1_000
"""Messages of one transaction where a store is only to hold many."""
BLOCK = 10_000
"""Messages of such a store that are not copies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What taking messages in came to."""

    per_s: float
    """Stored and acknowledged."""
    filed_per_s: float
    """Decided on too."""
    calm_p50_ms: float
    calm_p99_ms: float


class Wire:
    """A platform that is this process."""

    @property
    def channel_id(self) -> ChannelId:
        return CHANNEL

    async def run(self, inbox: Inbox) -> None:
        del inbox
        await asyncio.Event().wait()

    def decode(self, raw: bytes) -> InboundMessage | None:
        return from_json(InboundMessage, json.loads(raw))

    async def send(self, message: OutboundMessage) -> Receipt:
        raise DeliveryFailed(f"nothing is said in {message.chat}", permanent=True)

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        raise DeliveryFailed(f"{file.name} is not here, for {into}, {max_bytes}", permanent=True)

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        """Nobody looks."""

    def health(self) -> str:
        return "ok"


def fsync_ms(folder: Path) -> float:
    """Return the median ms of writing 4 KiB and having them on disk: what a commit cannot be faster than."""
    times = []
    descriptor = os.open(folder / "yardstick", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(FSYNCS):
            began = time.perf_counter()
            os.write(descriptor, b"\0" * 4096)
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(descriptor)
    return percentile(times, 50)


@asynccontextmanager
async def opened_intake(home: Path) -> AsyncIterator[tuple[Store, Intake]]:
    """Run an intake on a store in `home`, with chats whose people are known and bound."""
    async with open_store(home) as store, asyncio.TaskGroup() as parts:
        for number in range(CHATS):
            await store.save_person(_person(number), f"Person {number}", "member", "bench")
            await store.bind(Binding(chat=_chat(number), chat_kind="direct", group_id=GROUP, added_by="bench"))
        wire = Wire()
        intake = Intake(
            store,
            lambda: {CHANNEL: wire},
            lambda: {GROUP: PersonLimits()},
            IntakeEnds(queued=_ignore, command=_no_command, outbox=lambda: None),
            inbox=lambda group: home / "groups" / group / "inbox",
            max_file_bytes=lambda: 0,
            rehearsing=lambda: (),
        )
        running = parts.create_task(intake.run())
        yield store, intake
        running.cancel()


async def take_in(intake: Intake, events: Iterator[int], count: int) -> float:
    """Hand over `count` updates, SENDERS at a time; return how many a second were stored and acknowledged."""
    left = itertools.repeat(None, count)

    async def send() -> None:
        for _ in left:
            number = next(events)
            await intake.accept(CHANNEL, f"e{number}", _update(number))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as senders:
        for _ in range(SENDERS):
            senders.create_task(send())
    return count / (time.perf_counter() - began)


async def take_in_calmly(intake: Intake, events: Iterator[int], seconds: float) -> Sequence[float]:
    """Hand over CALM_PER_S updates a second, whether earlier ones are done or not; return each one's ms."""
    times: list[float] = []

    async def send(number: int) -> None:
        began = time.perf_counter()
        await intake.accept(CHANNEL, f"e{number}", _update(number))
        times.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as senders:
        for index in range(int(CALM_PER_S * seconds)):
            due = began + index / CALM_PER_S
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            senders.create_task(send(next(events)))
    return times


async def measure(home: Path, size: int, sample: int, calm_s: float) -> Taken:
    """Return what taking in comes to in a store that holds so many messages at least."""
    await fill(home, size)
    async with opened_intake(home) as (store, intake):
        events = itertools.count(await store.read(_newest) + 1)
        await all_filed(store)
        began = time.perf_counter()
        per_s = await take_in(intake, events, sample)
        await all_filed(store)
        filed_per_s = sample / (time.perf_counter() - began)
        calm = await take_in_calmly(intake, events, calm_s)
    return Taken(
        per_s=per_s,
        filed_per_s=filed_per_s,
        calm_p50_ms=percentile(calm, 50),
        calm_p99_ms=percentile(calm, 99),
    )


async def fill(home: Path, size: int) -> None:
    """Have a store hold so many messages, answered in the course of the last year: a block of them as intake leaves
    them, and copies of its rows under other ids. A store that holds as many already is left as it is."""
    home.mkdir(parents=True, exist_ok=True)
    block, moment = min(size, BLOCK), datetime.now(UTC)
    async with open_store(home, clock=lambda: moment) as store:
        for number in range(await store.read(_newest) + 1, block + 1, FILL_AT_ONCE):
            moment = datetime.now(UTC) - timedelta(days=1 + 364 * (1 - number / block))
            await store.write(_fill, number, min(FILL_AT_ONCE, block + 1 - number))
        while await store.read(_newest) < size:
            await store.write(_copy_block)


def _newest(transaction: Transaction) -> int:
    return int(transaction.connection.execute("SELECT coalesce(max(raw_id), 0) FROM raw_updates").fetchone()[0])


def _fill(transaction: Transaction, first: int, count: int) -> None:
    for number in range(first, first + count):
        inbound = _inbound(number)
        update = inbound_rows.store_raw(transaction, CHANNEL, inbound.event_id, json.dumps(to_json(inbound)).encode())
        assert update is not None  # its number is new
        inbound_rows.file_message(
            transaction, update.raw_id, inbound, state=MessageState.QUEUED, group_id=GROUP, end_reason=""
        )
    answered = "state = 'answered', end_reason = 'reply', ended_at = received_at"
    transaction.connection.execute(f"UPDATE messages SET {answered} WHERE state = 'queued'")


def _copy_block(transaction: Transaction) -> None:
    """Copy the rows of the first block of messages behind all that there is."""
    run, past = transaction.connection.execute, _newest(transaction)
    (written,) = run("SELECT max(seq) FROM journal").fetchone()
    for table, numbers, first in (
        ("payloads", ("payload_id",), "payload_id"),
        ("raw_updates", ("raw_id",), "raw_id"),
        ("messages", ("seq", "raw_id", "payload_id"), "raw_id"),
    ):
        copied = f"WHERE {first} <= {BLOCK}"
        run(f"INSERT INTO {table} SELECT {_copied(transaction, table, numbers, past)} FROM {table} {copied}")
    entries = f"(SELECT * FROM journal ORDER BY seq LIMIT {BLOCK})"
    run(f"INSERT INTO journal SELECT {_copied(transaction, 'journal', ('seq',), written)} FROM {entries}")


def _copied(transaction: Transaction, table: str, numbers: Collection[str], past: int) -> str:
    """Return the columns of a copied row: numbers that go on after `past`, and ids that no other row has."""
    columns = [row[0] for row in transaction.connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    ids = {"event_id": f"event_id || '-{past}'", "message_id": f"replace(message_id, 'msg_', 'msg{past}_')"}
    ids |= {"refs": f"replace(refs, 'msg_', 'msg{past}_')"}
    return ", ".join(f"{each} + {past}" if each in numbers else ids.get(each, each) for each in columns)


async def all_filed(store: Store) -> None:
    """Wait until what was acknowledged has been decided on as well."""
    while True:
        if not await store.pending_raws((CHANNEL,), 1):
            return
        await asyncio.sleep(0.05)


def _update(number: int) -> bytes:
    return json.dumps(to_json(_inbound(number))).encode()


def _inbound(number: int) -> InboundMessage:
    chat = number % CHATS
    return InboundMessage(
        channel_id=CHANNEL,
        event_id=f"e{number}",
        chat=_chat(chat),
        chat_kind="direct",
        person=_person(chat),
        sender_name=f"Person {chat}",
        text=f"message {number}: how is the backup doing today, and when was it last tried out?",
        sent_at="2026-01-31T09:00:00Z",
        platform_message_id=PlatformMessageId(f"p{number}"),
    )


def _chat(number: int) -> ChatKey:
    return ChatKey(f"bench:{number}")


def _person(number: int) -> PersonKey:
    return PersonKey(f"bench:{number}")


def _ignore(message: StoredMessage) -> None:
    """Nobody works here."""


async def _no_command(message: StoredMessage) -> None:
    """Nobody commands here."""
