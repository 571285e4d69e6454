"""Reactions come and go, whoever gives them."""

from __future__ import annotations

from twins.discord.refusal import Refusal
from twins.discord.saying import emoji_json, in_guild
from twins.discord.world import Channel, Json, Message, World

MAX_KINDS = 20


def add_reaction(world: World, channel: Channel, message: Message, emoji: str, user_id: str) -> None:
    """Give a reaction; a second time it changes nothing."""
    if emoji not in message.reactions and len(message.reactions) >= MAX_KINDS:
        raise Refusal(30010)
    given = message.reactions.setdefault(emoji, [])
    if user_id in given:
        return
    given.append(user_id)
    data = _event(channel, message, emoji) | {"user_id": user_id, "message_author_id": message.author_id}
    if user_id in world.members and channel.guild_id is not None:
        data["member"] = {**world.members[user_id], "user": world.users[user_id]}
    world.publish("MESSAGE_REACTION_ADD", data, channel=channel)


def take_reaction(world: World, channel: Channel, message: Message, emoji: str, user_id: str) -> None:
    """Take a reaction back; one that was not there is none to miss."""
    given = message.reactions.get(emoji, [])
    if user_id not in given:
        return
    given.remove(user_id)
    if not given:
        del message.reactions[emoji]
    data = _event(channel, message, emoji) | {"user_id": user_id}
    world.publish("MESSAGE_REACTION_REMOVE", data, channel=channel)


def take_all(world: World, channel: Channel, message: Message, emoji: str | None = None) -> None:
    """Take all reactions away, or all of one emoji."""
    if emoji is None:
        message.reactions.clear()
        data: Json = {"channel_id": channel.id, "message_id": message.id, **in_guild(channel)}
        world.publish("MESSAGE_REACTION_REMOVE_ALL", data, channel=channel)
    elif message.reactions.pop(emoji, None) is not None:
        data = {**_event(channel, message, emoji)}
        del data["type"], data["burst"]
        world.publish("MESSAGE_REACTION_REMOVE_EMOJI", data, channel=channel)


def _event(channel: Channel, message: Message, emoji: str) -> Json:
    return {
        "channel_id": channel.id,
        "message_id": message.id,
        "emoji": emoji_json(emoji),
        "type": 0,
        "burst": False,
        **in_guild(channel),
    }
