"""Saying, changing and taking back: `chat.*` without streams."""

from __future__ import annotations

from twins.slack.blocks import check_attachments, check_blocks, check_metadata
from twins.slack.methods.method import Call, Json, Method
from twins.slack.posting import author, change, post, public_view, remove
from twins.slack.refusal import Refusal
from twins.slack.texts import MAX_MARKDOWN_TEXT, MAX_TEXT, stored_text
from twins.slack.world import Conversation

MAX_UPDATE_TEXT = 4_000
"""chat.update refuses what chat.postMessage would still take."""


def post_message(call: Call) -> Json:
    """Post into a conversation that the caller may write in."""
    conversation = writable(call)
    fields = content(call)
    arguments = call.arguments
    message = post(
        call.world,
        conversation,
        {**author(call.world, call.user_id, is_app=call.is_app), **_persona(call), **fields},
        arguments.text("thread_ts"),
        broadcast=arguments.truth("reply_broadcast"),
    )
    answer: Json = {"channel": conversation.id, "ts": message["ts"]}
    if len(arguments.text("text")) > MAX_TEXT:
        answer |= {"warning": "message_truncated", "response_metadata": {"warnings": ["message_truncated"]}}
    return {**answer, "message": public_view(message, with_metadata=True)}


def me_message(call: Call) -> Json:
    """Post what the caller does, in the third person."""
    conversation = writable(call)
    text = stored_text(call.arguments.needed("text", "no_text"))
    fields = {**author(call.world, call.user_id, is_app=call.is_app), "subtype": "me_message", "text": text}
    message = post(call.world, conversation, fields)
    return {"channel": conversation.id, "ts": message["ts"]}


def update(call: Call) -> Json:
    """Give one's own message other content; what is not given stays."""
    conversation = call.conversation()
    message = conversation.message(call.arguments.needed("ts", "message_not_found"))
    _check_is_own(call, message, "cant_update_message")
    if conversation.info.get("is_archived"):
        raise Refusal("is_inactive")
    edit_window_s = call.world.edit_window_s
    if edit_window_s is not None and call.world.clock.now() - float(message["ts"]) > edit_window_s:
        raise Refusal("edit_window_closed")
    if (conversation.id, message["ts"]) in call.world.streams:
        raise Refusal("streaming_state_conflict")
    if len(call.arguments.text("text")) > MAX_UPDATE_TEXT:
        raise Refusal("msg_too_long")
    fields = content(call)
    if "blocks" not in fields and call.arguments.values.get("text") is not None:
        fields["blocks"] = []  # a text alone takes the blocks away
    change(call.world, conversation, message, fields, editor=call.user_id)
    if not message.get("blocks", True):
        del message["blocks"]
    seen = {key: value for key, value in public_view(message, with_metadata=True).items() if key != "ts"}
    return {"channel": conversation.id, "ts": message["ts"], "text": message.get("text", ""), "message": seen}


def delete(call: Call) -> Json:
    """Take one's own message away."""
    conversation = call.conversation()
    message = conversation.message(call.arguments.needed("ts", "message_not_found"))
    _check_is_own(call, message, "cant_delete_message")
    remove(call.world, conversation, message)
    return {"channel": conversation.id, "ts": call.arguments.text("ts")}


def post_ephemeral(call: Call) -> Json:
    """Show something to one person only; it is no message: it can be neither changed nor deleted by chat.*."""
    conversation = call.joined()
    user_id = call.arguments.needed("user", "user_not_in_channel")
    if user_id not in conversation.members:
        raise Refusal("user_not_in_channel")
    ts = call.world.new_ts()
    fields = {**author(call.world, call.user_id, is_app=call.is_app), **content(call)}
    shown = {"type": "message", **fields, "ts": ts, "is_ephemeral": True}
    if thread_ts := call.arguments.text("thread_ts"):
        shown["thread_ts"] = thread_ts
    conversation.ephemerals.append((user_id, shown))
    call.world.log.note("ephemeral", channel=conversation.id, ts=ts, to=user_id)
    return {"message_ts": ts}


