"""People come into conversations and leave them, and the app hears of it."""

from __future__ import annotations

from twins.slack.posting import post, tell_members
from twins.slack.world import BOT_USER_ID, TEAM_ID, Conversation, Json, World

_LETTER = {"channel": "C", "group": "G", "mpim": "G", "im": "D"}


def join(world: World, conversation: Conversation, user_id: str, inviter: str = "") -> None:
    """Let somebody in: an event and a line in the channel."""
    conversation.members.append(user_id)
    event = _event(world, conversation, "member_joined_channel", user_id)
    if inviter:
        event["inviter"] = inviter
    tell_members(world, conversation, event)
    _line(world, conversation, user_id, "join", {"inviter": inviter} if inviter else {})


def leave(world: World, conversation: Conversation, user_id: str) -> None:
    """Let somebody out; a bot that is out hears only that."""
    _line(world, conversation, user_id, "leave", {})
    tell_members(world, conversation, _event(world, conversation, "member_left_channel", user_id))
    if user_id == BOT_USER_ID:
        kind = "channel_left" if conversation.kind == "channel" else "group_left"
        world.publish({"type": kind, "channel": conversation.id, "event_ts": world.new_ts()})
    conversation.members.remove(user_id)


def _line(world: World, conversation: Conversation, user_id: str, what: str, more: Json) -> None:
    place = "group" if conversation.kind == "group" else "channel"
    words = {"join": "has joined", "leave": "has left"}[what]
    fields = {"subtype": f"{place}_{what}", "user": user_id, "text": f"<@{user_id}> {words} the {place}", **more}
    post(world, conversation, fields)


def _event(world: World, conversation: Conversation, kind: str, user_id: str) -> Json:
    event: Json = {"type": kind, "user": user_id, "channel": conversation.id, "team": TEAM_ID}
    return {**event, "channel_type": _LETTER[conversation.kind], "event_ts": world.new_ts()}
