"""Tells an owner in their own chat what cannot wait for the next look at a log: a tripwire, a group whose agents crash
again and again.

The proxy's events are in its audit whatever becomes of the message. Requests that need a yes are
`approvals/egress.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from protocol.ids import ChannelId, ChatKey, GroupId, mint
from protocol.message import OutboundMessage
from protocol.proxy_admin import ProxyEvent
from runtime.insist import insist
from runtime.store.store import Store

log = logging.getLogger(__name__)

_TERMINAL = "terminal:"
MAX_WAITING = 100
"""Alarms that are not stored yet; more of them say nothing new."""


@dataclass(frozen=True, slots=True)
class _Alarm:
    key: str
    text: str
    group_id: GroupId
    avoid: frozenset[str] = frozenset()


class OwnerAlarm:
    """Takes the proxy's events, and other rooms' words; `run` puts what they call for into the outbox."""

    def __init__(self, store: Store, wake_delivery: Callable[[], None]) -> None:
        self._store = store
        self._wake_delivery = wake_delivery
        self._waiting: asyncio.Queue[_Alarm] = asyncio.Queue(MAX_WAITING)

    def note(self, event: ProxyEvent) -> None:
        """Take one event of the proxy's; returns at once."""
        if event.kind == "tripwire":
            self.tell(*describe_alarm(event), event.group_id)

    def tell(
        self, key: str, text: str, group_id: GroupId, *, avoid: Collection[ChannelId] = (), is_new: bool = False
    ) -> None:
        """Have an owner read a text about a group, once for a key; returns at once. `avoid`: channels that it does not
        go to; `is_new`: it was said before, and is said again."""
        key = f"{key}:{mint('alarm')}" if is_new else key
        try:
            self._waiting.put_nowait(_Alarm(key, text, group_id, frozenset(avoid)))
        except asyncio.QueueFull:
            log.error("an alarm was dropped: too many wait", extra={"action": "alarm_dropped", "key": key})

    async def run(self) -> None:
        """Tell the owner until cancelled."""
        while True:
            alarm = await self._waiting.get()
            chat = await self._owner_chat(alarm)
            if chat is None:
                extra = {"action": "alarm_untold", "key": alarm.key}
                log.warning("no chat of an owner's is there to tell", extra=extra)
                continue
            message = OutboundMessage(chat=chat, text=alarm.text)
            await insist(partial(self._store.put_outbound, alarm.key, message), "an alarm")
            self._wake_delivery()

    async def _owner_chat(self, alarm: _Alarm) -> ChatKey | None:
        """Return a direct chat of an owner's, one with the alarm's own group before others; where some channels are
        avoided, one that somebody carries along before a terminal's."""
        owners = {person.person for person in await self._store.people() if person.role == "owner"}
        chats = [
            binding
            for binding in await self._store.bindings()
            if binding.chat_kind == "direct"
            and binding.added_by in owners | {"cli"}
            and binding.chat.partition(":")[0] not in alarm.avoid
        ]
        chats.sort(
            key=lambda each: (bool(alarm.avoid) and each.chat.startswith(_TERMINAL), each.group_id != alarm.group_id)
        )
        return chats[0].chat if chats else None


def describe_alarm(event: ProxyEvent) -> tuple[str, str]:
    """Return the message's key, one for each thing worth a message, and its text."""
    text = (
        f"Tripwire: the agent `{event.group_id}` tried to send the placeholder of the secret `{event.detail}` to where "
        f"it does not belong: `{event.target}`. Nothing was sent. `nightyard trace {event.task_id}` tells more."
    )
    return f"tripwire:{event.task_id}:{event.detail}", text
