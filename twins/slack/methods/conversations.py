"""Reading conversations: list, info, history, replies, members. Changing them is `rooms.py`'s."""

from __future__ import annotations

from twins.slack.methods.method import Call, Json, Method
from twins.slack.posting import threaded_view
from twins.slack.refusal import Refusal
from twins.slack.world import Conversation

READS = ("channels:read", "groups:read", "im:read", "mpim:read")
HISTORIES = ("channels:history", "groups:history", "im:history", "mpim:history")
TYPES = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}
MAX_HISTORY = 999


def list_conversations(call: Call) -> Json:
    """List what the caller may know of, of the asked types."""
    wanted = _types(call)
    no_archived = call.arguments.truth("exclude_archived")
    found = [
        as_seen(call, conversation)
        for conversation in call.world.conversations.values()
        if conversation.kind in wanted
        and call.world.sees(call.user_id, conversation)
        and not (no_archived and conversation.info.get("is_archived"))
    ]
    return call.page("channels", found)


def users_conversations(call: Call) -> Json:
    """List what a person is in, as far as the caller may know of it."""
    wanted = _types(call)
    user_id = call.arguments.text("user", call.user_id)
    found = [
        dict(conversation.info)
        for conversation in call.world.conversations.values()
        if conversation.kind in wanted
        and user_id in conversation.members
        and call.world.sees(call.user_id, conversation)
    ]
    return call.page("channels", found)


def info(call: Call) -> Json:
    return {"channel": as_seen(call, call.conversation(), with_count=call.arguments.truth("include_num_members"))}


def members(call: Call) -> Json:
    return call.page("members", list(call.conversation().members))


def history(call: Call) -> Json:
    """Return what was said, newest first, without what stands only in threads."""
    conversation = call.readable()
    shown = [
        message
        for message in conversation.messages.values()
        if message.get("thread_ts", message["ts"]) == message["ts"] or message.get("subtype") == "thread_broadcast"
    ]
    shown = _within(call, shown)
    shown.reverse()
    return {**_page_of_messages(call, conversation, shown), "pin_count": len(conversation.pins)}


def replies(call: Call) -> Json:
    """Return one thread, oldest first, its first message always in front."""
    conversation = call.readable()
    root = conversation.message(call.arguments.needed("ts", "thread_not_found"), "thread_not_found")
    thread_ts = str(root.get("thread_ts", root["ts"]))
    root = conversation.message(thread_ts, "thread_not_found")
    return _page_of_messages(call, conversation, [root, *_within(call, conversation.replies(thread_ts))])


def as_seen(call: Call, conversation: Conversation, *, with_count: bool = False) -> Json:
    """Return a conversation's facts as this caller gets them."""
    seen = dict(conversation.info)
    if conversation.kind != "im":
        seen["is_member"] = call.user_id in conversation.members
    if with_count:
        seen["num_members"] = len(conversation.members)
    return seen


def _types(call: Call) -> set[str]:
    names = call.arguments.names("types") or ["public_channel"]
    if any(name not in TYPES for name in names):
        raise Refusal("invalid_types")
    return {TYPES[name] for name in names}


def _within(call: Call, messages: list[Json]) -> list[Json]:
    """Return the messages between oldest and latest; both are outside unless `inclusive`."""
    oldest, latest = _bound(call, "oldest"), _bound(call, "latest")
    inclusive = call.arguments.truth("inclusive")

    def is_within(ts: str) -> bool:
        if inclusive and ts in (oldest, latest):
            return True
        return (not oldest or _time(ts) > _time(oldest)) and (not latest or _time(ts) < _time(latest))

    return [message for message in messages if is_within(message["ts"])]


def _bound(call: Call, name: str) -> str:
    text = call.arguments.text(name)
    try:
        _time(text or "0")
    except ValueError:
        raise Refusal(f"invalid_ts_{name}") from None
    return "" if text in ("0", "now") else text


def _time(ts: str) -> tuple[int, int]:
    whole, _, part = ts.partition(".")
    return int(whole), int(part.ljust(6, "0")) if part else 0


def _page_of_messages(call: Call, conversation: Conversation, messages: list[Json]) -> Json:
    limit = call.arguments.number("limit", 100, "invalid_limit")
    most = call.world.history_page or MAX_HISTORY
    limit = min(limit or 100, most)
    start = int(call.arguments.text("cursor", "next:0").removeprefix("next:") or 0)
    with_metadata = call.arguments.truth("include_all_metadata")
    piece = messages[start : start + limit]
    has_more = start + limit < len(messages)
    seen = [threaded_view(conversation, message, with_metadata=with_metadata) for message in piece]
    answer: Json = {"messages": seen, "has_more": has_more}
    if has_more:
        answer["response_metadata"] = {"next_cursor": f"next:{start + limit}"}
    return answer


METHODS = {
    "conversations.list": Method(function=list_conversations, tier=2, scopes=READS),
    "users.conversations": Method(function=users_conversations, scopes=READS),
    "conversations.info": Method(function=info, scopes=READS),
    "conversations.members": Method(function=members, tier=4, scopes=READS),
    "conversations.history": Method(function=history, scopes=HISTORIES),
    "conversations.replies": Method(function=replies, scopes=HISTORIES),
}
