"""The webhook channel: its door and its decoding, put together. Nobody talks here, so nothing is said here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from channels.channel import DeliveryFailed, Inbox, ShownKind, Work
from channels.webhook.client import FetchSecret, WebhookDoor
from channels.webhook.decode import decode_work
from channels.webhook.hook import Hook
from protocol.ids import ChannelId, ChatKey
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt


class WebhookChannel:
    """One loopback address as a Channel."""

    def __init__(
        self,
        channel_id: ChannelId,
        address: str,
        hooks: Callable[[], Mapping[str, Hook]],
        fetch_secret: FetchSecret,
    ) -> None:
        """`hooks` are those of now, by name; `fetch_secret` gives the key of a name in the vault."""
        self._channel_id = channel_id
        self._hooks = hooks
        self.door = WebhookDoor(address, hooks, fetch_secret)

    @property
    def channel_id(self) -> ChannelId:
        return self._channel_id

    async def run(self, inbox: Inbox) -> None:
        async def accept(event_id: str, raw: bytes) -> None:
            await inbox.accept(self._channel_id, event_id, raw)

        await self.door.run(accept)

    def work_of(self, raw: bytes) -> Work | None:
        return decode_work(raw, self._hooks())

    def decode(self, raw: bytes) -> InboundMessage | None:
        """Nobody says anything: see `work_of`."""
        del raw
        return None

    async def send(self, message: OutboundMessage) -> Receipt:
        raise DeliveryFailed(f"nobody reads {message.chat}: the channel brings work, and has no chats", permanent=True)

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        del into, max_bytes
        raise DeliveryFailed(f"{file.name!r} cannot be fetched: a request holds all that it brings", permanent=True)

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        """Nobody looks on."""

    def health(self) -> str:
        return "ok" if self.door.listening.is_set() else "its port cannot be had, or it is starting"
