"""All methods of the Bot API by their names, but getUpdates, which waits (`polling.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twins.telegram.arguments import Arguments
from twins.telegram.methods import (
    chats,
    copies,
    edits,
    files,
    invites,
    media,
    messages,
    money,
    places,
    profile,
    queries,
    stickers,
    topics,
    webhooks,
)
from twins.telegram.refusal import Refusal
from twins.telegram.world import World

Method = Callable[[World, Arguments], Any]

METHODS: dict[str, Method] = {
    **chats.METHODS,
    **copies.METHODS,
    **edits.METHODS,
    **files.METHODS,
    **invites.METHODS,
    **media.METHODS,
    **messages.METHODS,
    **money.METHODS,
    **places.METHODS,
    **profile.METHODS,
    **queries.METHODS,
    **stickers.METHODS,
    **topics.METHODS,
    **webhooks.METHODS,
}


def call_method(world: World, name: str, arguments: Arguments) -> Any:
    """Return the result of a method, its name in any case; raise Refusal."""
    method = METHODS.get(name.lower())
    if method is None:
        raise Refusal(404, "Not Found: method not found")
    return method(world, arguments)
