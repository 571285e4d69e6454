"""Messages: sending, reading, editing, deleting; pins; typing."""

from __future__ import annotations

from collections import deque
from itertools import islice

from twins.discord.gateway.intents import Intent
from twins.discord.permissions import Permission
from twins.discord.refusal import Refusal, form_error
from twins.discord.rest.access import need, need_speech, open_thread, visible
from twins.discord.rest.call import DONE, Answer, Call, Route
from twins.discord.rest.message_form import MessageForm, read_message, store_uploads
from twins.discord.saying import REPLY, change, in_guild, remove, say, view, without_content
from twins.discord.shapes import Kind, check_shape
from twins.discord.snowflake import is_snowflake, made_at
from twins.discord.world import TYPING_S, Channel, Json, Message, World

NONCE_LIFE_S = 300.0
"""Discord says "in the past few minutes"."""
OLD_S = 3600.0
OLD_EDITS = 5
"""How many edits of messages older than an hour a channel takes in an hour; Discord does not publish the number."""
BULK_AGE_S = 14 * 86_400.0
_HISTORY = ("before", "after", "around")


def create_message(call: Call) -> Answer:
    world, channel = call.world, call.channel()
    need_speech(world, channel)
    body = call.fields
    form = read_message(call, body)
    reference = _reference(call, channel, body)
    if form.is_empty() and (reference is None or reference.get("type") != 1):
        raise Refusal(50006)
    if form.uploads:
        need(world, channel, Permission.ATTACH_FILES)
    nonce = body.get("nonce")
    if nonce is not None and body.get("enforce_nonce") and (earlier := _said_with(world, channel, str(nonce))):
        return Answer(body=shown(world, earlier))
    open_thread(world, channel, opens=True)
    more: Json = {key: value for key, value in form.given.items() if key != "content"}
    more["attachments"] = store_uploads(call, channel, form)
    if nonce is not None:
        more["nonce"] = nonce
    if reference is not None:
        more["message_reference"] = reference
    message = say(
        world,
        channel,
        world.bot_id,
        content=form.given.get("content", ""),
        kind=REPLY if reference is not None else 0,
        allowed_mentions=form.allowed_mentions,
        **more,
    )
    if nonce is not None:
        channel.nonces[str(nonce)] = (world.now, message.id)
    return Answer(body=shown(world, message))


def shown(world: World, message: Message) -> Json:
    """Return a message as the bot's application may read it."""
    body = view(world, message, world.bot_id)
    return body if world.privileged_intents & Intent.MESSAGE_CONTENT else without_content(world, body)


def list_messages(call: Call) -> Answer:
    channel = visible(call)
    need(call.world, channel, Permission.READ_MESSAGE_HISTORY, silent=True)
    limit = call.number("limit", 50, 1, 100)
    given = [one for one in _HISTORY if one in call.query]
    for name in given:
        if not is_snowflake(call.query[name]):
            raise form_error(name, "NUMBER_TYPE_COERCE", f'Value "{call.query[name]}" is not snowflake.')
    found = _history(channel, given[0] if given else "", int(call.query[given[0]]) if given else 0, limit)
    return Answer(body=[shown(call.world, message) for message in found])


def get_message(call: Call) -> Answer:
    visible(call)
    channel, message = call.message()
    need(call.world, channel, Permission.READ_MESSAGE_HISTORY)
    return Answer(body=shown(call.world, message))


def update_message(call: Call) -> Answer:
    visible(call)
    channel, message = call.message()
    body = call.fields
    if message.author_id != call.world.bot_id and set(body) - {"flags"}:
        raise Refusal(50005)
    form = read_message(call, body)
    _check_old_edits(call.world, channel, message)
    open_thread(call.world, channel)
    apply_edit(call, channel, message, form)
    return Answer(body=shown(call.world, message))


def apply_edit(call: Call, channel: Channel, message: Message, form: MessageForm) -> None:
    """Change a message as a form says; raise Refusal where nothing would be left of it."""
    changed = dict(form.given)
    if form.kept is not None or form.uploads:
        wanted = {str(one.get("id")) for one in form.kept or ()}
        old = message.body["attachments"]
        kept = old if form.kept is None else [one for one in old if one["id"] in wanted]
        changed["attachments"] = [*kept, *store_uploads(call, channel, form)]
    after = message.body | changed
    if not any(after[one] for one in ("content", "embeds", "attachments", "components")):
        raise Refusal(50006)
    change(call.world, channel, message, changed, allowed_mentions=form.allowed_mentions)


