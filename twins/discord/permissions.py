"""Discord's permission bits, and what a member may do in a channel. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntFlag
from typing import Any

Json = dict[str, Any]


class Permission(IntFlag):
    CREATE_INVITE = 1 << 0
    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38
    PIN_MESSAGES = 1 << 51
    BYPASS_SLOWMODE = 1 << 52


EVERYTHING = (1 << 53) - 1

EVERYONE = (
    Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.ADD_REACTIONS
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.CREATE_PRIVATE_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)
BOT_ROLE = EVERYONE | Permission.MANAGE_MESSAGES | Permission.PIN_MESSAGES
IN_A_DM = EVERYONE & ~Permission.CREATE_PUBLIC_THREADS & ~Permission.CREATE_PRIVATE_THREADS


def permissions_in(
    *, owner: bool, roles: Iterable[Json], own_id: str, overwrites: Iterable[Json], guild_id: str
) -> int:
    """Return what a member with these roles may do where these overwrites stand, the way Discord adds them up:
    everyone's, then those of the roles together, then the member's own."""
    roles = list(roles)
    granted = 0
    for role in roles:
        granted |= int(role["permissions"])
    if owner or granted & Permission.ADMINISTRATOR:
        return EVERYTHING
    by_id = {overwrite["id"]: overwrite for overwrite in overwrites}
    stages = [[guild_id], [role["id"] for role in roles if role["id"] != guild_id], [own_id]]
    for stage in stages:
        matching = [by_id[one] for one in stage if one in by_id]
        for overwrite in matching:
            granted &= ~int(overwrite["deny"])
        for overwrite in matching:
            granted |= int(overwrite["allow"])
    if not granted & Permission.VIEW_CHANNEL:
        return 0
    return granted
