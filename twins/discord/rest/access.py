"""What the bot may do where: the checks that several routes share."""

from __future__ import annotations

from twins.discord.permissions import Permission
from twins.discord.refusal import Refusal
from twins.discord.rest.call import Call
from twins.discord.threads import set_archived
from twins.discord.world import CATEGORY, Channel, World


def visible(call: Call) -> Channel:
    """Return the channel of the path; raise Refusal where the bot has no access."""
    channel = call.channel()
    if not call.world.sees(call.world.bot_id, channel):
        raise Refusal(50001)
    return channel


def need(world: World, channel: Channel, permission: Permission, *, silent: bool = False) -> None:
    """Raise Refusal where the bot lacks a permission; `silent`: as missing access."""
    if not world.permissions(world.bot_id, channel) & permission:
        raise Refusal(50001 if silent else 50013)


def need_speech(world: World, channel: Channel) -> None:
    """Raise Refusal where the bot may not say anything."""
    if channel.info["type"] == CATEGORY:
        raise Refusal(50008)
    if not world.sees(world.bot_id, channel):
        raise Refusal(50001)
    if channel.is_direct and any(one in world.refuses_dms for one in channel.people):
        raise Refusal(50007)
    need(world, channel, Permission.SEND_MESSAGES_IN_THREADS if channel.is_thread else Permission.SEND_MESSAGES)
    slow_s = channel.info.get("rate_limit_per_user") or 0
    allowed = world.permissions(world.bot_id, channel)
    if slow_s and not allowed & (Permission.BYPASS_SLOWMODE | Permission.MANAGE_MESSAGES | Permission.MANAGE_CHANNELS):
        left_s = channel.said_at.get(world.bot_id, 0.0) + slow_s - world.now
        if left_s > 0:
            raise Refusal(20016, wait_s=left_s / world.clock.scale)


def open_thread(world: World, channel: Channel, *, opens: bool = False) -> None:
    """Raise Refusal for a thread that is locked or archived. `opens`: what is done opens an archived one again, as
    saying something does."""
    if not channel.is_thread:
        return
    state = channel.info["thread_metadata"]
    if state["locked"] and not world.permissions(world.bot_id, channel) & Permission.MANAGE_THREADS:
        raise Refusal(160005)
    if state["archived"] and not opens:
        raise Refusal(50083)
    if state["archived"]:
        set_archived(world, channel, False)
