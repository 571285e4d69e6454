"""The server: itself, its channels, roles and members."""

from __future__ import annotations

from twins.discord.gateway.intents import Intent
from twins.discord.gateway.ready import member_view
from twins.discord.permissions import Permission
from twins.discord.refusal import FormErrors, Refusal
from twins.discord.rest.access import need, visible
from twins.discord.rest.call import Answer, Call, Route
from twins.discord.rest.threads import AUTO_ARCHIVE_MIN
from twins.discord.saying import channel_view
from twins.discord.shapes import CHANNEL, check_shape
from twins.discord.threads import set_archived
from twins.discord.world import Json, World


def get_guild(call: Call) -> Answer:
    world = _in_guild(call)
    shown: Json = {**world.guild, "roles": list(world.roles.values())}
    if call.query.get("with_counts") == "true":
        shown |= {"approximate_member_count": len(world.members), "approximate_presence_count": len(world.members)}
    return Answer(body=shown)


def list_guild_channels(call: Call) -> Answer:
    world = _in_guild(call)
    channels = [one for one in world.channels.values() if one.guild_id and not one.is_thread]
    return Answer(body=[channel_view(world, one) for one in channels])


def list_guild_roles(call: Call) -> Answer:
    return Answer(body=list(_in_guild(call).roles.values()))


def get_guild_member(call: Call) -> Answer:
    world = _in_guild(call)
    user_id = call.parameters["user_id"]
    if user_id not in world.members:
        raise Refusal(10007 if user_id in world.users else 10013)
    return Answer(body=member_view(world, user_id))


def list_guild_members(call: Call) -> Answer:
    world = _in_guild(call)
    if not world.privileged_intents & Intent.GUILD_MEMBERS:
        raise Refusal(50001)
    limit, after = call.number("limit", 1, 1, 1000), call.number("after", 0, 0, 1 << 63)
    found = sorted((one for one in world.members if int(one) > after), key=int)[:limit]
    return Answer(body=[member_view(world, one) for one in found])


def get_channel(call: Call) -> Answer:
    return Answer(body=channel_view(call.world, visible(call)))


def update_channel(call: Call) -> Answer:
    """Change a channel's name, topic or slow mode; a thread's state too."""
    world, channel, body = call.world, visible(call), call.fields
    if channel.is_direct:
        raise Refusal(50003)
    check_shape(body, CHANNEL)
    errors = FormErrors()
    if "name" in body:
        errors.missing("name", body["name"])
        errors.too_long("name", body["name"], 100)
    errors.too_long("topic", body.get("topic"), 1024)
    if body.get("auto_archive_duration") not in (None, *AUTO_ARCHIVE_MIN):
        words = "Value must be one of (60, 1440, 4320, 10080)."
        errors.add("auto_archive_duration", "BASE_TYPE_CHOICES", words)
    errors.settle()
    if channel.is_thread:
        return _update_thread(call)
    need(world, channel, Permission.MANAGE_CHANNELS)
    channel.info |= {key: body[key] for key in ("name", "topic", "rate_limit_per_user", "nsfw") if key in body}
    world.publish("CHANNEL_UPDATE", channel_view(world, channel), channel=channel)
    return Answer(body=channel_view(world, channel))


def delete_channel(call: Call) -> Answer:
    """Delete a channel or thread; of a direct chat, close it."""
    world, channel = call.world, visible(call)
    shown = channel_view(world, channel)
    if channel.is_direct:
        return Answer(body=shown)
    need(world, channel, Permission.MANAGE_THREADS if channel.is_thread else Permission.MANAGE_CHANNELS)
    del world.channels[channel.id]
    if channel.is_thread:
        gone = {key: shown[key] for key in ("id", "guild_id", "parent_id", "type")}
        world.publish("THREAD_DELETE", gone)
    else:
        world.publish("CHANNEL_DELETE", shown)
    return Answer(body=shown)


def _update_thread(call: Call) -> Answer:
    world, thread, body = call.world, call.channel(), call.fields
    state = thread.info["thread_metadata"]
    opens = body == {"archived": False} and not state["locked"]  # anybody who may speak there may do that
    manages = bool(world.permissions(world.bot_id, thread) & Permission.MANAGE_THREADS)
    if not opens and not manages and (thread.info["owner_id"] != world.bot_id or "locked" in body):
        raise Refusal(50013)
    if state["archived"] and body.get("archived") is not False:
        raise Refusal(50083)
    thread.info |= {key: body[key] for key in ("name", "rate_limit_per_user") if body.get(key) is not None}
    changed = {key: body[key] for key in ("locked", "auto_archive_duration") if body.get(key) is not None}
    state |= changed
    set_archived(world, thread, bool(body.get("archived", state["archived"])))
    return Answer(body=channel_view(world, thread))


def _in_guild(call: Call) -> World:
    world = call.world
    if call.parameters["guild_id"] != world.guild_id:
        raise Refusal(10004)
    if world.bot_id not in world.members:
        raise Refusal(50001)
    return world


ROUTES = (
    Route(operation="get_guild", method="GET", path="/guilds/{guild_id}", handle=get_guild),
    Route(
        operation="list_guild_channels", method="GET", path="/guilds/{guild_id}/channels", handle=list_guild_channels
    ),
    Route(operation="list_guild_roles", method="GET", path="/guilds/{guild_id}/roles", handle=list_guild_roles),
    Route(operation="list_guild_members", method="GET", path="/guilds/{guild_id}/members", handle=list_guild_members),
    Route(
        operation="get_guild_member",
        method="GET",
        path="/guilds/{guild_id}/members/{user_id}",
        handle=get_guild_member,
    ),
    Route(operation="get_channel", method="GET", path="/channels/{channel_id}", handle=get_channel),
    Route(operation="update_channel", method="PATCH", path="/channels/{channel_id}", handle=update_channel),
    Route(operation="delete_channel", method="DELETE", path="/channels/{channel_id}", handle=delete_channel),
)
