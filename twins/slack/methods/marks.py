"""What is put on messages and channels: `reactions.*`, `pins.*`, `bookmarks.*`, `emoji.list`."""

from __future__ import annotations

import re

from twins.slack.methods.method import Call, Json, Method
from twins.slack.posting import public_view, react, tell_members
from twins.slack.refusal import Refusal
from twins.slack.world import Conversation

_EMOJI = re.compile(r"[a-z0-9_+'\-]{1,100}(?:::skin-tone-[2-6])?")
MAX_PINS = 100


def reactions_add(call: Call) -> Json:
    return _react(call, take=False)


def reactions_remove(call: Call) -> Json:
    return _react(call, take=True)


def reactions_get(call: Call) -> Json:
    conversation, message = _message(call, "timestamp")
    return {"type": "message", "channel": conversation.id, "message": public_view(message)}


def reactions_list(call: Call) -> Json:
    user_id = call.arguments.text("user", call.user_id)
    found = [
        {"type": "message", "channel": conversation.id, "message": public_view(message)}
        for conversation in call.world.conversations.values()
        if call.world.sees(call.user_id, conversation)
        for message in conversation.messages.values()
        if any(user_id in reaction["users"] for reaction in message.get("reactions", []))
    ]
    return call.page("items", found)


def pins_add(call: Call) -> Json:
    conversation, message = _message(call, "timestamp")
    if any(pin["message"]["ts"] == message["ts"] for pin in conversation.pins):
        raise Refusal("already_pinned")
    if len(conversation.pins) >= MAX_PINS:
        raise Refusal("too_many_pins")
    made = {"created": int(call.world.clock.now()), "created_by": call.user_id}
    conversation.pins.append({"type": "message", "channel": conversation.id, "message": public_view(message), **made})
    _tell_pin(call, conversation, "pin_added", message)
    return {}


def pins_remove(call: Call) -> Json:
    conversation, message = _message(call, "timestamp")
    kept = [pin for pin in conversation.pins if pin["message"]["ts"] != message["ts"]]
    if len(kept) == len(conversation.pins):
        raise Refusal("no_pin")
    conversation.pins[:] = kept
    _tell_pin(call, conversation, "pin_removed", message)
    return {}


def pins_list(call: Call) -> Json:
    return {"items": call.joined().pins}


def bookmarks_add(call: Call) -> Json:
    conversation = call.joined("channel_id")
    kind = call.arguments.text("type")
    if kind != "link":
        raise Refusal("invalid_bookmark_type")
    link = call.arguments.needed("link", "invalid_link")
    now = int(call.world.clock.now())
    made: Json = {"id": call.world.new_id("Bk"), "channel_id": conversation.id, "type": kind, "link": link}
    made |= {"title": call.arguments.needed("title"), "emoji": call.arguments.text("emoji"), "entity_id": None}
    made |= {
        "icon_url": "",
        "date_created": now,
        "date_updated": 0,
        "rank": "c",
        "last_updated_by_user_id": call.user_id,
    }
    conversation.bookmarks.append(made)
    return {"bookmark": made}


def bookmarks_edit(call: Call) -> Json:
    bookmark = _bookmark(call, call.joined("channel_id"))
    given = {name: call.arguments.text(name) for name in ("title", "link", "emoji")}
    bookmark |= {name: value for name, value in given.items() if value}
    bookmark["date_updated"] = int(call.world.clock.now())
    return {"bookmark": bookmark}


def bookmarks_list(call: Call) -> Json:
    return {"bookmarks": call.joined("channel_id").bookmarks}


def bookmarks_remove(call: Call) -> Json:
    conversation = call.joined("channel_id")
    conversation.bookmarks.remove(_bookmark(call, conversation))
    return {}


def emoji_list(call: Call) -> Json:
    return {"emoji": call.world.emoji, "cache_ts": call.world.new_ts()}


def _react(call: Call, *, take: bool) -> Json:
    name = call.arguments.needed("name", "no_item_specified" if take else "invalid_name").strip(":")
    if _EMOJI.fullmatch(name) is None:
        raise Refusal("invalid_name")
    conversation, message = _message(call, "timestamp")
    if conversation.info.get("is_archived"):
        raise Refusal("is_archived")
    react(call.world, conversation, message, call.user_id, name, take=take)
    return {}


def _message(call: Call, argument: str) -> tuple[Conversation, Json]:
    if not call.arguments.text("channel") or not call.arguments.text(argument):
        raise Refusal("no_item_specified")
    conversation = call.joined()
    return conversation, conversation.message(call.arguments.text(argument))


def _bookmark(call: Call, conversation: Conversation) -> Json:
    for bookmark in conversation.bookmarks:
        if bookmark["id"] == call.arguments.text("bookmark_id"):
            return bookmark
    raise Refusal("not_found")


def _tell_pin(call: Call, conversation: Conversation, kind: str, message: Json) -> None:
    item = {"type": "message", "channel": conversation.id, "message": public_view(message)}
    event = {"type": kind, "user": call.user_id, "channel_id": conversation.id, "item": item}
    tell_members(call.world, conversation, {**event, "event_ts": call.world.new_ts()})


REACTS, PINS, BOOKMARKS = ("reactions:write",), ("pins:write",), ("bookmarks:write",)
METHODS = {
    "reactions.add": Method(function=reactions_add, scopes=REACTS),
    "reactions.remove": Method(function=reactions_remove, tier=2, scopes=REACTS),
    "reactions.get": Method(function=reactions_get, scopes=("reactions:read",)),
    "reactions.list": Method(function=reactions_list, tier=2, scopes=("reactions:read",)),
    "pins.add": Method(function=pins_add, tier=2, scopes=PINS),
    "pins.remove": Method(function=pins_remove, tier=2, scopes=PINS),
    "pins.list": Method(function=pins_list, tier=2, scopes=("pins:read",)),
    "bookmarks.add": Method(function=bookmarks_add, tier=2, scopes=BOOKMARKS),
    "bookmarks.edit": Method(function=bookmarks_edit, tier=2, scopes=BOOKMARKS),
    "bookmarks.list": Method(function=bookmarks_list, scopes=("bookmarks:read",)),
    "bookmarks.remove": Method(function=bookmarks_remove, tier=2, scopes=BOOKMARKS),
    "emoji.list": Method(function=emoji_list, tier=2, scopes=("emoji:read",)),
}
