"""Messages that grow while they are written: chat.startStream, appendStream, stopStream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twins.slack.blocks import check_blocks, check_metadata
from twins.slack.methods.chat import WRITES, writable
from twins.slack.methods.method import Call, Json, Method
from twins.slack.posting import author, change, post, public_view
from twins.slack.refusal import Refusal
from twins.slack.texts import MAX_MARKDOWN_TEXT, stored_text
from twins.slack.world import Conversation

CHUNK_TYPES = ("markdown_text", "task_update", "plan_update", "blocks")


def start_stream(call: Call) -> Json:
    """Begin a message; in a channel it is said for whom it is."""
    conversation = writable(call)
    arguments = call.arguments
    if conversation.kind not in ("im", "mpim"):
        for name in ("recipient_user_id", "recipient_team_id"):
            arguments.needed(name, f"missing_{name}")
        call.world.person(arguments.text("recipient_user_id"))
    text = _piece(call)
    fields = {**author(call.world, call.user_id, is_app=True), **_grown(text)}
    message = post(call.world, conversation, fields, arguments.text("thread_ts"))
    call.world.streams[conversation.id, message["ts"]] = text
    return {"channel": conversation.id, "ts": message["ts"]}


def append_stream(call: Call) -> Json:
    """Let it grow; nobody is sent an event for that."""
    conversation, message = _streaming(call)
    piece = _piece(call)
    if not piece and not call.arguments.values.get("chunks"):
        raise Refusal("no_text")
    text = _grow(call, conversation, message, piece)
    message |= _grown(text)
    call.world.log.note("stream", channel=conversation.id, ts=message["ts"], characters=len(text))
    return {"channel": conversation.id, "ts": message["ts"]}


def stop_stream(call: Call) -> Json:
    """End it, with a last piece, blocks below and metadata, if any; from then on it is a message like others."""
    conversation, message = _streaming(call)
    metadata = check_metadata(call.arguments.nested("metadata", "invalid_metadata_format"))
    below = check_blocks(call.arguments.nested("blocks", "invalid_blocks"))
    fields = _grown(_grow(call, conversation, message, _piece(call)))
    fields["blocks"] = [*fields.get("blocks", []), *below]
    if not fields["blocks"]:
        raise Refusal("no_text")
    del call.world.streams[conversation.id, message["ts"]]
    if metadata is not None:
        fields["metadata"] = metadata
    change(call.world, conversation, message, fields)
    seen = public_view(message, with_metadata=True)
    return {"channel": conversation.id, "ts": message["ts"], "message": seen}


def _streaming(call: Call) -> tuple[Conversation, Json]:
    conversation = call.conversation()
    message = conversation.message(call.arguments.needed("ts", "message_not_found"))
    if message.get("user") != call.user_id:
        raise Refusal("message_not_owned_by_app")
    if (conversation.id, message["ts"]) not in call.world.streams:
        raise Refusal("message_not_in_streaming_state")
    return conversation, message


def _grow(call: Call, conversation: Conversation, message: Json, piece: str) -> str:
    place = (conversation.id, str(message["ts"]))
    call.world.streams[place] += piece
    return call.world.streams[place]


def _grown(text: str) -> Json:
    return {"text": stored_text(text), "blocks": [{"type": "markdown", "text": text, "block_id": "m1"}] if text else []}


def _piece(call: Call) -> str:
    text = call.arguments.text("markdown_text") + "".join(
        _chunk_texts(call.arguments.nested("chunks", "invalid_chunks"))
    )
    if len(text) > MAX_MARKDOWN_TEXT:
        raise Refusal("msg_blocks_too_long")
    return text


def _chunk_texts(chunks: Any) -> Iterator[str]:
    if chunks is None:
        return
    if not isinstance(chunks, list):
        raise Refusal("invalid_chunks")
    for chunk in chunks:
        if not isinstance(chunk, dict) or chunk.get("type") not in CHUNK_TYPES:
            raise Refusal("invalid_chunks")
        if chunk["type"] == "markdown_text":
            yield str(chunk.get("text", ""))


METHODS = {
    "chat.startStream": Method(function=start_stream, tier=2, scopes=WRITES, kinds=("bot",)),
    "chat.appendStream": Method(function=append_stream, tier=4, scopes=WRITES, kinds=("bot",)),
    "chat.stopStream": Method(function=stop_stream, tier=2, scopes=WRITES, kinds=("bot",)),
}
