"""Tells chats why their messages wait, once for each message: at once where something is wrong, after some seconds
where others are only before them in line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from protocol.ids import ChatKey, GroupId, MessageId
from protocol.message import OutboundMessage
from runtime.admission import NoRoom
from runtime.insist import insist
from runtime.pauses import BUDGET
from runtime.session_queue import SessionQueue, Waiting
from runtime.task_desk import TaskDesk
from runtime.task_words import (
    dropped_text,
    frozen_text,
    no_room_text,
    paused_text,
    place_text,
    suspended_text,
)

PLACE_AFTER_S = 5.0
"""How long a message waits before it is told its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """What keeps tasks from starting, besides other tasks."""

    is_frozen: bool
    no_room: NoRoom | None


class WaitingNotices:
    """What waits and has not been told why."""

    def __init__(self, desk: TaskDesk) -> None:
        self._desk = desk
        self._untold: dict[str, tuple[Waiting, float]] = {}

    def note(self, waiting: Waiting, now: float) -> None:
        """Take a message that waits from now on."""
        if waiting.chat is not None and waiting.kind == "message":
            self._untold.setdefault(waiting.work, (waiting, now))

    def forget(self, work: str) -> None:
        """It waits no more."""
        self._untold.pop(work, None)

    async def tell(
        self, queue: SessionQueue, parallel: Callable[[GroupId], int], hindrance: Hindrance, now: float
    ) -> float | None:
        """Tell what there is to tell; return when the next message is to be told its place, None: no one is."""
        due = None
        for work, (waiting, since) in list(self._untold.items()):
            text = self._wrong(waiting, hindrance)
            if not text and now < since + PLACE_AFTER_S:
                due = min(due or since + PLACE_AFTER_S, since + PLACE_AFTER_S)
            elif text or (text := self._place(queue, parallel, waiting, now)):
                await self._notify(waiting, text, self._key(waiting, text))
                self._untold.pop(work, None)
        return due

    def _wrong(self, waiting: Waiting, hindrance: Hindrance) -> str:
        """Return what is wrong, empty if it waits for its turn only."""
        group_id = waiting.group_id
        if hindrance.is_frozen:
            return frozen_text()
        if problems := self._desk.around.groups.problems_of(group_id):
            return suspended_text(group_id, problems)
        if pauses := self._desk.pauses.of(group_id):
            is_of_money = all(each.cause == BUDGET for each in pauses)
            return paused_text(group_id, [each.reason for each in pauses], is_of_money=is_of_money)
        if lacking := self._desk.lacks_image(group_id):
            return lacking
        if hindrance.no_room is not None:
            return no_room_text(hindrance.no_room.message, hindrance.no_room.mend)
        return ""

    def _place(self, queue: SessionQueue, parallel: Callable[[GroupId], int], waiting: Waiting, now: float) -> str:
        """Return the words on a message's place in line, empty for one that is not in line."""
        place = queue.place(waiting, parallel, now)
        return place_text(waiting.group_id, place) if place is not None else ""

    async def tell_dropped(self, chat: ChatKey, message_ids: Sequence[MessageId]) -> None:
        """Tell a chat that messages of it will not be answered, where somebody outside it said so."""
        message = OutboundMessage(chat=chat, text=dropped_text(len(message_ids)))
        await insist(lambda: self._desk.store.put_outbound(f"dropped:{message_ids[0]}", message), "a notice")
        self._desk.delivery.wake()

    def _key(self, waiting: Waiting, text: str) -> str:
        """Return by what a notice is told once: for each message, but of an image once a day for the chat."""
        if text != self._desk.lacks_image(waiting.group_id):
            return f"waits:{waiting.work}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"image:{waiting.chat}:{digest}:{datetime.now(UTC):%Y%m%d}"

    async def _notify(self, waiting: Waiting, text: str, key: str) -> None:
        assert waiting.chat is not None  # only such are noted
        message = OutboundMessage(chat=waiting.chat, text=text)
        await insist(lambda: self._desk.store.put_outbound(key, message), "a notice")
        self._desk.delivery.wake()
