"""Sending text, saying that the bot is busy, showing a draft, reacting, pinning."""

from __future__ import annotations

from typing import Any

from twins.telegram.arguments import Arguments
from twins.telegram.chats import Chat, Json
from twins.telegram.refusal import bad_request
from twins.telegram.sending import any_message, chat_id_of, destination, send
from twins.telegram.texts import MAX_TEXT, checked_text, formatted
from twins.telegram.world import DRAFT_S, TYPING_S, World

CHAT_ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
        "cancel",
    }
)
# fmt: off
REACTIONS = frozenset(
    {
        "❤", "👍", "👎", "🔥", "🥰", "👏", "😁", "🤔", "🤯", "😱", "🤬", "😢", "🎉", "🤩", "🤮", "💩", "🙏", "👌",
        "🕊", "🤡", "🥱", "🥴", "😍", "🐳", "❤‍🔥", "🌚", "🌭", "💯", "🤣", "⚡", "🍌", "🏆", "💔", "🤨", "😐",
        "🍓", "🍾", "💋", "🖕", "😈", "😴", "😭", "🤓", "👻", "👨‍💻", "👀", "🎃", "🙈", "😇", "😨", "🤝", "✍",
        "🤗", "🫡", "🎅", "🎄", "☃", "💅", "🤪", "🗿", "🆒", "💘", "🙉", "🦄", "😘", "💊", "🙊", "😎", "👾",
        "🤷‍♂", "🤷", "🤷‍♀", "😡",
    }
)
# fmt: on


def text_content(world: World, arguments: Arguments) -> Json:
    """Return what a message of text holds; raise Refusal."""
    text, entities = checked_text(arguments.text("text"), arguments.structure("entities"), arguments.text("parse_mode"))
    content: Json = {"text": text}
    if entities:
        content["entities"] = entities
    preview = arguments.structure("link_preview_options")
    if preview is None and arguments.boolean("disable_web_page_preview"):
        preview = {"is_disabled": True}
    preview = {**_found_preview(world, text, entities, preview or {}), **(preview or {})}
    if preview:
        content["link_preview_options"] = preview
    return content


def _found_preview(world: World, text: str, entities: list[Json], wanted: Json) -> Json:
    """Return which page a message shows: its first link, if that leads to a page which the twin's web has."""
    encoded = text.encode("utf-16-le")
    for entity in entities:
        end = entity["offset"] + entity["length"]
        url = entity.get("url") or encoded[2 * entity["offset"] : 2 * end].decode("utf-16-le")
        if entity["type"] in ("url", "text_link") and url in world.web and not wanted.get("is_disabled"):
            return {"url": url}
    return {}


def send_message(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    return send(world, arguments, text_content(world, arguments))


def send_chat_action(world: World, arguments: Arguments) -> bool:
    chat, _ = destination(world, arguments)
    action = arguments.text("action").lower()
    if action not in CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat.action = "" if action == "cancel" else action
    chat.typing_until = world.clock.now() + TYPING_S if chat.action else 0.0
    return True


def send_message_draft(world: World, arguments: Arguments) -> bool:
    chat, _ = destination(world, arguments)
    if not chat.is_private or not arguments.integer("draft_id"):
        raise bad_request("TEXTDRAFT_PEER_INVALID")
    text, entities = formatted(arguments.text("text"), arguments.structure("entities"), arguments.text("parse_mode"))
    if len(text) > MAX_TEXT:
        raise bad_request("message is too long")
    chat.draft, chat.draft_entities = text, entities
    chat.draft_until = world.clock.now() + DRAFT_S
    return True


def set_message_reaction(world: World, arguments: Arguments) -> bool:
    chat = world.writable_chat(chat_id_of(arguments))
    message = any_message(chat, arguments.integer("message_id"), "message to react not found")
    reactions = arguments.list_of("reaction")
    if any(
        not isinstance(each, dict) or each.get("type") not in ("emoji", "custom_emoji", "paid") for each in reactions
    ):
        raise bad_request("can't parse reaction types JSON object: invalid reaction type specified")
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    if any(each["type"] != "emoji" or _plain(each.get("emoji")) not in REACTIONS for each in reactions):
        raise bad_request("REACTION_INVALID")
    chat.reactions[message["message_id"]] = [each["emoji"] for each in reactions]
    return True


def _plain(emoji: object) -> str:
    """Return an emoji without the sign that it is to be shown in colour, which clients put or leave out."""
    return str(emoji).replace("\ufe0f", "")


def pin_chat_message(world: World, arguments: Arguments) -> bool:
    chat = _pinning_chat(world, arguments)
    message = any_message(chat, arguments.integer("message_id"), "message to pin not found")
    if message["message_id"] in chat.pinned:
        chat.pinned.remove(message["message_id"])
    chat.pinned.append(message["message_id"])
    return True


def unpin_chat_message(world: World, arguments: Arguments) -> bool:
    chat = _pinning_chat(world, arguments)
    number = arguments.integer("message_id") or (chat.pinned[-1] if chat.pinned else 0)
    if number not in chat.messages:
        raise bad_request("message to unpin not found")
    if number not in chat.pinned:
        raise bad_request("CHAT_NOT_MODIFIED")
    chat.pinned.remove(number)
    return True


def unpin_all_chat_messages(world: World, arguments: Arguments) -> bool:
    _pinning_chat(world, arguments).pinned.clear()
    return True


def _pinning_chat(world: World, arguments: Arguments) -> Chat:
    chat = world.writable_chat(chat_id_of(arguments))
    if not chat.is_private and chat.bot_status != "administrator":
        raise bad_request("not enough rights to manage pinned messages in the chat")
    return chat


METHODS: dict[str, Any] = {
    "sendmessage": send_message,
    "sendchataction": send_chat_action,
    "sendmessagedraft": send_message_draft,
    "setmessagereaction": set_message_reaction,
    "pinchatmessage": pin_chat_message,
    "unpinchatmessage": unpin_chat_message,
    "unpinallchatmessages": unpin_all_chat_messages,
}
