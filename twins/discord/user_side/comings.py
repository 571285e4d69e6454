"""Who comes, goes and is allowed what: members, threads, channels, blocks, the bot's permissions and intents."""

from __future__ import annotations

from twins.discord.gateway.intents import PRIVILEGED, Intent
from twins.discord.gateway.ready import guild_create, member_view
from twins.discord.permissions import Permission
from twins.discord.rest.messages import start_typing
from twins.discord.saying import channel_view, say
from twins.discord.seed import guild_channel, member, user
from twins.discord.threads import add_member, begin_thread, remove_member, set_archived
from twins.discord.user_side.verbs import chat_of, find_message, person_of
from twins.discord.world import TEXT, Json, World

_JOINED = 7


def join(world: World, body: Json) -> Json:
    """`{person, chat?, bot?}`: somebody joins the server, or a thread; a new name is a new person, or another bot."""
    try:
        person = person_of(world, body)
    except ValueError:
        person = world.mint()
        name = str(body["person"])
        world.users[person] = user(person, name.lower().replace(" ", "_"), name)
        if body.get("bot"):
            world.users[person]["bot"] = True
    if body.get("chat") or body.get("thread"):
        channel = chat_of(world, body, person)
        if channel.is_thread:
            add_member(world, channel, person)
            return {"person": person}
    if person in world.members:
        raise ValueError(f"{world.users[person]['username']} is in the server already")
    world.members[person] = {**member([]), "joined_at": world.timestamp()}
    if person == world.bot_id:
        world.publish("GUILD_CREATE", guild_create(world, PRIVILEGED))
        return {"person": person}
    world.publish("GUILD_MEMBER_ADD", {**member_view(world, person), "guild_id": world.guild_id})
    say(world, world.channel(world.guild["system_channel_id"]), person, kind=_JOINED)
    return {"person": person}


def leave(world: World, body: Json) -> Json:
    """`{person, chat?}`: somebody leaves the server, or a thread; the bot: is thrown out."""
    person = person_of(world, body)
    if body.get("chat") or body.get("thread"):
        channel = chat_of(world, body, person)
        if channel.is_thread:
            remove_member(world, channel, person)
            return {}
    if world.members.pop(person, None) is None:
        raise ValueError(f"{world.users[person]['username']} is not in the server")
    if person == world.bot_id:
        world.publish("GUILD_DELETE", {"id": world.guild_id})
    else:
        world.publish("GUILD_MEMBER_REMOVE", {"guild_id": world.guild_id, "user": world.users[person]})
    return {}


def thread(world: World, body: Json) -> Json:
    """`{name, message_id?, person?, chat?}`: somebody begins a thread, from a message or in a channel."""
    person = person_of(world, body)
    if body.get("message_id"):
        parent, message = find_message(world, str(body["message_id"]))
        begun = begin_thread(world, parent, person, str(body["name"]), message=message)
    else:
        parent = chat_of(world, body, person)
        begun = begin_thread(world, parent, person, str(body["name"]))
    return {"thread": begun.id}


def channel(world: World, body: Json) -> Json:
    """`{name}`: a new channel in the server; `{chat, gone: true}`: one is deleted."""
    if body.get("gone"):
        old = chat_of(world, body, person_of(world, body))
        del world.channels[old.id]
        world.publish("THREAD_DELETE" if old.is_thread else "CHANNEL_DELETE", channel_view(world, old))
        return {}
    made = world.add_channel(guild_channel(world.mint(), TEXT, str(body["name"]), len(world.channels)))
    world.publish("CHANNEL_CREATE", channel_view(world, made), channel=made)
    return {"chat": made.id}


def archive(world: World, body: Json) -> Json:
    """`{thread, archived?, locked?}`: a moderator archives or locks a thread."""
    wanted = chat_of(world, body, world.guild["owner_id"])
    wanted.info["thread_metadata"]["locked"] = bool(body.get("locked", False))
    set_archived(world, wanted, bool(body.get("archived", True)))
    return {}


def block(world: World, body: Json) -> Json:
    """`{person?, blocked?}`: takes no direct messages from the bot any more, or does again."""
    person = person_of(world, body)
    if body.get("blocked", True):
        world.refuses_dms.add(person)
    else:
        world.refuses_dms.discard(person)
    return {}


def permission(world: World, body: Json) -> Json:
    """`{chat, deny?: [names], allow?: [names]}`: what the bot may not and may do in a channel, besides its role."""
    changed = world.parent_of(chat_of(world, body, world.bot_id))
    bits = {side: sum(int(Permission[name]) for name in body.get(side) or ()) for side in ("allow", "deny")}
    others = [one for one in changed.info["permission_overwrites"] if one["id"] != world.bot_id]
    own = {"id": world.bot_id, "type": 1, "allow": str(bits["allow"]), "deny": str(bits["deny"])}
    changed.info["permission_overwrites"] = [*others, own]
    world.publish("CHANNEL_UPDATE", channel_view(world, changed), channel=changed)
    return {}


def slow(world: World, body: Json) -> Json:
    """`{chat, seconds}`: slow mode."""
    changed = chat_of(world, body, world.bot_id)
    changed.info["rate_limit_per_user"] = int(body["seconds"])
    world.publish("CHANNEL_UPDATE", channel_view(world, changed), channel=changed)
    return {}


def intents(world: World, body: Json) -> Json:
    """`{on: [names]}`: the privileged intents that the portal has switched on; the others are off."""
    world.privileged_intents = sum(int(Intent[name]) for name in body["on"]) & PRIVILEGED
    return {"privileged_intents": world.privileged_intents}


def typing(world: World, body: Json) -> Json:
    """`{person?, chat?}`: somebody is typing."""
    person = person_of(world, body)
    start_typing(world, chat_of(world, body, person), person)
    return {}
