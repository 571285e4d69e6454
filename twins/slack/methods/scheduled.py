"""Messages for later: chat.scheduleMessage, its list, its withdrawal."""

from __future__ import annotations

from twins.slack.methods.chat import WRITES, content, writable
from twins.slack.methods.method import Call, Json, Method
from twins.slack.posting import author, post
from twins.slack.refusal import Refusal

FARTHEST_S = 120 * 86_400


def schedule(call: Call) -> Json:
    """Keep a message for its time: ahead, and within 120 days."""
    conversation = writable(call)
    at = call.arguments.number("post_at", 0, "invalid_time")
    now = call.world.clock.now()
    if at <= now:
        raise Refusal("time_in_past")
    if at > now + FARTHEST_S:
        raise Refusal("time_too_far")
    message = {"type": "delayed_message", **author(call.world, call.user_id, is_app=call.is_app), **content(call)}
    kept = {"id": call.world.new_id("Q"), "channel_id": conversation.id, "post_at": at, "date_created": int(now)}
    kept |= {"text": message["text"], "message": message, "thread_ts": call.arguments.text("thread_ts")}
    call.world.scheduled.append(kept)

    def send() -> None:
        if kept in call.world.scheduled:
            call.world.scheduled.remove(kept)
            post(call.world, conversation, {**message, "type": "message"}, str(kept["thread_ts"]))

    call.world.later(at - now, send)
    return {"channel": conversation.id, "scheduled_message_id": kept["id"], "post_at": at, "message": message}


def list_scheduled(call: Call) -> Json:
    channel = call.arguments.text("channel")
    shown = ("id", "channel_id", "post_at", "date_created", "text")
    found = [kept for kept in call.world.scheduled if channel in ("", kept["channel_id"])]
    return call.page("scheduled_messages", [{name: kept[name] for name in shown} for kept in found])


def delete_scheduled(call: Call) -> Json:
    wanted = call.arguments.needed("scheduled_message_id", "invalid_scheduled_message_id")
    for kept in call.world.scheduled:
        if kept["id"] == wanted:
            call.world.scheduled.remove(kept)
            return {}
    raise Refusal("invalid_scheduled_message_id")


METHODS = {
    "chat.scheduleMessage": Method(function=schedule, scopes=WRITES),
    "chat.scheduledMessages.list": Method(function=list_scheduled),
    "chat.deleteScheduledMessage": Method(function=delete_scheduled, scopes=WRITES),
}