def delete_message(call: Call) -> Answer:
    visible(call)
    channel, message = call.message()
    if message.author_id != call.world.bot_id:
        if channel.is_direct:
            raise Refusal(50003)
        need(call.world, channel, Permission.MANAGE_MESSAGES)
    open_thread(call.world, channel)
    remove(call.world, channel, message)
    return DONE


def bulk_delete_messages(call: Call) -> Answer:
    channel = visible(call)
    if channel.is_direct:
        raise Refusal(50003)
    need(call.world, channel, Permission.MANAGE_MESSAGES)
    check_shape(call.fields, {"messages": [Kind.ID]})
    ids = [str(one) for one in call.fields.get("messages") or ()]
    if not 2 <= len(set(ids)) <= 100:
        raise Refusal(50016)
    if any(call.world.now - made_at(one) > BULK_AGE_S for one in ids):
        raise Refusal(50034)
    gone = [one for one in ids if channel.messages.pop(one, None) is not None]
    data = {"ids": gone, "channel_id": channel.id, **in_guild(channel)}
    call.world.publish("MESSAGE_DELETE_BULK", data, channel=channel)
    return DONE


def trigger_typing_indicator(call: Call) -> Answer:
    world, channel = call.world, call.channel()
    need_speech(world, channel)
    start_typing(world, channel, world.bot_id)
    return DONE


def start_typing(world: World, channel: Channel, user_id: str) -> None:
    channel.typing_until[user_id] = world.now + TYPING_S
    data: Json = {"channel_id": channel.id, "user_id": user_id, "timestamp": int(world.now), **in_guild(channel)}
    if channel.guild_id is not None:
        data["member"] = {**world.members[user_id], "user": world.users[user_id]}
    world.publish("TYPING_START", data, channel=channel)


def _history(channel: Channel, where: str, anchor: int, limit: int) -> list[Message]:
    """Return up to `limit` messages, newest first: the last ones, or those beside an id."""
    lasting = [message for message in channel.messages.values() if message.only_for is None]
    if not where:
        return list(islice(reversed(lasting), limit))
    older = deque((one for one in lasting if int(one.id) < anchor), maxlen=limit if where == "before" else limit // 2)
    if where == "before":
        return list(reversed(older))
    if where == "after":
        return list(reversed(list(islice((one for one in lasting if int(one.id) > anchor), limit))))
    newer = list(islice((one for one in lasting if int(one.id) >= anchor), limit - len(older)))
    return list(reversed([*older, *newer]))


def _reference(call: Call, channel: Channel, body: Json) -> Json | None:
    wanted = body.get("message_reference")
    if not wanted:
        return None
    there = call.world.channels.get(str(wanted.get("channel_id") or channel.id), channel)
    if str(wanted.get("message_id")) in there.messages and there is channel:
        return {"type": 0, "channel_id": there.id, "message_id": str(wanted["message_id"]), **in_guild(there)}
    if wanted.get("fail_if_not_exists", True) is not False:
        raise form_error("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
    return None


def _said_with(world: World, channel: Channel, nonce: str) -> Message | None:
    used_at, message_id = channel.nonces.get(nonce, (0.0, ""))
    return channel.messages.get(message_id) if world.now - used_at < NONCE_LIFE_S else None


def _check_old_edits(world: World, channel: Channel, message: Message) -> None:
    now = world.now
    if now - made_at(message.id) <= OLD_S:
        return
    recent = [at for at in channel.old_edits if now - at < OLD_S]
    if len(recent) >= OLD_EDITS:
        raise Refusal(30046, wait_s=(recent[0] + OLD_S - now) / world.clock.scale)
    channel.old_edits[:] = [*recent, now]


ROUTES = (
    Route(operation="list_messages", method="GET", path="/channels/{channel_id}/messages", handle=list_messages),
    Route(operation="create_message", method="POST", path="/channels/{channel_id}/messages", handle=create_message),
    Route(
        operation="bulk_delete_messages",
        method="POST",
        path="/channels/{channel_id}/messages/bulk-delete",
        handle=bulk_delete_messages,
    ),
    Route(
        operation="get_message",
        method="GET",
        path="/channels/{channel_id}/messages/{message_id}",
        handle=get_message,
    ),
    Route(
        operation="update_message",
        method="PATCH",
        path="/channels/{channel_id}/messages/{message_id}",
        handle=update_message,
    ),
    Route(
        operation="delete_message",
        method="DELETE",
        path="/channels/{channel_id}/messages/{message_id}",
        handle=delete_message,
    ),
    Route(
        operation="trigger_typing_indicator",
        method="POST",
        path="/channels/{channel_id}/typing",
        handle=trigger_typing_indicator,
    ),
)
