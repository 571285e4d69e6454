"""Carries out what changes a message that is there: an edit, a deletion, a reaction, the end of its buttons. Where it
can be done is its channel's word.
"""

from __future__ import annotations

from channels.channel import Channel, DeliveryFailed, HasButtons, HasDeletes, HasEdits, HasReactions
from protocol.ids import PlatformMessageId
from protocol.message import OutboundMessage, Receipt
from runtime.store import send_rows
from runtime.store.store import Store


async def change_message(store: Store, channel: Channel, message: OutboundMessage) -> Receipt:
    """Do it and return what it was done to; raise DeliveryFailed."""
    if message.act == "close":
        return await _take_buttons(store, channel, message)
    if message.act == "delete":
        return await _delete(store, channel, message)
    target = message.about or await _find(store, message.about_key)
    if message.act == "edit" and isinstance(channel, HasEdits):
        await channel.edit(message.chat, target, message.text)
    elif message.act == "react" and isinstance(channel, HasReactions):
        await channel.react(message.chat, target, message.text)
    else:
        raise DeliveryFailed("its platform changes nothing that was said", permanent=True)
    return Receipt(platform_message_ids=(target,))


async def _take_buttons(store: Store, channel: Channel, message: OutboundMessage) -> Receipt:
    """Take the buttons off a card that is settled, if it is there still: nobody misses them where that cannot be."""
    _, ids = await store.read(send_rows.where_is, message.about_key)
    if ids and isinstance(channel, HasButtons):
        try:
            await channel.take_buttons(message.chat, ids[-1])
        except DeliveryFailed as failed:
            if not failed.permanent:
                raise
    return Receipt(platform_message_ids=ids[-1:])


async def _delete(store: Store, channel: Channel, message: OutboundMessage) -> Receipt:
    """Have all parts of a message go."""
    if not isinstance(channel, HasDeletes):
        raise DeliveryFailed("its platform takes nothing back that was said", permanent=True)
    _, ids = await store.read(send_rows.where_is, message.about_key)
    targets = (message.about,) if message.about else ids
    if not targets:
        raise DeliveryFailed("the message that it takes back was not delivered", permanent=True)
    for target in targets:
        await channel.delete(message.chat, target)
    return Receipt(platform_message_ids=targets)


async def _find(store: Store, key: str) -> PlatformMessageId:
    """Return what the platform calls the message of a key: a chat's messages go out in order, so it is there by now."""
    _, ids = await store.read(send_rows.where_is, key)
    if len(ids) != 1:
        reason = "the message that it changes was not delivered" if not ids else "the message that it changes has parts"
        raise DeliveryFailed(reason, permanent=True)
    return ids[0]
