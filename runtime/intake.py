"""Intake: from a platform's raw update to a filed message. `channels.channel.Inbox`, as the host implements it.

The raw form is stored before the platform is told; then it is decoded, decided on (access.py) and filed with one end
or as queued. Each chat is filed in order, chats side by side; a crash anywhere is mended by reading the updates that
were not filed. What happens to a queued message is dispatcher.py's business, to a command commands/desk.py's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from channels.channel import Channel, Undecodable
from protocol.ids import ChannelId, ChatKey, GroupId
from protocol.message import InboundMessage, OutboundMessage
from runtime.access import Admission, TryCode, decide_access, decide_after_code
from runtime.chat_lane import ChatLane, Turn
from runtime.head_start import HeadStart, HeadStartDesk
from runtime.inbound_files import fetch_files
from runtime.inbound_text import clean, clean_inbound, fault_of, shorten
from runtime.inbound_turn import has_turn, is_stop, is_urgent
from runtime.insist import insist
from runtime.store.records import Filed, MessageState, RawUpdate, SenderFacts, StartOffer, StoredMessage, TakenIn
from runtime.store.store import Store

log = logging.getLogger(__name__)

MAX_IN_HAND = 1_000
"""Updates in memory at once; what comes beyond them stays in the store until there is room."""
MAX_REFUSED_CHARS = 1_000
"""What is kept of a refused text: enough to see what it was, too little for a stranger to fill the disk with."""
STOP_PATIENCE_S = 0.5
"""A stop waits so long for what came before it to be filed, so that it is stopped too; then it stops what it can, and
that in its turn."""
SLOW_REREAD_S = 60.0
"""The store is asked for unfiled updates at least so often, in case one was missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeEnds:
    """Where intake's results go."""

    queued: Callable[[StoredMessage], None]
    """A message waits for a task. Returns at once."""
    command: Callable[[StoredMessage], Awaitable[None]]
    """A command is to be carried out and marked as done. Again after a crash in the middle."""
    outbox: Callable[[], None]
    """Something was put into the outbox. Returns at once."""
    head_starts: HeadStartDesk | None = None
    """Who may have a container for a message before it is filed; None: nobody."""


