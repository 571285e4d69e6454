"""What a session is told first: READY and the servers the bot is in. Pure."""

from __future__ import annotations

from twins.discord.gateway.intents import Intent, application_flags
from twins.discord.gateway.protocol import LARGE_GUILD
from twins.discord.saying import channel_view
from twins.discord.world import Json, World


def ready(world: World, session_id: str, resume_url: str, shard: list[int]) -> Json:
    return {
        "v": 10,
        "user": me(world),
        "guilds": [{"id": world.guild_id, "unavailable": True}] if world.bot_id in world.members else [],
        "session_id": session_id,
        "session_type": "normal",
        "resume_gateway_url": resume_url,
        "shard": shard,
        "application": {"id": world.application_id, "flags": application_flags(world.privileged_intents)},
        "private_channels": [],
        "relationships": [],
        "presences": [],
        "user_settings": {},
        "guild_join_requests": [],
        "geo_ordered_rtc_regions": [],
        "auth": {},
        "_trace": ["twin"],
    }


def me(world: World) -> Json:
    """Return the bot as it sees itself."""
    mine: Json = {"mfa_enabled": True, "locale": "en-US", "verified": True, "email": None, "premium_type": 0}
    return {**world.users[world.bot_id], **mine}


def guild_create(world: World, intents: int) -> Json:
    """Return the whole server, as far as the bot sees it."""
    visible = [channel for channel in world.channels.values() if channel.guild_id and world.sees(world.bot_id, channel)]
    people = list(world.members) if intents & Intent.GUILD_PRESENCES else [world.bot_id]
    return {
        **world.guild,
        "roles": list(world.roles.values()),
        "joined_at": world.members[world.bot_id]["joined_at"],
        "large": len(world.members) > LARGE_GUILD,
        "unavailable": False,
        "member_count": len(world.members),
        "members": [member_view(world, one) for one in people],
        "channels": [channel_view(world, one) for one in visible if not one.is_thread],
        "threads": [
            channel_view(world, one) for one in visible if one.is_thread and not one.info["thread_metadata"]["archived"]
        ],
        "voice_states": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
        "embedded_activities": [],
        "guild_hashes": {},
        "lazy": True,
    }


def member_view(world: World, user_id: str) -> Json:
    return {**world.members[user_id], "user": world.users[user_id]}
