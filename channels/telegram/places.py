"""Where something is said on Telegram: a chat, and a topic in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from channels.channel import DeliveryFailed
from protocol.ids import ChannelId, ChatKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a call goes."""

    chat_id: int
    topic_id: int | None = None

    @property
    def is_private(self) -> bool:
        """One person's chat with the bot: those have the person's id, which is above zero."""
        return self.chat_id > 0


def parse_place(channel_id: ChannelId, chat: str) -> Place:
    """Return the place that a chat key names; raise DeliveryFailed for a key of no Telegram chat."""
    channel, _, rest = chat.partition(":")
    chat_id, _, topic = rest.partition(":")
    try:
        if channel != channel_id:
            raise ValueError
        return Place(chat_id=int(chat_id), topic_id=int(topic) if topic else None)
    except ValueError:
        raise DeliveryFailed(f"`{chat}` names no chat of the channel {channel_id}", permanent=True) from None


def place_key(channel_id: ChannelId, place: Place) -> ChatKey:
    """Return the chat key of a place."""
    topic = "" if place.topic_id is None else f":{place.topic_id}"
    return ChatKey(f"{channel_id}:{place.chat_id}{topic}")
