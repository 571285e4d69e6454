"""The world that the twin begins with: three people, their direct chats, a channel with a thread, two more."""

from __future__ import annotations

from twins.clock import Clock
from twins.event_log import EventLog
from twins.slack.world import BOT_ID, BOT_NAME, BOT_USER_ID, TEAM_ID, Conversation, Json, World

ANNA = "U0ANNA001"
BEN = "U0BEN0001"
MALLORY = "U0MALLO01"
GENERAL = "C0GENERAL"
RANDOM = "C0RANDOM1"
PRIVATE = "C0PRIVAT1"
DIRECT = {ANNA: "D0ANNA001", BEN: "D0BEN0001", MALLORY: "D0MALLO01"}


def seeded_world(clock: Clock, log: EventLog) -> World:
    people = [
        person_info(ANNA, "Anna", is_owner=True),
        person_info(BEN, "Ben"),
        person_info(MALLORY, "Mallory"),
        _bot(),
    ]
    world = World(clock, log, people)
    everybody = [ANNA, BEN, MALLORY, BOT_USER_ID]
    world.add(
        Conversation(info=channel_info(world, GENERAL, "general", ANNA, is_general=True), members=list(everybody))
    )
    world.add(Conversation(info=channel_info(world, RANDOM, "random", ANNA), members=everybody[:3]))
    private = channel_info(world, PRIVATE, "private", ANNA, is_private=True)
    world.add(Conversation(info=private, members=[ANNA, BOT_USER_ID]))
    for user_id, channel_id in DIRECT.items():
        world.add(Conversation(info=direct_info(world, channel_id, user_id), members=[user_id, BOT_USER_ID]))
    _seed_thread(world)
    return world


def channel_info(
    world: World, channel_id: str, name: str, creator: str, *, is_private: bool = False, is_general: bool = False
) -> Json:
    created = int(world.clock.now())
    blank = {"value": "", "creator": "", "last_set": 0}
    return {
        "id": channel_id,
        "name": name,
        "name_normalized": name,
        "is_channel": not is_private,
        "is_group": is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": is_private,
        "is_archived": False,
        "is_general": is_general,
        "is_shared": False,
        "is_ext_shared": False,
        "is_org_shared": False,
        "is_pending_ext_shared": False,
        "created": created,
        "updated": created * 1000,
        "creator": creator,
        "unlinked": 0,
        "context_team_id": TEAM_ID,
        "shared_team_ids": [TEAM_ID],
        "pending_shared": [],
        "previous_names": [],
        "topic": dict(blank),
        "purpose": dict(blank),
    }


def direct_info(world: World, channel_id: str, user_id: str) -> Json:
    return {
        "id": channel_id,
        "created": int(world.clock.now()),
        "is_archived": False,
        "is_im": True,
        "is_org_shared": False,
        "context_team_id": TEAM_ID,
        "user": user_id,
        "is_user_deleted": False,
        "priority": 0,
    }


def person_info(user_id: str, name: str, *, is_owner: bool = False) -> Json:
    return {
        "id": user_id,
        "team_id": TEAM_ID,
        "name": name.lower(),
        "deleted": False,
        "color": "9f69e7",
        "real_name": name,
        "tz": "Europe/Amsterdam",
        "tz_label": "Central European Time",
        "tz_offset": 3600,
        "profile": {
            "real_name": name,
            "real_name_normalized": name,
            "display_name": name,
            "display_name_normalized": name,
            "email": f"{name.lower()}@twin.example",
            "status_text": "",
            "status_emoji": "",
            "status_expiration": 0,
            "team": TEAM_ID,
        },
        "is_admin": is_owner,
        "is_owner": is_owner,
        "is_primary_owner": is_owner,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_bot": False,
        "is_app_user": False,
        "updated": 1_700_000_000,
        "is_email_confirmed": True,
        "who_can_share_contact_card": "EVERYONE",
    }


def _bot() -> Json:
    bot = {**person_info(BOT_USER_ID, BOT_NAME), "is_bot": True, "is_email_confirmed": False}
    bot["profile"] = {**bot["profile"], "api_app_id": "A0NIGHT01", "bot_id": BOT_ID, "always_active": True}
    del bot["profile"]["email"]
    return bot


def _seed_thread(world: World) -> None:
    general = world.conversations[GENERAL]
    root, reply = world.new_ts(), world.new_ts()
    told = {"type": "message", "team": TEAM_ID}
    general.messages[root] = {**told, "user": ANNA, "text": "Planning goes in this thread", "ts": root}
    general.messages[reply] = {**told, "user": BEN, "text": "Good", "ts": reply, "thread_ts": root}
    reply_of = {"thread_ts": root, "parent_user_id": ANNA}
    general.messages[root]["thread_ts"] = root
    general.messages[reply] |= reply_of