class Intake:
    """Takes updates in; `run` files them."""

    def __init__(
        self,
        store: Store,
        channels: Callable[[], Mapping[ChannelId, Channel]],
        groups: Callable[[], Collection[GroupId]],
        ends: IntakeEnds,
        *,
        inbox: Callable[[GroupId], Path],
        max_file_bytes: Callable[[], int],
        rehearsing: Callable[[], Collection[GroupId]],
        fetch_timeout_s: float = 120.0,
        max_in_hand: int = MAX_IN_HAND,
    ) -> None:
        self._store = store
        self._channels = channels
        self._groups = groups
        self._ends = ends
        self._inbox = inbox
        self._max_file_bytes = max_file_bytes
        self._rehearsing = rehearsing
        self._fetch_timeout_s = fetch_timeout_s
        self._max_in_hand = max_in_hand
        self._fresh: deque[RawUpdate] = deque()
        self._in_hand: set[int] = set()
        self._lanes: dict[ChatKey, ChatLane] = {}
        self._is_behind = True
        """Updates are in the store that are not in memory; while so, new ones wait behind them there."""
        self._missed = 0
        self._storing = 0
        """Updates on the longer way that are not in memory yet: nothing goes past them."""
        self._awake = asyncio.Event()
        self._work: asyncio.TaskGroup | None = None

    def __repr__(self) -> str:
        return f"<Intake in_hand={len(self._in_hand)} lanes={len(self._lanes)} behind={self._is_behind}>"

    async def accept(self, channel_id: ChannelId, event_id: str, raw: bytes) -> None:
        """Store a raw update and return; it is filed by then or soon after. While the disk is full channels wait."""
        if await self._take_in_at_once(channel_id, event_id, raw):
            return
        self._storing += 1
        try:
            update = await insist(lambda: self._store.store_raw(channel_id, clean(event_id), raw), "an update")
        finally:
            self._storing -= 1
        if update is None:
            return
        if self._is_behind or len(self._in_hand) >= self._max_in_hand:
            self._is_behind = True
            self._missed += 1
        else:
            self._in_hand.add(update.raw_id)
            self._fresh.append(update)
        self._awake.set()

    async def _take_in_at_once(self, channel_id: ChannelId, event_id: str, raw: bytes) -> bool:
        """Store an update, file its message and begin its task, all in one wait for the disk, if a container waits for
        it and nothing is before it. False: it goes the longer way."""
        desk = self._ends.head_starts
        if desk is None or self._is_behind or self._fresh or self._storing:
            return False
        inbound = self._decode_plain(channel_id, raw)
        if inbound is None or inbound.chat in self._lanes:
            return False
        self._lanes[inbound.chat] = ChatLane()
        head_start = None
        try:
            head_start = await desk.offer(inbound)
        finally:
            if head_start is None:
                self._leave_lane(inbound.chat)
        if head_start is None:
            return False
        work = self._work
        if work is None:  # the host goes
            desk.settle(head_start, None)
            self._leave_lane(inbound.chat)
            return False
        # Whoever waits here may go away, a terminal that closes: what is begun is brought to its end all the same.
        storing = partial(self._store.take_in_and_begin, channel_id, clean(event_id), raw, inbound)
        taking_in = work.create_task(self._begin(storing, inbound, head_start, desk))
        desk.filing(head_start)
        await asyncio.shield(taking_in)
        return True

    def _decode_plain(self, channel_id: ChannelId, raw: bytes) -> InboundMessage | None:
        """Return what an update says if it is sound and whole; what is not is looked at when it is stored."""
        channel = self._channels().get(channel_id)
        try:
            inbound = channel.decode(raw) if channel is not None else None
            is_plain = inbound is not None and not inbound.pending_files and fault_of(inbound) is None
        except Exception as error:  # noqa: BLE001 - a decoder's bug: it is told of when the update is decoded again
            log.debug("an update was not decoded at once: %s", error)
            return None
        return clean_inbound(inbound) if inbound is not None and is_plain else None

    async def _begin(
        self,
        storing: Callable[[Callable[[SenderFacts], GroupId | None], StartOffer], Awaitable[TakenIn]],
        inbound: InboundMessage,
        head_start: HeadStart,
        desk: HeadStartDesk,
    ) -> None:
        decide = partial(self._group_at_once, inbound)
        # Cut off here, the host goes, and nobody knows whether it is stored: the container is left for the next start.
        taken_in = await insist(lambda: storing(decide, head_start.offer), "an update")
        desk.settle(head_start, taken_in.filed)
        if taken_in.update is not None and taken_in.filed is None:
            self._in_hand.add(taken_in.update.raw_id)
            self._lanes[inbound.chat].jobs.appendleft(partial(self._file_alone, taken_in.update, inbound))
        self._leave_lane(inbound.chat)

    def _leave_lane(self, chat: ChatKey) -> None:
        """Let what has come into a chat's lane meanwhile be filed."""
        if self._lanes[chat].jobs and self._work is not None:
            self._work.create_task(self._run_lane(chat))
        else:
            del self._lanes[chat]

    def recover(self) -> None:
        """Have the store's unfiled updates read again: at start, or when a channel has come back."""
        self._is_behind = True
        self._awake.set()

    async def run(self) -> None:
        """File updates until cancelled, beginning with what a crash left. What is cut off is filed after a restart."""
        async with asyncio.TaskGroup() as work:
            self._work = work
            try:
                await self._file_all(work)
            finally:
                self._work = None

    async def _file_all(self, work: asyncio.TaskGroup) -> None:
        for command in await self._store.open_commands():
            if has_turn(command.inbound):
                work.create_task(self._command_in_turn(command, self._lane(command.inbound.chat, work).hold_turn()))
            else:
                work.create_task(self._command(command))
        while True:
            self._awake.clear()
            while self._fresh:
                await self._sort(self._fresh.popleft(), work)
            if self._is_behind and self._has_room:
                await self._catch_up()
            if not self._fresh:
                await self._sleep()

    async def _command(self, message: StoredMessage) -> None:
        await self._ends.command(message)

    async def _command_in_turn(self, message: StoredMessage, turn: Turn) -> None:
        await turn.come.wait()
        await self._command(message)
        turn.over.set()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(SLOW_REREAD_S):
                await self._awake.wait()
        except TimeoutError:
            self._is_behind = True

    async def _catch_up(self) -> None:
        """Read the oldest unfiled updates; behind no more if that was all and none came meanwhile."""
        missed, known = self._missed, frozenset(self._in_hand)
        updates = await self._store.pending_raws(tuple(self._channels()), self._max_in_hand)
        for update in updates:
            if update.raw_id not in known and update.raw_id not in self._in_hand:
                self._in_hand.add(update.raw_id)
                self._fresh.append(update)
        self._is_behind = len(updates) == self._max_in_hand or missed != self._missed

    @property
    def _has_room(self) -> bool:
        return len(self._in_hand) < (self._max_in_hand + 1) // 2

    async def _sort(self, update: RawUpdate, work: asyncio.TaskGroup) -> None:
        """Decode an update and put it in the lane of its chat; urgent commands go past what waits there."""
        inbound = await self._decode(update)
        if inbound is None:
            self._done(update)
        elif is_stop(inbound):
            lane = self._lane(inbound.chat, work)
            work.create_task(self._file_stop(update, inbound, lane, lane.hold_turn()))
        elif is_urgent(inbound):
            work.create_task(self._file_alone(update, inbound))
        else:
            self._lane(inbound.chat, work).jobs.append(partial(self._file_alone, update, inbound))

    def _lane(self, chat: ChatKey, work: asyncio.TaskGroup) -> ChatLane:
        """Return a chat's lane, which runs; it is to be given a job at once."""
        lane = self._lanes.get(chat)
        if lane is None:
            lane = self._lanes[chat] = ChatLane()
            work.create_task(self._run_lane(chat))
        return lane

    async def _run_lane(self, chat: ChatKey) -> None:
        await self._lanes[chat].run()
        del self._lanes[chat]

    async def _decode(self, update: RawUpdate) -> InboundMessage | None:
        """Return what an update says; None if it says nothing to us or is a dead letter now."""
        channel = self._channels().get(update.channel_id)
        if channel is None:
            return None
        try:
            inbound = channel.decode(update.raw)
            fault = fault_of(inbound) if inbound else None
        except Undecodable as error:
            fault = error.reason
        except Exception as error:  # a decoder's bug must not block its channel
            log.exception("%s could not be decoded", update.event_id, extra={"action": "decoder_raised"})
            fault = f"the decoder failed: {type(error).__name__}"
        if fault is not None:
            log.warning("a dead letter: %s", fault, extra={"action": "dead_letter", "channel_id": update.channel_id})
            await insist(lambda: self._store.file_dead_letter(update.raw_id, clean(fault)), "a dead letter")
            return None
        if inbound is None:
            await insist(lambda: self._store.file_nothing(update.raw_id), "an update")
            return None
        return clean_inbound(inbound)

    async def _file_alone(self, update: RawUpdate, inbound: InboundMessage) -> None:
        await self._file(update, inbound)
        self._done(update)

    async def _file_stop(self, update: RawUpdate, inbound: InboundMessage, lane: ChatLane, turn: Turn) -> None:
        """File a stop past all that waits; where it may stop anything it reaches what came before it and was not filed
        yet, and nothing that came after it."""
        filed = await self._decide_and_file(update, inbound)
        self._done(update)
        if _is_open_command(filed):
            lane.hurry(turn)
            try:
                async with asyncio.timeout(STOP_PATIENCE_S):
                    await turn.come.wait()
            except TimeoutError:
                await self._command(filed.message)
                await turn.come.wait()
            lane.calm(turn)
            await self._command(filed.message)
        else:
            await turn.come.wait()
            self._tell(filed)
        turn.over.set()

    def _done(self, update: RawUpdate) -> None:
        self._in_hand.discard(update.raw_id)
        if self._is_behind and self._has_room:
            self._awake.set()

    async def _file(self, update: RawUpdate, inbound: InboundMessage) -> None:
        filed = await self._decide_and_file(update, inbound)
        if _is_open_command(filed):
            await self._command(filed.message)  # what is said after `/new` is said in the new conversation
        else:
            self._tell(filed)

    def _tell(self, filed: Filed) -> None:
        if filed.first and filed.message.state is MessageState.QUEUED:
            self._ends.queued(filed.message)

    def _group_at_once(self, inbound: InboundMessage, facts: SenderFacts) -> GroupId | None:
        """Return the group that a message is queued for, None if anything else becomes of it."""
        decision = decide_access(inbound, facts, now=datetime.now(UTC), groups=self._groups())
        if isinstance(decision, TryCode) or decision.state is not MessageState.QUEUED or decision.notice:
            return None
        return decision.group_id

    async def _decide_and_file(self, update: RawUpdate, inbound: InboundMessage) -> Filed:
        facts = await self._store.sender_facts(inbound.person, inbound.chat)
        decision = decide_access(inbound, facts, now=datetime.now(UTC), groups=self._groups())
        if isinstance(decision, TryCode):
            return await self._try_code(update, inbound, facts, decision.code)
        return await self._carry_out(update, inbound, decision)

    async def _try_code(self, update: RawUpdate, inbound: InboundMessage, facts: SenderFacts, code: str) -> Filed:
        rehearsing = self._rehearsing()
        outcome = await insist(
            lambda: self._store.redeem_pairing_code(code, update.raw_id, inbound, rehearsing), "a pairing"
        )
        if outcome.filed is not None:
            self._ends.outbox()
            return outcome.filed
        decision = decide_after_code(outcome.kind, inbound, facts, now=datetime.now(UTC), groups=self._groups())
        return await self._carry_out(update, inbound, decision)

    async def _carry_out(self, update: RawUpdate, inbound: InboundMessage, decision: Admission) -> Filed:
        note = ""
        if inbound.pending_files:
            inbound, note = await self._with_files(update, inbound, decision)
        if decision.state is MessageState.REFUSED:
            inbound = shorten(inbound, MAX_REFUSED_CHARS)
        notice = OutboundMessage(chat=inbound.chat, text=decision.notice) if decision.notice else None
        filed = await insist(
            lambda: self._store.file_message(
                update.raw_id,
                inbound,
                state=decision.state,
                group_id=decision.group_id,
                end_reason=decision.reason,
                note=note,
                notice=notice,
            ),
            "a message",
        )
        if notice is not None:
            self._ends.outbox()
        return filed

    async def _with_files(
        self, update: RawUpdate, inbound: InboundMessage, decision: Admission
    ) -> tuple[InboundMessage, str]:
        """Return the message with its files fetched, and the note on those that are missing."""
        channel = self._channels().get(update.channel_id)
        is_wanted = decision.state in (MessageState.QUEUED, MessageState.CONTEXT)
        if not is_wanted or decision.group_id is None or channel is None:
            return replace(inbound, pending_files=()), ""
        fetching = partial(
            fetch_files,
            channel,
            inbound.pending_files,
            self._inbox(decision.group_id),
            raw_id=update.raw_id,
            max_bytes=self._max_file_bytes(),
            timeout_s=self._fetch_timeout_s,
        )
        lane = self._lanes.get(inbound.chat)
        fetched = await (lane.patiently(fetching) if lane is not None else fetching())
        if fetched is None:
            return replace(inbound, pending_files=()), "Its files were not fetched: /stop came after it."
        attachments = (*inbound.attachments, *fetched.attachments)
        return replace(inbound, attachments=attachments, pending_files=()), fetched.note


def _is_open_command(filed: Filed) -> bool:
    return filed.first and filed.message.state is MessageState.COMMAND and not filed.message.end_reason
