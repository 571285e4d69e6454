"""What people see: the world, a chat as one person is shown it, the log's facts."""

from __future__ import annotations

from collections.abc import Mapping

from twins.discord.components import BUTTON, STRING_SELECT, every
from twins.discord.saying import view
from twins.discord.snowflake import made_at
from twins.discord.user_side.verbs import chat_of, person_of
from twins.discord.world import CATEGORY, Channel, Json, Message, World
from twins.event_log import LONGEST_WAIT_S


def show_world(world: World) -> Json:
    bot = world.users[world.bot_id]
    return {
        "platform": "discord",
        "bot": {"id": world.bot_id, "name": bot["username"]},
        "token": world.token,
        "application": {"id": world.application_id, "privileged_intents": world.privileged_intents},
        "people": [
            {"id": one["id"], "name": one["global_name"], "username": one["username"]}
            for one in world.users.values()
            if one["id"] != world.bot_id
        ],
        "chats": [_chat(world, one) for one in world.channels.values() if _is_chat(one)],
        "guild": {"id": world.guild_id, "name": world.guild["name"], "members": list(world.members)},
        "commands": list(world.commands.values()),
    }


async def show_chat(world: World, query: Mapping[str, str]) -> Json:
    """`?chat=&thread=&person=&after=&wait_s=`: with wait_s, as soon as the bot said something after that message."""
    person = person_of(world, dict(query))
    channel = chat_of(world, dict(query), person)
    after = int(query.get("after") or 0)
    wait_s = min(float(query.get("wait_s") or 0), LONGEST_WAIT_S)
    await world.log.until(lambda: any(one.author_id == world.bot_id for one in _seen(channel, person, after)), wait_s)
    now = world.now
    typing = [who for who, until in channel.typing_until.items() if until > now]
    return {
        "chat": _chat(world, channel),
        "messages": [show_message(world, one, person) for one in _seen(channel, person, after)],
        "typing": world.bot_id in typing,
        "draft": "",
        "interactions": [
            {"id": one.id, "state": one.state(now), "shown": one.shown, "message_ids": one.message_ids}
            for one in world.interactions.by_token.values()
            if one.channel_id == channel.id and one.user_id == person
        ],
    }


def show_message(world: World, message: Message, viewer: str) -> Json:
    """Return a message in the form that all twins share, with Discord's own beside it."""
    raw = view(world, message, viewer)
    reference = raw.get("message_reference") or {}
    return {
        "id": message.id,
        "from": message.author_id,
        "name": raw["author"]["global_name"] or raw["author"]["username"],
        "is_bot": bool(raw["author"].get("bot")),
        "text": raw["content"],
        "buttons": _buttons(raw["components"]),
        "files": [{"id": one["id"], "name": one["filename"]} for one in raw["attachments"]],
        "reactions": {emoji: list(who) for emoji, who in message.reactions.items()},
        "edited": raw["edited_timestamp"] is not None,
        "reply_to": reference.get("message_id") if reference.get("type") == 0 else None,
        "at": made_at(message.id),
        "ephemeral": message.only_for is not None,
        "raw": raw,
    }


def _seen(channel: Channel, person: str, after: int) -> list[Message]:
    return [
        message
        for message in channel.messages.values()
        if int(message.id) > after and message.only_for in (None, person)
    ]


def _buttons(components: list[Json]) -> list[Json]:
    found: list[Json] = []
    for one in every(components):
        if one["type"] == BUTTON and not one.get("disabled"):
            label = one.get("label") or (one.get("emoji") or {}).get("name", "")
            found.append({"label": label, "value": one.get("custom_id") or one.get("url", "")})
        elif one["type"] == STRING_SELECT and not one.get("disabled"):
            found += [{"label": option["label"], "value": option["value"]} for option in one["options"]]
    return found


def _is_chat(channel: Channel) -> bool:
    return not channel.is_thread and channel.info["type"] != CATEGORY


def _chat(world: World, channel: Channel) -> Json:
    if channel.is_direct:
        people = [one for one in channel.people if one != world.bot_id]
        name = ", ".join(str(world.users[one]["global_name"]) for one in people)
        return {"id": channel.id, "kind": "direct", "name": name, "people": people, "threads": []}
    threads = [one for one in world.channels.values() if one.info.get("parent_id") == channel.id and one.is_thread]
    return {
        "id": channel.id,
        "kind": "many",
        "name": f"#{channel.info['name']}",
        "people": [one for one in world.members if one != world.bot_id and world.sees(one, channel)],
        "threads": [{"id": one.id, "name": one.info["name"]} for one in threads],
    }
