"""Messages come, change and go, whoever makes them: the conversation is changed and the app hears of it."""

from __future__ import annotations

import uuid
from typing import Any

from twins.slack.refusal import Refusal
from twins.slack.texts import mentioned
from twins.slack.world import APP_ID, BOT_ID, BOT_USER_ID, TEAM_ID, Conversation, Json, World


def author(world: World, user_id: str, *, is_app: bool = False) -> Json:
    """Return the fields that say who speaks; an app's say so by bot_id."""
    if not is_app:
        return {"user": user_id, "team": TEAM_ID}
    profile = {"id": BOT_ID, "app_id": APP_ID, "name": world.people[BOT_USER_ID]["name"], "team_id": TEAM_ID}
    profile |= {"deleted": False, "updated": 1_700_000_000, "user_id": BOT_USER_ID, "icons": {}}
    return {"user": user_id, "bot_id": BOT_ID, "app_id": APP_ID, "team": TEAM_ID, "bot_profile": profile}


def post(
    world: World, conversation: Conversation, fields: Json, thread_ts: str = "", *, broadcast: bool = False
) -> Json:
    """Put a message into the conversation, or into a thread of it, and return it."""
    if conversation.info.get("is_archived"):
        raise Refusal("is_archived")
    message: Json = {"type": "message", **fields, "ts": world.new_ts()}
    if "bot_id" not in message and "subtype" not in message:
        message["client_msg_id"] = str(uuid.uuid4())
    if thread_ts:
        root = conversation.message(thread_ts, "cannot_reply_to_message")
        thread_ts = root.get("thread_ts", thread_ts)
        root = conversation.message(thread_ts, "cannot_reply_to_message")
        root["thread_ts"] = thread_ts
        message |= {"thread_ts": thread_ts, "parent_user_id": root.get("user", "")}
        if broadcast:
            message |= {"subtype": "thread_broadcast", "root": {**root}}
    conversation.messages[message["ts"]] = message
    if "bot_id" in message:
        conversation.statuses.pop(str(message.get("thread_ts", "")), None)
    world.log.note(
        "message", channel=conversation.id, ts=message["ts"], user=message.get("user"), bot="bot_id" in message
    )
    tell(world, conversation, message)
    return message


def tell(world: World, conversation: Conversation, message: Json) -> None:
    """Let the app hear of a message: as a mention, and as a message where it is a member; in that order or the other,
    the platform promises none."""
    place = {"channel": conversation.id, "event_ts": message["ts"]}
    seen = public_view(message)
    is_mention = BOT_USER_ID in mentioned(message.get("text", "")) and message.get("user") != BOT_USER_ID
    if is_mention and conversation.kind not in ("im", "mpim") and world.sees(BOT_USER_ID, conversation):
        world.publish(
            {**{key: value for key, value in seen.items() if key != "subtype"}, "type": "app_mention", **place}
        )
    tell_members(world, conversation, {**seen, **place, "channel_type": conversation.kind})


def tell_members(world: World, conversation: Conversation, event: Json) -> None:
    """Let the app hear of something in a conversation that its bot is in."""
    if BOT_USER_ID in conversation.members:
        world.publish(event)


def change(world: World, conversation: Conversation, message: Json, fields: Json, editor: str = "") -> None:
    """Give a message other fields; with an editor it counts as edited."""
    before = public_view(message)
    message |= fields
    if editor:
        message["edited"] = {"user": editor, "ts": world.new_ts()}
    world.log.note("message_changed", channel=conversation.id, ts=message["ts"])
    about = {"message": public_view(message), "previous_message": before}
    tell_members(world, conversation, {**_hidden(world, conversation, "message_changed"), **about})


def remove(world: World, conversation: Conversation, message: Json) -> None:
    """Take a message away; the first one of a thread that goes on leaves a tombstone."""
    ts = message["ts"]
    if message.get("thread_ts") == ts and conversation.replies(ts):
        tombstone = {"subtype": "tombstone", "text": "This message was deleted.", "user": "USLACKBOT", "hidden": True}
        kept = {"type": "message", "ts": ts, "thread_ts": ts, **tombstone}
        before = public_view(message)
        message.clear()
        message |= kept
        event = {**_hidden(world, conversation, "message_changed"), "message": kept, "previous_message": before}
    else:
        del conversation.messages[ts]
        event = _hidden(world, conversation, "message_deleted")
        event |= {"deleted_ts": ts, "previous_message": public_view(message)}
    world.log.note("message_deleted", channel=conversation.id, ts=ts)
    tell_members(world, conversation, event)


def react(world: World, conversation: Conversation, message: Json, user_id: str, name: str, *, take: bool) -> None:
    """Add or take away one person's reaction; refuse one that is there already, or is not."""
    given: list[Json] = message.setdefault("reactions", [])
    found = next((reaction for reaction in given if reaction["name"] == name), None)
    has = found is not None and user_id in found["users"]
    if has and not take:
        raise Refusal("already_reacted")
    if take and (found is None or not has):
        raise Refusal("no_reaction")
    if found is None:
        given.append({"name": name, "users": [user_id], "count": 1})
    else:
        found["users"] = (
            [*found["users"], user_id] if not take else [user for user in found["users"] if user != user_id]
        )
        found["count"] = len(found["users"])
    message["reactions"] = [reaction for reaction in given if reaction["users"]]
    if not message["reactions"]:
        del message["reactions"]
    world.log.note("reaction", channel=conversation.id, ts=message["ts"], user=user_id, name=name, taken=take)
    event: Json = {"type": "reaction_removed" if take else "reaction_added", "user": user_id, "reaction": name}
    event |= {"item": {"type": "message", "channel": conversation.id, "ts": message["ts"]}}
    event |= {"item_user": message.get("user", ""), "event_ts": world.new_ts()}
    tell_members(world, conversation, event)


def public_view(message: Json, *, with_metadata: bool = False) -> Json:
    """Return a message as events and plain history show it."""
    hidden = set() if with_metadata else {"metadata"}
    return {key: value for key, value in message.items() if key not in hidden}


def threaded_view(conversation: Conversation, message: Json, *, with_metadata: bool = False) -> Json:
    """Return a message as history shows it: with what is known of its thread."""
    seen = public_view(message, with_metadata=with_metadata)
    if message.get("thread_ts") != message["ts"]:
        return seen
    replies = conversation.replies(message["ts"])
    users = list(dict.fromkeys(str(reply.get("user")) for reply in replies))
    facts: dict[str, Any] = {"reply_count": len(replies), "reply_users_count": len(users), "reply_users": users[:5]}
    facts |= {"is_locked": False, "subscribed": False}
    return {**seen, **facts, "latest_reply": replies[-1]["ts"]} if replies else {**seen, **facts}


def _hidden(world: World, conversation: Conversation, subtype: str) -> Json:
    event: Json = {"type": "message", "subtype": subtype, "channel": conversation.id, "hidden": True}
    ts = world.new_ts()
    return {**event, "ts": ts, "event_ts": ts, "channel_type": conversation.kind}
