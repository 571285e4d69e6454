"""The world a twin begins with: Anna, Ben and Mallory, a server of theirs with a channel and a thread, and the bot."""

from __future__ import annotations

from twins.clock import Clock
from twins.discord.gateway.intents import PRIVILEGED
from twins.discord.permissions import BOT_ROLE, EVERYONE
from twins.discord.snowflake import as_timestamp, made_at
from twins.discord.world import CATEGORY, DEFAULT_TOKEN, DM, PUBLIC_THREAD, TEXT, Channel, Json, World
from twins.event_log import EventLog

ANNA, BEN, MALLORY = "200000000000000001", "200000000000000002", "200000000000000003"
BOT = "200000000000000009"
GUILD = "300000000000000001"
BOT_ROLE_ID = "300000000000000009"
ROOMS, GENERAL, BACKSTAGE = "400000000000000000", "400000000000000001", "400000000000000002"
THREAD = "400000000000000011"
DIRECT = {ANNA: "500000000000000001", BEN: "500000000000000002", MALLORY: "500000000000000003"}


def seeded_world(clock: Clock, log: EventLog, token: str = DEFAULT_TOKEN) -> World:
    """Return a new world; its ids are always the same."""
    world = World(clock=clock, log=log, token=token, bot_id=BOT, application_id=BOT, privileged_intents=PRIVILEGED)
    for user_id, name in ((ANNA, "Anna"), (BEN, "Ben"), (MALLORY, "Mallory")):
        world.users[user_id] = user(user_id, name.lower(), name)
    world.users[BOT] = {**user(BOT, "nightyard_bot", None), "bot": True, "discriminator": "1234"}
    world.guild = _guild()
    world.roles = {
        GUILD: role(GUILD, "@everyone", int(EVERYONE), 0),
        BOT_ROLE_ID: {
            **role(BOT_ROLE_ID, "nightyard_bot", int(BOT_ROLE), 1),
            "managed": True,
            "tags": {"bot_id": BOT},
        },
    }
    for user_id in world.users:
        world.members[user_id] = member([BOT_ROLE_ID] if user_id == BOT else [])
    world.add_channel(guild_channel(ROOMS, CATEGORY, "rooms", 0))
    world.add_channel(guild_channel(GENERAL, TEXT, "general", 0, parent_id=ROOMS))
    hidden = {"id": GUILD, "type": 0, "allow": "0", "deny": str(1 << 10)}
    world.add_channel(guild_channel(BACKSTAGE, TEXT, "backstage", 1, parent_id=ROOMS, permission_overwrites=[hidden]))
    world.add_channel(
        thread(THREAD, GENERAL, "planning", ANNA, clock.now()), people=[ANNA, BEN, MALLORY, BOT], opened_at=clock.now()
    )
    for user_id, channel_id in DIRECT.items():
        info: Json = {"id": channel_id, "type": DM, "flags": 0}
        world.channels[channel_id] = Channel(info=info, people=[BOT, user_id])
    return world


def user(user_id: str, username: str, shown_name: str | None) -> Json:
    return {
        "id": user_id,
        "username": username,
        "global_name": shown_name,
        "discriminator": "0",
        "avatar": None,
        "avatar_decoration_data": None,
        "collectibles": None,
        "primary_guild": None,
        "public_flags": 0,
        "flags": 0,
    }


def member(roles: list[str]) -> Json:
    return {
        "roles": roles,
        "nick": None,
        "avatar": None,
        "banner": None,
        "joined_at": as_timestamp(made_at(GUILD)),
        "premium_since": None,
        "communication_disabled_until": None,
        "deaf": False,
        "mute": False,
        "pending": False,
        "flags": 0,
    }


def role(role_id: str, name: str, permissions: int, position: int) -> Json:
    return {
        "id": role_id,
        "name": name,
        "permissions": str(permissions),
        "position": position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": False,
        "mentionable": False,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }


def guild_channel(channel_id: str, kind: int, name: str, position: int, **more: object) -> Json:
    info: Json = {
        "id": channel_id,
        "type": kind,
        "guild_id": GUILD,
        "name": name,
        "position": position,
        "parent_id": None,
        "permission_overwrites": [],
        "flags": 0,
        "nsfw": False,
    }
    if kind == TEXT:
        info |= {"topic": None, "rate_limit_per_user": 0, "last_pin_timestamp": None}
    return {**info, **more}


def thread(thread_id: str, parent_id: str, name: str, owner_id: str, now_s: float, kind: int = PUBLIC_THREAD) -> Json:
    return {
        "id": thread_id,
        "type": kind,
        "guild_id": GUILD,
        "parent_id": parent_id,
        "owner_id": owner_id,
        "name": name,
        "rate_limit_per_user": 0,
        "flags": 0,
        "bitrate": 64000,
        "user_limit": 0,
        "rtc_region": None,
        "thread_metadata": {
            "archived": False,
            "archive_timestamp": as_timestamp(now_s),
            "auto_archive_duration": 4320,
            "locked": False,
            "create_timestamp": as_timestamp(now_s),
        },
    }


def _guild() -> Json:
    return {
        "id": GUILD,
        "name": "The Yard",
        "icon": None,
        "description": None,
        "home_header": None,
        "splash": None,
        "discovery_splash": None,
        "features": [],
        "banner": None,
        "owner_id": ANNA,
        "application_id": None,
        "region": "deprecated",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "system_channel_id": GENERAL,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "widget_channel_id": None,
        "verification_level": 0,
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_presences": None,
        "max_members": 500000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "vanity_url_code": None,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": "en-US",
        "rules_channel_id": None,
        "safety_alerts_channel_id": None,
        "public_updates_channel_id": None,
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": [],
        "stickers": [],
        "incidents_data": None,
    }
