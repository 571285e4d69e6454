"""Messages come, change and go: what bots and people do to them alike, and how each viewer is shown one."""

from __future__ import annotations

from typing import Any

from twins.discord.attachments import signed_attachments
from twins.discord.mentions import Mentioned, find_mentions
from twins.discord.permissions import Permission
from twins.discord.unfurling import link_embeds
from twins.discord.world import Channel, Json, Message, World

MAX_CONTENT = 2000
REPLY, FORWARD_REFERENCE = 19, 1
_STRIPPED: Json = {"content": "", "embeds": [], "attachments": [], "components": []}


def say(
    world: World,
    channel: Channel,
    author_id: str,
    *,
    content: str = "",
    kind: int = 0,
    allowed_mentions: Json | None = None,
    only_for: str | None = None,
    **more: Any,
) -> Message:
    """Put a message there and tell the gateway, unless it is ephemeral."""
    message_id = world.mint()
    replied_to = _author_replied_to(world, more.get("message_reference")) if kind == REPLY else None
    body: Json = {
        "id": message_id,
        "channel_id": channel.id,
        "type": kind,
        "author": world.user(author_id),
        "content": content,
        "timestamp": world.timestamp(),
        "edited_timestamp": None,
        "flags": 0,
        "tts": False,
        "pinned": False,
        "attachments": [],
        "embeds": [],
        "components": [],
        **_mention_fields(world, _mentioned(world, channel, author_id, content, allowed_mentions, replied_to)),
        **more,
    }
    message = Message(body=body, only_for=only_for)
    channel.messages[message_id] = message
    channel.typing_until.pop(author_id, None)
    if only_for is None:
        channel.last_message_id = message_id
        channel.sent += 1
        channel.said_at[author_id] = world.now
        world.publish("MESSAGE_CREATE", event_data(world, channel, message), channel=channel, message=message)
        _preview_links(world, channel, message)
    return message


def change(
    world: World, channel: Channel, message: Message, changed: Json, *, allowed_mentions: Json | None = None
) -> None:
    """Edit a message; only a change of what is said makes it an edited one."""
    if "content" in changed:
        found = _mentioned(world, channel, message.author_id, changed["content"], allowed_mentions, None)
        changed = {**changed, **_mention_fields(world, found)}
    if {"content", "embeds", "attachments", "components"} & set(changed):
        changed = {"edited_timestamp": world.timestamp(), **changed}
    message.body |= changed
    if message.only_for is None:
        world.publish("MESSAGE_UPDATE", event_data(world, channel, message), channel=channel, message=message)
        if "content" in changed:
            _preview_links(world, channel, message)


def _preview_links(world: World, channel: Channel, message: Message) -> None:
    """Put the previews of a text's links to its message: an update without an edit."""
    had = message.body["embeds"]
    said = [embed for embed in had if embed["type"] != "link"]
    embeds = said + link_embeds(message.body["content"], message.body["flags"])
    if embeds != had:
        message.body["embeds"] = embeds
        world.publish("MESSAGE_UPDATE", event_data(world, channel, message), channel=channel, message=message)


def remove(world: World, channel: Channel, message: Message) -> None:
    """Take a message away."""
    del channel.messages[message.id]
    if message.only_for is None:
        data = {"id": message.id, "channel_id": channel.id, **in_guild(channel)}
        world.publish("MESSAGE_DELETE", data, channel=channel)


def view(world: World, message: Message, viewer_id: str) -> Json:
    """Return a message as somebody is shown it: fresh links, reactions counted, what it replies to beside it."""
    shown = dict(message.body)
    shown["author"] = world.users.get(message.author_id, shown["author"])
    shown["attachments"] = signed_attachments(shown["attachments"], world.now)
    if message.reactions:
        shown["reactions"] = [_shown_reaction(emoji, who, viewer_id) for emoji, who in message.reactions.items()]
    reference = shown.get("message_reference")
    if reference is not None and "message_id" in reference and reference["type"] != FORWARD_REFERENCE:
        shown["referenced_message"] = _referenced(world, reference)
    if message.id in world.channels and message.id != shown["channel_id"]:
        shown["thread"] = channel_view(world, world.channels[message.id])
    return shown


