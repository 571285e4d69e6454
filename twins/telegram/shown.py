"""What a person sees in the twin: the world, and a chat with its messages, each with the part that all twins have."""

from __future__ import annotations

from collections.abc import Mapping

from twins.event_log import LONGEST_WAIT_S
from twins.telegram.chats import Chat, Json
from twins.telegram.methods.places import close_poll_in_time
from twins.telegram.world import World

_FILES = ("document", "video", "audio", "voice", "animation", "video_note", "sticker", "live_photo")


def show_world(world: World) -> Json:
    return {
        "platform": "telegram",
        "bot": {**world.bot, "name": world.bot["first_name"]},
        "token": world.token,
        "people": [{**person, "name": _name(person)} for person in world.people.values()],
        "chats": [_chat_json(chat) for chat in world.chats.values()],
        "commands": world.commands,
        "pending_updates": world.updates.numbers(),
        "presses": world.presses,
        "webhook": world.webhook.url if world.webhook else "",
        "now": world.clock.now(),
        "scale": world.clock.scale,
        "limits": world.limits.is_on,
    }


def _chat_json(chat: Chat) -> Json:
    return {
        **chat.info,
        "name": _name(chat.info),
        "kind": "direct" if chat.is_private else "many",
        "people": chat.members,
        "threads": [{"id": number, "name": topic.name} for number, topic in chat.topics.items()],
        "bot_status": "kicked" if chat.blocked else chat.bot_status,
    }


def _name(info: Json) -> str:
    return str(info.get("title") or f"{info.get('first_name', '')} {info.get('last_name', '')}".strip())


async def show_chat(world: World, query: Mapping[str, str]) -> Json:
    """`?chat=&thread=&after=&wait_s=`: what is seen there; with wait_s, as soon as the bot said something after that
    message id. Everybody in a Telegram chat sees the same."""
    chat = world.chat(query.get("chat") or query.get("person") or "1001")
    after = int(query.get("after") or 0)
    await world.log.until(
        lambda: any(True for _ in world.messages_of_bot(chat, after)),
        min(float(query.get("wait_s") or 0), LONGEST_WAIT_S),
    )
    thread = int(query["thread"]) if query.get("thread") else None
    now = world.clock.now()
    return {
        "chat": _chat_json(chat),
        "messages": [
            _message_json(world, chat, message)
            for number, message in sorted(chat.messages.items())
            if number > after and thread in (None, message.get("message_thread_id"))
        ],
        "typing": chat.typing_until > now,
        "action": chat.action if chat.typing_until > now else "",
        "draft": chat.draft if chat.draft_until > now else "",
        "draft_entities": chat.draft_entities if chat.draft_until > now else [],
        "reactions": {number: given for number, given in chat.reactions.items() if given},
    }


def _message_json(world: World, chat: Chat, message: Json) -> Json:
    close_poll_in_time(world, message)
    message_id = message["message_id"]
    shown: Json = {
        "id": message_id,
        "from": (message.get("from") or message["sender_chat"])["id"],
        "is_bot": world.is_bots(message),
        "at": message["date"],
        "text": _text(message),
        "entities": message.get("entities", message.get("caption_entities", [])),
        "buttons": [
            {"label": button["text"], "value": button.get("callback_data", button.get("url", "")), "row": number}
            for number, row in enumerate(message.get("reply_markup", {}).get("inline_keyboard", []))
            for button in row
        ],
        "files": _files(message),
        "reactions": _reactions(world, chat, message_id),
        "edited": "edit_date" in message,
        "raw": message,
    }
    if "reply_to_message" in message:
        shown["reply_to"] = message["reply_to_message"]["message_id"]
    if "message_thread_id" in message:
        shown["thread"] = message["message_thread_id"]
    return shown


def _text(message: Json) -> str:
    """Return the words of a message; of one that has none, what it is."""
    if "text" in message or "caption" in message:
        return str(message.get("text", message.get("caption")))
    if "new_chat_members" in message:
        return f"{', '.join(_name(each) for each in message['new_chat_members'])} joined"
    if "left_chat_member" in message:
        return f"{_name(message['left_chat_member'])} left"
    if "poll" in message:
        options = "\n".join(f"○ {option['text']}" for option in message["poll"]["options"])
        return f"📊 {message['poll']['question']}\n{options}"
    if "dice" in message:
        return f"{message['dice']['emoji']} {message['dice']['value']}"
    if "venue" in message:
        return f"📍 {message['venue']['title']}, {message['venue']['address']}"
    if "location" in message:
        return f"📍 {message['location']['latitude']}, {message['location']['longitude']}"
    if "contact" in message:
        return f"👤 {_name(message['contact'])} {message['contact']['phone_number']}"
    if "forum_topic_created" in message:
        return f"The topic {message['forum_topic_created']['name']} was created"
    return str(message.get("sticker", {}).get("emoji", ""))


def _files(message: Json) -> list[Json]:
    if "photo" in message and "live_photo" not in message:
        photo = message["photo"][-1]
        return [{"id": photo["file_id"], "name": "photo.jpg", "kind": "photo", "size": photo["file_size"]}]
    for kind in _FILES:
        if kind in message and not (kind == "document" and "animation" in message):
            file = message[kind]
            name = file.get("file_name", kind)
            return [{"id": file["file_id"], "name": name, "kind": kind, "size": file["file_size"]}]
    return []


def _reactions(world: World, chat: Chat, number: int) -> Json:
    given: dict[str, list[int]] = {}
    everybody = {world.bot["id"]: chat.reactions.get(number, []), **chat.people_reactions.get(number, {})}
    for person, emoji in ((person, emoji) for person, each in everybody.items() for emoji in each):
        given.setdefault(emoji, []).append(person)
    return given
