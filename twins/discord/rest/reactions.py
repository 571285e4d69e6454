"""Reactions on messages; pins."""

from __future__ import annotations

import re

from twins.discord.permissions import Permission
from twins.discord.reactions import add_reaction, take_all, take_reaction
from twins.discord.refusal import Refusal
from twins.discord.rest.access import need, open_thread, visible
from twins.discord.rest.call import DONE, Answer, Call, Route
from twins.discord.rest.messages import shown
from twins.discord.saying import change, in_guild, say
from twins.discord.world import Channel, Message

MAX_PINS = 250
_PINNED = 6
_CUSTOM = re.compile(r"\w{2,32}:\d{17,20}", re.ASCII)


def add_my_message_reaction(call: Call) -> Answer:
    channel, message, emoji = _target(call)
    need(call.world, channel, Permission.READ_MESSAGE_HISTORY)
    if emoji not in message.reactions:
        need(call.world, channel, Permission.ADD_REACTIONS)
    add_reaction(call.world, channel, message, emoji, call.world.bot_id)
    return DONE


def delete_my_message_reaction(call: Call) -> Answer:
    channel, message, emoji = _target(call)
    take_reaction(call.world, channel, message, emoji, call.world.bot_id)
    return DONE


def delete_user_message_reaction(call: Call) -> Answer:
    channel, message, emoji = _target(call)
    _need_moderation(call, channel)
    take_reaction(call.world, channel, message, emoji, call.parameters["user_id"])
    return DONE


def list_message_reactions_by_emoji(call: Call) -> Answer:
    _, message, emoji = _target(call, changes=False)
    limit, after = call.number("limit", 25, 1, 100), call.number("after", 0, 0, 1 << 63)
    given = sorted((one for one in message.reactions.get(emoji, ()) if int(one) > after), key=int)
    return Answer(body=[call.world.users[one] for one in given[:limit]])


def delete_all_message_reactions(call: Call) -> Answer:
    channel = visible(call)
    _, message = call.message()
    _need_moderation(call, channel)
    take_all(call.world, channel, message)
    return DONE


def delete_all_message_reactions_by_emoji(call: Call) -> Answer:
    channel, message, emoji = _target(call)
    _need_moderation(call, channel)
    take_all(call.world, channel, message, emoji)
    return DONE


def list_pins(call: Call) -> Answer:
    """Newest pin first, each with when it was pinned."""
    found = _pinned(call)
    limit = call.number("limit", 50, 1, 50)
    items = [{"pinned_at": one.pinned_at, "message": shown(call.world, one)} for one in found[:limit]]
    return Answer(body={"items": items, "has_more": len(found) > limit})


def deprecated_list_pins(call: Call) -> Answer:
    return Answer(body=[shown(call.world, one) for one in _pinned(call)])


def create_pin(call: Call) -> Answer:
    channel, message = _to_pin(call)
    if message.body["pinned"]:
        return DONE
    if sum(1 for one in channel.messages.values() if one.body["pinned"]) >= MAX_PINS:
        raise Refusal(30003)
    message.pinned_at = call.world.timestamp()
    _set_pinned(call, channel, message, True)
    reference = {"type": 0, "channel_id": channel.id, "message_id": message.id, **in_guild(channel)}
    say(call.world, channel, call.world.bot_id, kind=_PINNED, message_reference=reference)
    return DONE


def delete_pin(call: Call) -> Answer:
    channel, message = _to_pin(call)
    if message.body["pinned"]:
        _set_pinned(call, channel, message, False)
    return DONE


def _set_pinned(call: Call, channel: Channel, message: Message, pinned: bool) -> None:
    change(call.world, channel, message, {"pinned": pinned})
    at = call.world.timestamp() if pinned else None
    data = {"channel_id": channel.id, "last_pin_timestamp": at, **in_guild(channel)}
    call.world.publish("CHANNEL_PINS_UPDATE", data, channel=channel)


def _to_pin(call: Call) -> tuple[Channel, Message]:
    visible(call)
    channel, message = call.message()
    if not channel.is_direct:
        need(call.world, channel, Permission.PIN_MESSAGES)
    return channel, message


def _pinned(call: Call) -> list[Message]:
    channel = visible(call)
    found = [one for one in channel.messages.values() if one.body["pinned"]]
    return sorted(found, key=lambda one: one.pinned_at, reverse=True)


def _target(call: Call, *, changes: bool = True) -> tuple[Channel, Message, str]:
    visible(call)
    channel, message = call.message()
    if changes:
        open_thread(call.world, channel)
    emoji = call.parameters["emoji_name"]
    if not _CUSTOM.fullmatch(emoji) and (emoji.isascii() or len(emoji) > 16):
        raise Refusal(10014)
    return channel, message, emoji


def _need_moderation(call: Call, channel: Channel) -> None:
    if channel.is_direct:
        raise Refusal(50003)
    need(call.world, channel, Permission.MANAGE_MESSAGES)


_MESSAGE = "/channels/{channel_id}/messages/{message_id}/reactions"
_EMOJI = _MESSAGE + "/{emoji_name}"
_PIN = "/channels/{channel_id}/messages/pins/{message_id}"
_OLD_PIN = "/channels/{channel_id}/pins/{message_id}"
ROUTES = (
    Route(operation="add_my_message_reaction", method="PUT", path=_EMOJI + "/@me", handle=add_my_message_reaction),
    Route(
        operation="delete_my_message_reaction",
        method="DELETE",
        path=_EMOJI + "/@me",
        handle=delete_my_message_reaction,
    ),
    Route(
        operation="delete_user_message_reaction",
        method="DELETE",
        path=_EMOJI + "/{user_id}",
        handle=delete_user_message_reaction,
    ),
    Route(
        operation="list_message_reactions_by_emoji",
        method="GET",
        path=_EMOJI,
        handle=list_message_reactions_by_emoji,
    ),
    Route(
        operation="delete_all_message_reactions",
        method="DELETE",
        path=_MESSAGE,
        handle=delete_all_message_reactions,
    ),
    Route(
        operation="delete_all_message_reactions_by_emoji",
        method="DELETE",
        path=_EMOJI,
        handle=delete_all_message_reactions_by_emoji,
    ),
    Route(operation="list_pins", method="GET", path="/channels/{channel_id}/messages/pins", handle=list_pins),
    Route(
        operation="deprecated_list_pins",
        method="GET",
        path="/channels/{channel_id}/pins",
        handle=deprecated_list_pins,
    ),
    Route(operation="create_pin", method="PUT", path=_PIN, handle=create_pin),
    Route(operation="delete_pin", method="DELETE", path=_PIN, handle=delete_pin),
    Route(operation="deprecated_create_pin", method="PUT", path=_OLD_PIN, handle=create_pin),
    Route(operation="deprecated_delete_pin", method="DELETE", path=_OLD_PIN, handle=delete_pin),
)