def event_data(world: World, channel: Channel, message: Message) -> Json:
    """Return a message as its gateway event has it."""
    data = view(world, message, world.bot_id) | in_guild(channel) | {"channel_type": channel.info["type"]}
    if channel.guild_id is not None:
        if message.author_id in world.members:
            data["member"] = world.members[message.author_id]
        data["mentions"] = [
            {**person, "member": world.members[person["id"]]} if person["id"] in world.members else person
            for person in data["mentions"]
        ]
    return data


def without_content(world: World, body: Json) -> Json:
    """Return a message as an application sees it that may not read content: of others, where it is not mentioned, in a
    server."""
    own = body["author"]["id"] == world.bot_id
    mentioned = any(person["id"] == world.bot_id for person in body["mentions"])
    direct = world.channels[body["channel_id"]].is_direct if body["channel_id"] in world.channels else False
    if own or mentioned or direct:
        return body
    stripped = {**body, **_STRIPPED}
    if isinstance(body.get("referenced_message"), dict):
        stripped["referenced_message"] = without_content(world, body["referenced_message"])
    if "message_snapshots" in body:
        stripped["message_snapshots"] = [
            {"message": {**snapshot["message"], **_STRIPPED}} for snapshot in body["message_snapshots"]
        ]
    return stripped


def channel_view(world: World, channel: Channel) -> Json:
    """Return a channel, thread or direct chat as the API shows it."""
    shown = {**channel.info, "last_message_id": channel.last_message_id}
    if channel.is_direct:
        shown["recipients"] = [world.users[one] for one in channel.people if one != world.bot_id]
    if channel.is_thread:
        shown |= {
            "message_count": len(channel.messages),
            "total_message_sent": channel.sent,
            "member_count": len(channel.people),
        }
    return shown


def in_guild(channel: Channel) -> Json:
    return {} if channel.guild_id is None else {"guild_id": channel.guild_id}


def emoji_json(emoji: str) -> Json:
    """Return an emoji of a path as reactions show it."""
    name, _, custom_id = emoji.partition(":")
    return {"id": custom_id or None, "name": name}


def _author_replied_to(world: World, reference: Json | None) -> str | None:
    if reference is None or reference["channel_id"] not in world.channels:
        return None
    message = world.channels[reference["channel_id"]].messages.get(reference.get("message_id", ""))
    return message.author_id if message else None


def _mentioned(
    world: World, channel: Channel, author_id: str, content: str, allowed: Json | None, replied_to: str | None
) -> Mentioned:
    return find_mentions(
        content,
        allowed,
        people=world.users,
        roles=() if channel.is_direct else world.roles,
        may_mention_all=bool(world.permissions(author_id, channel) & Permission.MENTION_EVERYONE),
        replied_to=replied_to,
    )


def _mention_fields(world: World, found: Mentioned) -> Json:
    return {
        "mentions": [world.users[one] for one in found.people],
        "mention_roles": list(found.roles),
        "mention_everyone": found.everyone,
    }


def _shown_reaction(emoji: str, who: list[str], viewer_id: str) -> Json:
    return {
        "emoji": emoji_json(emoji),
        "count": len(who),
        "count_details": {"burst": 0, "normal": len(who)},
        "burst_colors": [],
        "me_burst": False,
        "me": viewer_id in who,
    }


def _referenced(world: World, reference: Json) -> Json | None:
    channel = world.channels.get(reference["channel_id"])
    message = channel.messages.get(reference.get("message_id", "")) if channel else None
    if message is None:
        return None
    return {**message.body, "attachments": signed_attachments(message.body["attachments"], world.now)}
