"""Forwarding messages, and copying them without saying whence."""

from __future__ import annotations

from typing import Any

from twins.telegram.arguments import Arguments
from twins.telegram.chats import Json
from twins.telegram.refusal import bad_request
from twins.telegram.sending import any_message, caption_of, chat_id_of, destination, origin_of, send
from twins.telegram.world import World

MAX_AT_ONCE = 100
# What belongs to a message's place and time and not to its content.
_OWN = (
    "message_id",
    "date",
    "chat",
    "from",
    "sender_chat",
    "edit_date",
    "reply_markup",
    "reply_to_message",
    "external_reply",
    "quote",
    "message_thread_id",
    "is_topic_message",
    "has_protected_content",
    "media_group_id",
    "forward_origin",
    "effect_id",
)


def _source(world: World, arguments: Arguments, number: Any, act: str) -> Json:
    chat = world.chat(chat_id_of(arguments, "from_chat_id"))
    message = any_message(chat, number, f"message to {act} not found")
    if message.get("has_protected_content") or "paid_media" in message:
        raise bad_request(f"message can't be {'forwarded' if act == 'forward' else 'copied'}")
    return message


def _content(message: Json) -> Json:
    return {name: value for name, value in message.items() if name not in _OWN}


def forward_message(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    source = _source(world, arguments, arguments.integer("message_id"), "forward")
    plain = arguments.with_values(reply_markup=None, reply_parameters=None)
    return send(world, plain, {**_content(source), "forward_origin": origin_of(source)})


def forward_messages(world: World, arguments: Arguments) -> list[Json]:
    destination(world, arguments)
    sources = [_source(world, arguments, number, "forward") for number in _numbers(arguments)]
    plain = arguments.with_values(reply_markup=None, reply_parameters=None)
    sent = [send(world, plain, {**_content(source), "forward_origin": origin_of(source)}) for source in sources]
    return [{"message_id": message["message_id"]} for message in sent]


def copy_message(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    source = _source(world, arguments, arguments.integer("message_id"), "copy")
    content = _content(source)
    if "text" not in content and "caption" in arguments.values:
        for name in ("caption", "caption_entities", "show_caption_above_media"):
            content.pop(name, None)
        content |= caption_of(arguments)
    return {"message_id": send(world, arguments, content)["message_id"]}


def copy_messages(world: World, arguments: Arguments) -> list[Json]:
    destination(world, arguments)
    sources = [_source(world, arguments, number, "copy") for number in _numbers(arguments)]
    contents = [_content(source) for source in sources]
    if arguments.boolean("remove_caption"):
        contents = [{key: each[key] for key in each if not key.startswith("caption")} for each in contents]
    return [{"message_id": send(world, arguments, content)["message_id"]} for content in contents]


def _numbers(arguments: Arguments) -> list[int]:
    numbers = [int(number) for number in arguments.list_of("message_ids")]
    if not numbers:
        raise bad_request("message identifiers are not specified")
    if len(numbers) > MAX_AT_ONCE:
        raise bad_request("too many message identifiers specified")
    if numbers != sorted(set(numbers)):
        raise bad_request("message identifiers must be in a strictly increasing order")
    return numbers


METHODS: dict[str, Any] = {
    "forwardmessage": forward_message,
    "forwardmessages": forward_messages,
    "copymessage": copy_message,
    "copymessages": copy_messages,
}
