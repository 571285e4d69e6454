"""What all methods that send have in common: where to, in reply to what, with which buttons; and the caption."""

from __future__ import annotations

import re
from typing import Any

from twins.telegram.arguments import Arguments
from twins.telegram.chats import GENERAL_TOPIC, Chat, Json
from twins.telegram.refusal import Refusal, bad_request
from twins.telegram.texts import checked_caption
from twins.telegram.world import World

MAX_BUTTON_BYTES = 64
MAX_COPY_TEXT = 256
BUTTON_KINDS = frozenset(
    {
        "url",
        "callback_data",
        "web_app",
        "login_url",
        "switch_inline_query",
        "switch_inline_query_current_chat",
        "switch_inline_query_chosen_chat",
        "copy_text",
        "callback_game",
        "pay",
    }
)
# What a message quotes of another one is not quoted again inside of it.
_NOT_QUOTED = ("reply_to_message", "external_reply", "quote")


def chat_id_of(arguments: Arguments, name: str = "chat_id") -> str:
    chat_id = arguments.text(name)
    if not chat_id:
        raise bad_request(f"{name} is empty")
    return chat_id


def destination(world: World, arguments: Arguments) -> tuple[Chat, int | None]:
    """Return the chat and the topic that a call sends to; raise Refusal."""
    chat = world.writable_chat(chat_id_of(arguments))
    topic = arguments.integer("message_thread_id") or None
    if topic is not None and (topic == GENERAL_TOPIC or topic not in chat.topics):
        raise bad_request("message thread not found")
    if topic is not None and chat.topics[topic].is_closed and chat.bot_status != "administrator":
        raise bad_request("TOPIC_CLOSED")
    return chat, topic


def send(world: World, arguments: Arguments, content: Json) -> Json:
    """Make the message that a call asks for and return it; raise Refusal."""
    chat, topic = destination(world, arguments)
    content |= replied_to(world, chat, arguments)
    markup = keyboard(arguments)
    if markup:
        content["reply_markup"] = markup
    if arguments.boolean("protect_content"):
        content["has_protected_content"] = True
    if arguments.text("message_effect_id") and chat.is_private:
        content["effect_id"] = arguments.text("message_effect_id")
    _check_rate(world, chat, content)
    chat.typing_until = chat.draft_until = 0.0
    return world.new_message(chat, world.bot, topic, **content)


def _check_rate(world: World, chat: Chat, content: Json) -> None:
    text = str(content.get("text", content.get("caption", "")))
    too_many(world.limits.take(int(chat.info["id"]), len(text), world.clock.now()))


def too_many(wait_s: int) -> None:
    """Raise the Refusal for who must wait so long; nothing for who need not."""
    if wait_s:
        raise Refusal(429, f"Too Many Requests: retry after {wait_s}", retry_after=wait_s)


def replied_to(world: World, chat: Chat, arguments: Arguments) -> Json:
    """Return what a message says of the one that it answers; raise Refusal if there is none and there must be."""
    reply = arguments.structure("reply_parameters") or {}
    if not isinstance(reply, dict):
        raise bad_request("object expected as reply parameters")
    number = reply.get("message_id") or arguments.integer("reply_to_message_id")
    if not number:
        return {}
    if str(reply.get("chat_id") or chat.info["id"]) != str(chat.info["id"]):
        return _reply_elsewhere(world, reply, int(number))
    found = chat.messages.get(int(number))
    if found is None:
        if reply.get("allow_sending_without_reply") or arguments.boolean("allow_sending_without_reply"):
            return {}
        raise bad_request("message to be replied not found")
    return {"reply_to_message": quoted(found), **_quote(found, reply)}


def _reply_elsewhere(world: World, reply: Json, number: int) -> Json:
    other = world.chat(reply["chat_id"])
    found = other.messages.get(number)
    if found is None:
        if reply.get("allow_sending_without_reply"):
            return {}
        raise bad_request("message to be replied not found")
    return {"external_reply": {"origin": origin_of(found), "chat": other.info, "message_id": number}}


def _quote(found: Json, reply: Json) -> Json:
    quote = str(reply.get("quote") or "")
    if not quote:
        return {}
    text = str(found.get("text", found.get("caption", "")))
    at = text.find(quote)
    if at < 0:
        raise bad_request("QUOTE_TEXT_INVALID")
    position = len(text[:at].encode("utf-16-le")) // 2
    return {"quote": {"text": quote, "position": position, "is_manual": True}}


def quoted(message: Json) -> Json:
    return {key: value for key, value in message.items() if key not in _NOT_QUOTED}


def origin_of(message: Json) -> Json:
    """Return whence a forwarded message says that it comes."""
    if "forward_origin" in message:
        return dict(message["forward_origin"])
    if "from" not in message:
        return {
            "type": "channel",
            "date": message["date"],
            "chat": message["sender_chat"],
            "message_id": message["message_id"],
        }
    return {"type": "user", "date": message["date"], "sender_user": message["from"]}


def keyboard(arguments: Arguments) -> Json | None:
    """Return the buttons under a message; None where there are none, or where they are not under it. Raise Refusal."""
    markup = arguments.structure("reply_markup")
    if not markup:
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    for button in (button for row in markup.get("inline_keyboard", []) for button in row):
        check_button(button)
    rows = [row for row in markup.get("inline_keyboard", []) if row]
    return {"inline_keyboard": [[_kept(button) for button in row] for row in rows]} if rows else None


def check_button(button: Json) -> None:
    """Raise the Refusal for a button that the server does not take."""
    if not isinstance(button, dict) or not button.get("text"):
        raise bad_request("can't parse inline keyboard button: Can't find field \"text\"")
    if not BUTTON_KINDS & set(button):
        raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    data = button.get("callback_data")
    if data is not None and not 1 <= len(str(data).encode()) <= MAX_BUTTON_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    if "copy_text" in button and not 1 <= len(str(button["copy_text"].get("text", ""))) <= MAX_COPY_TEXT:
        raise bad_request("BUTTON_COPY_TEXT_INVALID")
    url = str(button.get("url", ""))
    if "url" in button and not re.match(r"(?:https?|tg|ton)://\S+|[\w.-]+\.\w+", url):
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")


def _kept(button: Json) -> Json:
    """Return a button as a message shows it: one that logs in is a link."""
    if "login_url" in button:
        return {"text": button["text"], "url": button["login_url"]["url"]}
    return dict(button)


def caption_of(arguments: Arguments) -> Json:
    """Return the caption and what belongs to it; raise Refusal."""
    caption, entities = checked_caption(
        arguments.text("caption"), arguments.structure("caption_entities"), arguments.text("parse_mode")
    )
    content: Json = {"caption": caption} if caption else {}
    if entities:
        content["caption_entities"] = entities
    if caption and arguments.boolean("show_caption_above_media"):
        content["show_caption_above_media"] = True
    return content


def own_message(world: World, arguments: Arguments, otherwise: str) -> Json:
    """Return the message that a call changes; raise Refusal if there is none, or if it is another's."""
    chat = world.writable_chat(chat_id_of(arguments))
    message = chat.messages.get(arguments.integer("message_id"))
    if message is None:
        raise bad_request(otherwise)
    if not world.is_bots(message):
        raise bad_request("message can't be edited")
    return message


def any_message(chat: Chat, number: Any, otherwise: str) -> Json:
    try:
        message = chat.messages.get(int(number))
    except (TypeError, ValueError):
        raise bad_request("message identifier is not specified") from None
    if message is None:
        raise bad_request(otherwise)
    return message
