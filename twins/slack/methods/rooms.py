"""Making, opening, joining, leaving and naming conversations."""

from __future__ import annotations

import re

from twins.slack.membership import join, leave
from twins.slack.methods.conversations import as_seen
from twins.slack.methods.method import Call, Json, Method
from twins.slack.posting import tell_members
from twins.slack.refusal import Refusal
from twins.slack.seed import channel_info
from twins.slack.world import Conversation

MANAGES = ("channels:manage", "channels:write", "groups:write", "im:write", "mpim:write")
JOINS = ("channels:join", "channels:write")
_NAME = re.compile(r"[a-z0-9_\-]{1,80}")


def create(call: Call) -> Json:
    name = call.arguments.needed("name", "invalid_name_required")
    _check_name(call, name)
    is_private = call.arguments.truth("is_private")
    info = channel_info(call.world, call.world.new_id("C"), name, call.user_id, is_private=is_private)
    made = call.world.add(Conversation(info=info, members=[call.user_id]))
    about = {key: info[key] for key in ("id", "name", "created", "creator", "is_channel", "context_team_id")}
    if not is_private:
        call.world.publish({"type": "channel_created", "channel": about, "event_ts": call.world.new_ts()})
    return {"channel": as_seen(call, made)}


def open_direct(call: Call) -> Json:
    """Open, or find, the direct conversation with one person or several."""
    if name := call.arguments.text("channel"):
        return _opened(call, call.world.conversation(name), is_new=False)
    users = [user_id for user_id in call.arguments.names("users") if user_id != call.user_id]
    if not users:
        raise Refusal("users_list_not_supplied")
    for user_id in users:
        call.world.person(user_id)
    if len(users) == 1:
        known = set(call.world.conversations)
        found = call.world.direct_with(users[0])
        return _opened(call, found, is_new=found.id not in known)
    members = {*users, call.user_id}
    for conversation in call.world.conversations.values():
        if conversation.kind == "mpim" and set(conversation.members) == members:
            return _opened(call, conversation, is_new=False)
    names = "--".join(sorted(call.world.people[user_id]["name"] for user_id in members))
    info = channel_info(call.world, call.world.new_id("G"), f"mpdm-{names}-1", call.user_id, is_private=True)
    info |= {"is_mpim": True, "is_group": True, "is_channel": False}
    return _opened(call, call.world.add(Conversation(info=info, members=sorted(members))), is_new=True)


def join_channel(call: Call) -> Json:
    conversation = call.conversation()
    if conversation.kind != "channel":
        raise Refusal("method_not_supported_for_channel_type")
    if conversation.info["is_archived"]:
        raise Refusal("is_archived")
    if call.user_id in conversation.members:
        return {"channel": as_seen(call, conversation), "warning": "already_in_channel"}
    join(call.world, conversation, call.user_id)
    return {"channel": as_seen(call, conversation)}


def leave_channel(call: Call) -> Json:
    conversation = call.conversation()
    if conversation.kind == "im":
        raise Refusal("method_not_supported_for_channel_type")
    if conversation.info.get("is_general"):
        raise Refusal("cant_leave_general")
    if call.user_id not in conversation.members:
        return {"not_in_channel": True}
    leave(call.world, conversation, call.user_id)
    return {}


def invite(call: Call) -> Json:
    conversation = call.joined()
    users = call.arguments.names("users")
    if not users:
        raise Refusal("no_user")
    if call.user_id in users:
        raise Refusal("cant_invite_self")
    for user_id in users:
        call.world.person(user_id)
    if all(user_id in conversation.members for user_id in users):
        raise Refusal("already_in_channel")
    for user_id in users:
        if user_id not in conversation.members:
            join(call.world, conversation, user_id, inviter=call.user_id)
    return {"channel": as_seen(call, conversation)}


def kick(call: Call) -> Json:
    conversation = call.joined()
    user_id = call.arguments.needed("user", "user_not_found")
    if user_id == call.user_id:
        raise Refusal("cant_kick_self")
    if user_id not in conversation.members:
        raise Refusal("not_in_channel")
    leave(call.world, conversation, user_id)
    return {"errors": {}}