def get_permalink(call: Call) -> Json:
    conversation = call.conversation()
    message = conversation.message(call.arguments.needed("message_ts", "message_not_found"))
    place = f"{call.world.url}archives/{conversation.id}/p{message['ts'].replace('.', '')}"
    thread = message.get("thread_ts", message["ts"])
    query = "" if thread == message["ts"] else f"?thread_ts={thread}&cid={conversation.id}"
    return {"channel": conversation.id, "permalink": place + query}


def unfurl(call: Call) -> Json:
    """Give links in a message a preview: the message counts as changed."""
    conversation = call.conversation()
    message = conversation.message(call.arguments.needed("ts", "cannot_find_message"), "cannot_find_message")
    previews = call.arguments.nested("unfurls", "invalid_unfurls_format")
    if not isinstance(previews, dict):
        raise Refusal("missing_unfurls")
    attachments = [{**preview, "from_url": url, "is_app_unfurl": True} for url, preview in previews.items()]
    change(call.world, conversation, message, {"attachments": attachments})
    return {}


def writable(call: Call) -> Conversation:
    """Return the conversation to post into; a public one without the bot in it needs chat:write.public."""
    arguments = call.arguments
    name = arguments.needed("channel", "channel_not_found")
    if name.startswith("U") and name in call.world.people:
        return call.world.direct_with(name)
    conversation = call.world.conversation(name)
    if not call.world.sees(call.user_id, conversation):
        raise Refusal("channel_not_found")
    if conversation.info.get("is_archived"):
        raise Refusal("is_archived")
    if call.user_id not in conversation.members and "chat:write.public" not in call.token.scopes:
        raise Refusal("not_in_channel")
    return conversation


def content(call: Call) -> Json:
    """Return the text, blocks, attachments and metadata of a call, checked and as they are kept; refuse none at all."""
    arguments = call.arguments
    blocks = check_blocks(arguments.nested("blocks", "invalid_blocks_format"))
    attachments = check_attachments(arguments.nested("attachments", "invalid_attachments"))
    metadata = check_metadata(arguments.nested("metadata", "invalid_metadata_format"))
    markdown = arguments.text("markdown_text")
    text = arguments.text("text")
    if markdown and (text or blocks):
        raise Refusal("markdown_text_conflict")
    if len(markdown) > MAX_MARKDOWN_TEXT:
        raise Refusal("msg_blocks_too_long")
    if not (text or markdown or blocks or attachments or metadata):
        raise Refusal("no_text")
    fields: Json = {"text": stored_text(text or markdown)}
    if markdown:
        fields["blocks"] = [{"type": "markdown", "text": markdown, "block_id": "m1"}]
    if blocks:
        fields["blocks"] = blocks
    if attachments:
        fields["attachments"] = attachments
    if metadata is not None:
        fields["metadata"] = metadata
    return fields


def _persona(call: Call) -> Json:
    username = call.arguments.text("username")
    if not username or "chat:write.customize" not in call.token.scopes:
        return {}
    return {"subtype": "bot_message", "username": username}


def _check_is_own(call: Call, message: Json, error: str) -> None:
    if message.get("user") != call.user_id:
        raise Refusal(error)


WRITES = ("chat:write",)
METHODS = {
    "chat.postMessage": Method(function=post_message, tier=0, scopes=WRITES),
    "chat.meMessage": Method(function=me_message, scopes=WRITES),
    "chat.update": Method(function=update, scopes=WRITES),
    "chat.delete": Method(function=delete, scopes=WRITES),
    "chat.postEphemeral": Method(function=post_ephemeral, tier=4, scopes=WRITES),
    "chat.getPermalink": Method(function=get_permalink, tier=0),
    "chat.unfurl": Method(function=unfurl, scopes=("links:write",)),
}
