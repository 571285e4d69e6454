"""Intake: from a platform's raw update to a filed message. `channels.channel.Inbox`, as the host implements it.

The raw form is stored before the platform is told; then it is decoded, decided on and filed with one end or as queued
(inbound_filing.py). Each chat is filed in order, chats side by side; a crash anywhere is mended by reading the updates
that were not filed. What happens to a queued message is dispatcher.py's business, to a command commands/desk.py's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from channels.channel import BringsWork, Channel, Undecodable
from protocol.ids import ChannelId, ChatKey, GroupId
from protocol.message import InboundMessage
from runtime.chat_lane import ChatLane, Turn
from runtime.head_start import HeadStart, HeadStartDesk
from runtime.inbound_filing import AnswerDesk, Filing, FilingDesk, VoiceDesk
from runtime.inbound_text import clean, clean_inbound, fault_of
from runtime.inbound_turn import has_turn, is_stop, is_urgent
from runtime.inbound_work import file_work
from runtime.insist import STORE_WAITS, insist
from runtime.intake_ends import IntakeEnds
from runtime.moved_chats import MovedChats
from runtime.people.records import AccessRequest
from runtime.store.access_rows import granted_requests
from runtime.store.records import (
    Filed,
    MessageState,
    PersonLimits,
    RawUpdate,
    SenderFacts,
    StartOffer,
    StoredMessage,
    TakenIn,
)
from runtime.store.store import Store

log = logging.getLogger(__name__)

MAX_IN_HAND = 1_000
"""Updates in memory at once; what comes beyond them stays in the store until there is room."""
STOP_PATIENCE_S = 0.5
"""A stop waits so long for what came before it to be filed, so that it is stopped too; then it stops what it can, and
that in its turn."""
SLOW_REREAD_S = 60.0
"""The store is asked for unfiled updates at least so often, in case one was missed."""


class Intake:
    """Takes updates in; `run` files them."""

    def __init__(
        self,
        store: Store,
        channels: Callable[[], Mapping[ChannelId, Channel]],
        groups: Callable[[], Mapping[GroupId, PersonLimits]],
        ends: IntakeEnds,
        *,
        inbox: Callable[[GroupId], Path],
        max_file_bytes: Callable[[], int],
        rehearsing: Callable[[], Collection[GroupId]],
        usual_group: Callable[[ChannelId], GroupId | None] = lambda _: None,
        answers: AnswerDesk | None = None,
        voices: VoiceDesk | None = None,
        zone_name: Callable[[], str] = lambda: "UTC",
        fetch_timeout_s: float = 120.0,
        max_in_hand: int = MAX_IN_HAND,
    ) -> None:
        self._store = store
        self._channels = channels
        self._ends = ends
        self._moved = MovedChats(store)
        self._filing = Filing(
            FilingDesk(
                store=store,
                channels=channels,
                groups=groups,
                inbox=inbox,
                max_file_bytes=max_file_bytes,
                rehearsing=rehearsing,
                outbox=ends.outbox,
                changed=ends.changed,
                replaced=ends.replaced,
                withdrawn=ends.withdrawn,
                queued=ends.queued,
                usual_group=usual_group,
                answers=answers,
                voices=voices,
                zone_name=zone_name,
                fetch_timeout_s=fetch_timeout_s,
            )
        )
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
        if not await self._take_in_at_once(channel_id, event_id, raw):
            await self._store_first(channel_id, event_id, raw)

    async def _store_first(self, channel_id: ChannelId, event_id: str, raw: bytes) -> None:
        """Store a raw update, and have it filed after."""
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
        storing_first = partial(self._store_first, channel_id, event_id, raw)
        taking_in = work.create_task(self._begin(storing, storing_first, inbound, head_start, desk))
        desk.filing(head_start)
        await asyncio.shield(taking_in)
        return True

    def _decode_plain(self, channel_id: ChannelId, raw: bytes) -> InboundMessage | None:
        """Return what an update says if it is sound and whole; what is not is looked at when it is stored."""
        channel = self._channels().get(channel_id)
        try:
            inbound = channel.decode(raw) if channel is not None else None
            is_plain = inbound is not None and inbound.kind in ("message", "press") and not inbound.pending_files
            fault = fault_of(inbound) if inbound is not None else None
        except Exception as error:  # noqa: BLE001 - a decoder's bug: it is told of when the update is decoded again
            log.debug("an update was not decoded at once: %s", error)
            return None
        return self._moved.place(clean_inbound(inbound)) if inbound is not None and is_plain and not fault else None

    async def _begin(
        self,
        storing: Callable[[Callable[[SenderFacts], GroupId | None], StartOffer], Awaitable[TakenIn]],
        storing_first: Callable[[], Awaitable[None]],
        inbound: InboundMessage,
        head_start: HeadStart,
        desk: HeadStartDesk,
    ) -> None:
        decide = partial(self._filing.group_at_once, inbound)
        try:
            # Cut off here, the host goes, and nobody knows whether it is stored: the container is left for the next
            # start.
            taken_in = await storing(decide, head_start.offer)
        except STORE_WAITS:
            # Its agent may have been told already of what was not stored, so there is no second try with it.
            desk.settle(head_start, None)
            await storing_first()
            self._leave_lane(inbound.chat)
            return
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

    def take_up(self, request: AccessRequest) -> None:
        """Have the messages of a request that was granted filed anew, as they are decided now, before what is said in
        that chat from now on. Returns at once; harmless to do twice. While the host stops, the next start does it."""
        if self._work is not None:
            turn = self._lane(request.chat, self._work).hold_turn()
            self._work.create_task(self._take_up(request, turn))

    async def _take_up(self, request: AccessRequest, turn: Turn) -> None:
        await turn.come.wait()
        for message in await self._filing.take_up(request):
            self._ends.queued(message)
        turn.over.set()

    async def _file_all(self, work: asyncio.TaskGroup) -> None:
        await self._moved.load()
        for request in await self._store.read(granted_requests):
            self.take_up(request)
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
        channel: object = self._channels().get(update.channel_id)
        if isinstance(channel, BringsWork):
            await file_work(self._store, channel, update, self._ends.work)
            self._done(update)
            return
        inbound = await self._decode(update)
        if inbound is None:
            self._done(update)
        elif inbound.kind == "moved":
            turn = self._lane(ChatKey(inbound.text), work).hold_turn()
            self._lane(inbound.chat, work).jobs.append(partial(self._move, update, inbound, turn))
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
        return self._moved.place(clean_inbound(inbound))

    async def _move(self, update: RawUpdate, inbound: InboundMessage, turn: Turn) -> None:
        """Give a chat its new key once what was said before is filed; what is said under the new one waits for that."""
        await turn.come.wait()
        if await self._moved.move(update, inbound):
            extra = {"action": "chat_moved", "channel_id": inbound.channel_id}
            log.info("%s is %s now", inbound.chat, inbound.text, extra=extra)
            if self._ends.moved is not None:
                await self._ends.moved(inbound.chat, ChatKey(inbound.text))
            self._ends.outbox()
        self._done(update)
        turn.over.set()

    async def _file_alone(self, update: RawUpdate, inbound: InboundMessage) -> None:
        await self._file(update, inbound)
        self._done(update)

    async def _file_stop(self, update: RawUpdate, inbound: InboundMessage, lane: ChatLane, turn: Turn) -> None:
        """File a stop past all that waits; where it may stop anything it reaches what came before it and was not filed
        yet, and nothing that came after it."""
        filed = await self._filed(update, inbound)
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
        filed = await self._filed(update, inbound)
        if _is_open_command(filed):
            await self._command(filed.message)  # what is said after `/new` is said in the new conversation
        else:
            self._tell(filed)

    async def _filed(self, update: RawUpdate, inbound: InboundMessage) -> Filed:
        lane = self._lanes.get(inbound.chat)
        patience = None if lane is None else lane.patiently
        return await self._filing.file(update, self._moved.place(inbound), patience)

    def _tell(self, filed: Filed) -> None:
        if filed.first and filed.message.state is MessageState.QUEUED:
            self._ends.queued(filed.message)


def _is_open_command(filed: Filed) -> bool:
    return filed.first and filed.message.state is MessageState.COMMAND and not filed.message.end_reason