def close(call: Call) -> Json:
    if call.conversation().kind not in ("im", "mpim"):
        raise Refusal("method_not_supported_for_channel_type")
    return {}


def archive(call: Call) -> Json:
    conversation = _room(call)
    if conversation.info["is_archived"]:
        raise Refusal("already_archived")
    if conversation.info["is_general"]:
        raise Refusal("cant_archive_general")
    tell_members(call.world, conversation, _event(call, conversation, "channel_archive"))
    conversation.info["is_archived"] = True
    return {}


def unarchive(call: Call) -> Json:
    conversation = _room(call)
    if not conversation.info["is_archived"]:
        raise Refusal("not_archived")
    conversation.info["is_archived"] = False
    tell_members(call.world, conversation, _event(call, conversation, "channel_unarchive"))
    return {}


def rename(call: Call) -> Json:
    conversation = _room(call)
    name = call.arguments.needed("name", "invalid_name_required")
    _check_name(call, name)
    conversation.info["previous_names"] = [conversation.info["name"], *conversation.info["previous_names"]]
    conversation.info |= {"name": name, "name_normalized": name}
    about = {"id": conversation.id, "name": name, "created": conversation.info["created"]}
    tell_members(
        call.world, conversation, {"type": "channel_rename", "channel": about, "event_ts": call.world.new_ts()}
    )
    return {"channel": as_seen(call, conversation)}


def set_topic(call: Call) -> Json:
    return _describe(call, "topic")


def set_purpose(call: Call) -> Json:
    return _describe(call, "purpose")


def mark(call: Call) -> Json:
    """Say how far the caller has read."""
    conversation = call.joined()
    if call.arguments.text("ts") not in conversation.messages:
        raise Refusal("invalid_timestamp")
    return {}


def _describe(call: Call, what: str) -> Json:
    conversation = _room(call)
    text = call.arguments.text(what)
    if len(text) > 250:
        raise Refusal("too_long")
    conversation.info[what] = {"value": text, "creator": call.user_id, "last_set": int(call.world.clock.now())}
    return {"channel": as_seen(call, conversation)}


def _room(call: Call) -> Conversation:
    conversation = call.joined()
    if conversation.kind == "im":
        raise Refusal("method_not_supported_for_channel_type")
    return conversation


def _opened(call: Call, conversation: Conversation, *, is_new: bool) -> Json:
    told: Json = {"id": conversation.id}
    if call.arguments.truth("return_im"):
        told = {key: value for key, value in as_seen(call, conversation).items() if key != "is_user_deleted"}
    return {"channel": told} if is_new else {"channel": told, "no_op": True, "already_open": True}


def _event(call: Call, conversation: Conversation, kind: str) -> Json:
    return {"type": kind, "channel": conversation.id, "user": call.user_id, "event_ts": call.world.new_ts()}


def _check_name(call: Call, name: str) -> None:
    if len(name) > 80:
        raise Refusal("invalid_name_maxlength")
    if _NAME.fullmatch(name) is None:
        raise Refusal("invalid_name_specials")
    if any(conversation.info.get("name") == name for conversation in call.world.conversations.values()):
        raise Refusal("name_taken")


METHODS = {
    "conversations.create": Method(function=create, tier=2, scopes=MANAGES),
    "conversations.open": Method(function=open_direct, scopes=MANAGES),
    "conversations.join": Method(function=join_channel, scopes=JOINS),
    "conversations.leave": Method(function=leave_channel, scopes=MANAGES),
    "conversations.invite": Method(function=invite, scopes=MANAGES),
    "conversations.kick": Method(function=kick, scopes=("channels:manage", "channels:write", "groups:write")),
    "conversations.close": Method(function=close, tier=2, scopes=MANAGES),
    "conversations.archive": Method(function=archive, tier=2, scopes=MANAGES),
    "conversations.unarchive": Method(function=unarchive, tier=2, scopes=MANAGES),
    "conversations.rename": Method(function=rename, tier=2, scopes=MANAGES),
    "conversations.setTopic": Method(function=set_topic, tier=2, scopes=MANAGES),
    "conversations.setPurpose": Method(function=set_purpose, tier=2, scopes=MANAGES),
    "conversations.mark": Method(function=mark, scopes=MANAGES),
}
