"""Delivery: hands the outbox to the channels, each chat in its order, different chats side by side.

The rows are the store's, the waits are `retry.py`'s, the platform's calls are its channel's. A row is sent, or dead
with a word about it in its chat, or to an owner elsewhere when the chat itself cannot be reached.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from channels.channel import Channel, DeliveryFailed, NotYet
from protocol.ids import ChannelId, ChatKey
from protocol.message import OutboundMessage, Receipt
from runtime.approvals.reviews import FILE_SHA256
from runtime.insist import insist
from runtime.message_changes import change_message
from runtime.outbound_files import files_of, label_of
from runtime.retry import MAX_RETRY_AFTER_S, DeliveryFailure, GiveUp, decide_delivery
from runtime.store.database import utc_now
from runtime.store.outbox_rows import NOTICE, bring_forward, put_off
from runtime.store.records import OutboxRow
from runtime.store.store import Store

log = logging.getLogger(__name__)

SLOW_REREAD_S = 120.0
"""The outbox is read again at least so often, in case a wake was lost."""
SIDE_BY_SIDE = 16
"""Deliveries under way at once."""
SLOWEST_UPLOAD_BYTES_PER_S = 32 << 10
"""A file may take as long as it does on a line of a quarter of a megabit: 50 MB in 27 minutes."""


LONGEST_WAIT_S = 300.0
"""Between two tries; a platform that names a longer wait gets it."""
SHORTEST_PAUSE_S = 0.05
"""A channel whose pace does not allow a message yet is not asked sooner, whatever it says."""
STEP_BACK_S = 2.0
"""A clock that lost more than this against the time that passed was set back."""


class Delivery:
    """The worker of the outbox. `channels` says which channels run now, `attempts` how often a message is tried."""

    def __init__(
        self,
        store: Store,
        channels: Callable[[], Mapping[ChannelId, Channel]],
        attempts: int,
        *,
        send_timeout_s: float = 120.0,
        longest_wait_s: float = LONGEST_WAIT_S,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._channels = channels
        self.attempts = attempts
        self._longest_wait_s = longest_wait_s
        self._send_timeout_s = send_timeout_s
        self._clock = clock
        self._seen: tuple[datetime, float] | None = None
        self._awake = asyncio.Event()
        self._settled = asyncio.Event()
        self._under_way = 0
        self._deliveries: asyncio.TaskGroup | None = None
        self._calls_when_dead: list[Callable[[], None]] = []

    def when_dead(self, call: Callable[[], None]) -> None:
        """Have `call` called when a message was given up, and that is stored."""
        self._calls_when_dead.append(call)

    @property
    def room(self) -> int:
        """How many more deliveries may be under way now; none while nobody delivers."""
        return SIDE_BY_SIDE - self._under_way if self._deliveries is not None else 0

    def deliver(self, rows: Sequence[OutboxRow]) -> None:
        """Send messages that have been claimed. Those that nobody delivers any more are the next start's."""
        if self._deliveries is not None:
            for row in rows:
                self._under_way += 1
                self._deliveries.create_task(self._deliver(row))

    def wake(self) -> None:
        """Say that the outbox may have something that is due."""
        self._awake.set()

    async def settled(self) -> None:
        """Return when nothing is under way and nothing is due now."""
        self._settled.clear()
        self.wake()
        await self._settled.wait()

    async def run(self) -> None:
        """Deliver until cancelled. A delivery that is cut off is sent again by the next start, marked so."""
        async with asyncio.TaskGroup() as self._deliveries:
            try:
                while True:
                    self._awake.clear()
                    await self._mind_the_clock()
                    rows = await insist(self._claim, "the outbox")
                    self.deliver(rows)
                    if not rows:
                        if not self._under_way:
                            self._settled.set()
                        await self._sleep(await self._due_in_s())
            finally:
                self._deliveries = None

    async def _mind_the_clock(self) -> None:
        """Bring tries forward by what the clock was set back: else they waited for an hour that comes twice."""
        before, self._seen = self._seen, (self._clock(), asyncio.get_running_loop().time())
        if before is None:
            return
        lost_s = (self._seen[1] - before[1]) - (self._seen[0] - before[0]).total_seconds()
        if lost_s > STEP_BACK_S:
            lost = timedelta(seconds=lost_s)
            await insist(lambda: self._store.write(bring_forward, lost), "the outbox")

    async def _claim(self) -> tuple[OutboxRow, ...]:
        return await self._store.claim_outbox(self.room) if self.room > 0 else ()

    async def _due_in_s(self) -> float:
        due_at = await self._store.next_outbox_at() if self.room > 0 else None
        if due_at is None:
            return SLOW_REREAD_S
        return min(max((due_at - self._clock()).total_seconds(), 0.005), SLOW_REREAD_S)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _deliver(self, row: OutboxRow) -> None:
        try:
            outcome = await self._send(row)
            if isinstance(outcome, Receipt):
                await insist(lambda: self._store.outbox_sent(row.outbox_id, outcome), "a receipt")
            elif isinstance(outcome, NotYet):
                await insist(lambda: self._put_off(row, outcome), "a delivery's later time")
            else:
                await insist(lambda: self._store_failure(row, outcome), "a failed delivery")
        finally:
            self._under_way -= 1
            self.wake()

    async def _send(self, row: OutboxRow) -> Receipt | DeliveryFailed:
        channel = self._channels().get(row.channel_id)
        if channel is None:
            return DeliveryFailed(f"the channel {row.channel_id} is not running")
        timeout_s = self._send_timeout_s + upload_s(row.message)
        try:
            # A thread's hop would cost every answer in words a millisecond.
            if row.message.file_path is not None and not await asyncio.to_thread(is_same_file, row.message):
                return DeliveryFailed("its file is not the one that was to go any more", permanent=True)
            async with asyncio.timeout(timeout_s):
                if row.message.act != "say":
                    return await change_message(self._store, channel, row.message)
                return await channel.send(row.message)
        except DeliveryFailed as error:
            return error
        except TimeoutError:
            return DeliveryFailed(f"{row.channel_id} did not answer within {timeout_s:.0f} s")
        except Exception as error:
            extra = {"action": "channel_raised", "channel_id": row.channel_id, "outbox_id": row.outbox_id}
            log.exception("%s raised while sending; the message is tried again", row.channel_id, extra=extra)
            return DeliveryFailed(f"{row.channel_id} failed: {type(error).__name__}")

    async def _put_off(self, row: OutboxRow, not_yet: NotYet) -> None:
        """Have a message that was not tried be due when its platform's pace allows it."""
        pause_s = min(max(not_yet.retry_after_s or 0.0, SHORTEST_PAUSE_S), MAX_RETRY_AFTER_S)
        due_at = self._clock() + timedelta(seconds=pause_s)
        await self._store.write(put_off, row.outbox_id, not_yet.reason, due_at)

    async def _store_failure(self, row: OutboxRow, failure: DeliveryFailed) -> None:
        decision = decide_delivery(
            DeliveryFailure(
                reason=failure.reason,
                attempts=row.attempts,
                permanent=failure.permanent,
                retry_after_s=failure.retry_after_s,
            ),
            max_attempts=self.attempts,
            longest_wait_s=self._longest_wait_s,
            chance=random.random(),
        )
        extra = {"channel_id": row.channel_id, "outbox_id": row.outbox_id, "attempts": row.attempts}
        if isinstance(decision, GiveUp):
            # The notice first: a crash between the two repeats the delivery, never loses the word about it.
            await self._tell_dead(row, decision.reason)
            await self._store.outbox_dead(row.outbox_id, decision.reason)
            log.error("gave up a message: %s", decision.reason, extra={"action": "outbox_dead", **extra})
            for call in self._calls_when_dead:
                call()
        else:
            next_try_at = self._clock() + timedelta(seconds=decision.after_s)
            await self._store.outbox_failed(row.outbox_id, failure.reason, next_try_at)
            log.warning("a delivery failed: %s", failure.reason, extra={"action": "outbox_failed", **extra})

    async def _tell_dead(self, row: OutboxRow, reason: str) -> None:
        """Put a notice about a dead message into its chat; for a dead notice, into an owner's chat elsewhere."""
        if not row.idempotency_key.startswith(NOTICE):
            more = f" `nightyard trace {row.task_id}` tells more." if row.task_id else ""
            text = f"A message for this chat could not be delivered: {reason}.{more}"
            message = OutboundMessage(chat=row.message.chat, text=text)
            await self._store.put_outbound(f"{NOTICE}chat:{row.outbox_id}", message, row.task_id)
        elif row.idempotency_key.startswith(f"{NOTICE}chat:"):
            chat = await self._owner_chat_beside(row.channel_id)
            if chat is not None:
                text = f"{row.message.chat} cannot be reached: {reason}. Messages for it are not delivered."
                message = OutboundMessage(chat=chat, text=text)
                await self._store.put_outbound(f"{NOTICE}owner:{row.outbox_id}", message, row.task_id)

    async def _owner_chat_beside(self, channel_id: ChannelId) -> ChatKey | None:
        """Return a direct chat of the home's owner on another channel, None if there is none."""
        owners = {person.person for person in await self._store.people() if person.role == "owner"}
        for binding in await self._store.bindings():
            channel = binding.chat.partition(":")[0]
            if binding.chat_kind == "direct" and channel != channel_id and binding.added_by in owners | {"cli"}:
                return binding.chat
        return None


def is_same_file(message: OutboundMessage) -> bool:
    """Return whether a message's files hold what an agent sent, and a reviewer may have said yes to; True without any,
    and for one that is gone (its channel says so)."""
    labels = message.labels or {}
    for index, file in enumerate(files_of(message)):
        wanted = labels.get(label_of(FILE_SHA256, index))
        if wanted is not None and not _holds(file.path, wanted):
            return False
    return True


def _holds(path: str, wanted: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == wanted
    except OSError:
        return True


def upload_s(message: OutboundMessage) -> float:
    """Return how long a message's files may take beyond what any message may; 0 without any, or if they are gone."""
    return sum(_size_of(file.path) for file in files_of(message)) / SLOWEST_UPLOAD_BYTES_PER_S


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a text already
    except OSError:
        return 0
