"""A message of ours as it stands, without its buttons. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.slack.encode import Place, Post


def without_buttons(place: Place, message: Mapping[str, Any]) -> Post | None:
    """Return what the message is to say, None if it has no buttons."""
    blocks = tuple(block for block in message.get("blocks") or () if isinstance(block, dict))
    kept = tuple(block for block in blocks if block.get("type") != "actions")
    if len(kept) == len(blocks):
        return None
    return Post(place=place, text=str(message.get("text") or ""), blocks=kept)
