"""Editing what the bot sent, and deleting what may be deleted."""

from __future__ import annotations

from typing import Any

from twins.telegram.arguments import Arguments
from twins.telegram.chats import Chat, Json
from twins.telegram.methods.media import input_media
from twins.telegram.methods.messages import text_content
from twins.telegram.methods.places import close_poll_in_time, location_json
from twins.telegram.refusal import bad_request
from twins.telegram.sending import any_message, caption_of, chat_id_of, keyboard, own_message, too_many
from twins.telegram.world import World

DELETABLE_S = 48 * 3600
MAX_AT_ONCE = 100
_NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
_TEXT = ("text", "entities", "link_preview_options")
_CAPTION = ("caption", "caption_entities", "show_caption_above_media")
_MEDIA = (
    "photo",
    "document",
    "animation",
    "video",
    "audio",
    "voice",
    "video_note",
    "live_photo",
    "has_media_spoiler",
    *_CAPTION,
)


def _changed(world: World, arguments: Arguments, message: Json, names: tuple[str, ...], content: Json) -> Json:
    """Put the content in the place of what these names held, with the call's buttons; raise Refusal if nothing is
    new."""
    close_poll_in_time(world, message)
    markup = keyboard(arguments)
    wanted = {**content, **({"reply_markup": markup} if markup else {})}
    if wanted == {name: message[name] for name in (*names, "reply_markup") if name in message}:
        raise bad_request(_NOT_MODIFIED)
    too_many(world.limits.take(int(message["chat"]["id"]), len(str(content.get("text", ""))), world.clock.now()))
    for name in (*names, "reply_markup"):
        message.pop(name, None)
    message |= wanted
    message["edit_date"] = world.now()
    world.log.note("edited", chat=message["chat"]["id"], message_id=message["message_id"], by_bot=True)
    return message


def _to_edit(world: World, arguments: Arguments) -> Json:
    if arguments.text("inline_message_id"):
        raise bad_request("MESSAGE_ID_INVALID")
    if not arguments.integer("message_id"):
        raise bad_request("message identifier is not specified")
    return own_message(world, arguments, "message to edit not found")


def edit_message_text(world: World, arguments: Arguments) -> Json:
    message = _to_edit(world, arguments)
    if "text" not in message:
        raise bad_request("there is no text in the message to edit")
    return _changed(world, arguments, message, _TEXT, text_content(world, arguments))


def edit_message_caption(world: World, arguments: Arguments) -> Json:
    message = _to_edit(world, arguments)
    if "text" in message or not set(_MEDIA) & set(message):
        raise bad_request("there is no caption in the message to edit")
    return _changed(world, arguments, message, _CAPTION, caption_of(arguments))


def edit_message_media(world: World, arguments: Arguments) -> Json:
    message = _to_edit(world, arguments)
    content = input_media(world, arguments, arguments.structure("media"))
    return _changed(world, arguments, message, (*_MEDIA, *_TEXT), content)


def edit_message_reply_markup(world: World, arguments: Arguments) -> Json:
    return _changed(world, arguments, _to_edit(world, arguments), (), {})


def edit_message_live_location(world: World, arguments: Arguments) -> Json:
    message = _to_edit(world, arguments)
    if not message.get("location", {}).get("live_period"):
        raise bad_request("message can't be edited")
    location = {**message["location"], **location_json(arguments)}
    return _changed(world, arguments, message, ("location",), {"location": location})


def stop_message_live_location(world: World, arguments: Arguments) -> Json:
    message = _to_edit(world, arguments)
    if not message.get("location", {}).get("live_period"):
        raise bad_request("message can't be edited")
    place = {name: message["location"][name] for name in ("longitude", "latitude")}
    return _changed(world, arguments, message, ("location",), {"location": place})


def delete_message(world: World, arguments: Arguments) -> bool:
    chat = world.writable_chat(chat_id_of(arguments))
    message = any_message(chat, arguments.integer("message_id"), "message to delete not found")
    _check_deletable(world, chat, message)
    forget_message(world, chat, message["message_id"])
    return True


def delete_messages(world: World, arguments: Arguments) -> bool:
    chat = world.writable_chat(chat_id_of(arguments))
    numbers = arguments.list_of("message_ids")
    if not numbers:
        raise bad_request("message identifiers are not specified")
    if len(numbers) > MAX_AT_ONCE:
        raise bad_request("too many message identifiers specified")
    found = [chat.messages[int(number)] for number in numbers if int(number) in chat.messages]
    for message in found:
        _check_deletable(world, chat, message)
        forget_message(world, chat, message["message_id"])
    return True


def _check_deletable(world: World, chat: Chat, message: Json) -> None:
    """Within 48 hours: the bot's own, and in a direct chat the person's; an administrator all, and later too."""
    is_fresh = world.clock.now() - message["date"] < DELETABLE_S
    rules_there = not chat.is_private and chat.bot_status == "administrator"
    if not (rules_there or (is_fresh and (chat.is_private or world.is_bots(message)))):
        raise bad_request("message can't be deleted")


def forget_message(world: World, chat: Chat, number: int) -> None:
    del chat.messages[number]
    chat.reactions.pop(number, None)
    chat.people_reactions.pop(number, None)
    if number in chat.pinned:
        chat.pinned.remove(number)
    world.log.note("deleted", chat=chat.info["id"], message_id=number)


METHODS: dict[str, Any] = {
    "editmessagetext": edit_message_text,
    "editmessagecaption": edit_message_caption,
    "editmessagemedia": edit_message_media,
    "editmessagereplymarkup": edit_message_reply_markup,
    "editmessagelivelocation": edit_message_live_location,
    "stopmessagelivelocation": stop_message_live_location,
    "deletemessage": delete_message,
    "deletemessages": delete_messages,
}
