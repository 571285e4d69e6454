"""What people do: type, upload, edit, delete, react, reply, forward. The other half, what they see, is `sight.py`."""

from __future__ import annotations

import base64
from typing import Any

from twins.discord.attachments import attachment_json
from twins.discord.reactions import add_reaction, take_reaction
from twins.discord.saying import FORWARD_REFERENCE, REPLY, change, in_guild, remove, say
from twins.discord.seed import ANNA
from twins.discord.threads import add_member, set_archived
from twins.discord.world import Channel, Json, Message, Upload, World

MAX_TYPED = 2000
_VOICE = 1 << 13


def person_of(world: World, body: Json) -> str:
    """Return who does it: by id, or by name; Anna where nobody is named."""
    wanted = str(body.get("person") or ANNA)
    for user_id, user in world.users.items():
        if wanted in (user_id, user["username"], user["global_name"]):
            return user_id
    raise ValueError(f"there is no person {wanted} in this twin")


def chat_of(world: World, body: Json, person: str) -> Channel:
    """Return where: `thread`, else `chat` (an id or a name), else the person's direct chat with the bot."""
    wanted = str(body.get("thread") or body.get("chat") or "")
    if not wanted:
        return world.direct_chat(person)
    for channel in world.channels.values():
        if wanted in (channel.id, channel.info.get("name")):
            return channel
    raise ValueError(f"there is no chat {wanted} in this twin")


def type_text(world: World, body: Json) -> Json:
    """`{text, person?, chat?, thread?, reply_to?, edit?}`. A longer text goes as several messages."""
    person = person_of(world, body)
    channel = chat_of(world, body, person)
    if body.get("edit"):
        return edit_text(world, {**body, "message_id": body["edit"]})
    text = str(body["text"])
    pieces = [text[start : start + MAX_TYPED] for start in range(0, max(1, len(text)), MAX_TYPED)]
    return {"message_ids": [_say(world, channel, person, body, content=piece).id for piece in pieces]}


def edit_text(world: World, body: Json) -> Json:
    """`{message_id, text}`: somebody edits what they said."""
    channel, message = find_message(world, str(body["message_id"]))
    change(world, channel, message, {"content": str(body["text"])})
    return {"message_ids": [message.id]}


def delete(world: World, body: Json) -> Json:
    """`{message_id}`: it is taken away."""
    channel, message = find_message(world, str(body["message_id"]))
    remove(world, channel, message)
    return {}


def upload(world: World, body: Json) -> Json:
    """`{name, content (base64), kind?: document|photo|voice|sticker, media_type?, caption?, …}`; `files: [{name,
    content, media_type?}, …]` for several in one message."""
    person = person_of(world, body)
    channel = chat_of(world, body, person)
    if body.get("kind") == "sticker":
        sticker = {"id": world.mint(), "name": str(body["name"]), "format_type": 1}
        return {"message_ids": [_say(world, channel, person, body, sticker_items=[sticker]).id]}
    attachments = [_store(world, channel, file) for file in body.get("files") or [body]]
    more: Json = {"attachments": attachments}
    if body.get("kind") == "voice":
        attachments[0] |= {"duration_secs": 3.0, "waveform": "AAAA", "content_type": "audio/ogg"}
        more["flags"] = _VOICE
    message = _say(world, channel, person, body, content=str(body.get("caption") or ""), **more)
    return {"message_ids": [message.id], "file_id": attachments[0]["id"]}


def forward(world: World, body: Json) -> Json:
    """`{message_id, person?, chat?}`: somebody forwards a message into a chat."""
    person = person_of(world, body)
    channel = chat_of(world, body, person)
    origin, message = find_message(world, str(body["message_id"]))
    kept = ("type", "content", "mentions", "mention_roles", "attachments", "embeds", "timestamp", "edited_timestamp")
    snapshot = {key: message.body[key] for key in (*kept, "flags", "components")}
    reference = {
        "type": FORWARD_REFERENCE,
        "channel_id": origin.id,
        "message_id": message.id,
        **in_guild(origin),
    }
    sent = say(
        world, channel, person, message_reference=reference, message_snapshots=[{"message": snapshot}], flags=1 << 14
    )
    return {"message_ids": [sent.id]}


def react(world: World, body: Json) -> Json:
    """`{message_id, emoji, take?, person?}`."""
    person = person_of(world, body)
    channel, message = find_message(world, str(body["message_id"]))
    act = take_reaction if body.get("take") else add_reaction
    act(world, channel, message, str(body["emoji"]), person)
    return {}


def find_message(world: World, message_id: str) -> tuple[Channel, Message]:
    for channel in world.channels.values():
        if message_id in channel.messages:
            return channel, channel.messages[message_id]
    raise ValueError(f"there is no message {message_id} in this twin")


def _say(world: World, channel: Channel, person: str, body: Json, **more: Any) -> Message:
    if not world.sees(person, channel):
        raise ValueError(f"{world.users[person]['username']} is not in the chat {channel.id}")
    if channel.is_thread:
        state = channel.info["thread_metadata"]
        if state["locked"]:
            raise ValueError(f"the thread {channel.id} is locked")
        if state["archived"]:
            set_archived(world, channel, False)
        add_member(world, channel, person)
    if body.get("reply_to"):
        reference = {"type": 0, "channel_id": channel.id, "message_id": str(body["reply_to"]), **in_guild(channel)}
        more |= {"kind": REPLY, "message_reference": reference}
    return say(world, channel, person, **more)


def _store(world: World, channel: Channel, file: Json) -> Json:
    content = base64.b64decode(file["content"])
    attachment_id, name = world.mint(), str(file["name"])
    media_type = str(file.get("media_type") or "")
    world.files[attachment_id] = Upload(name=name, content=content, media_type=media_type or "application/octet-stream")
    return attachment_json(attachment_id, channel.id, name, content, media_type=media_type)
