"""What a chat's key is once its platform gave it another. Pure."""

from __future__ import annotations

from protocol.ids import ChatKey


def moved_key(key: ChatKey, former: ChatKey, chat: ChatKey) -> ChatKey:
    """Return the key of now: of the chat that had the former one, and of its threads; any other stays as it is."""
    if key == former or key.startswith(f"{former}:"):
        return ChatKey(f"{chat}{key[len(former) :]}")
    return key
