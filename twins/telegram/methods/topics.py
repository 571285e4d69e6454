"""Topics of a forum: the General one is number 1, and messages in it carry no number."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twins.telegram.arguments import Arguments
from twins.telegram.chats import FIRST_ICON_COLOR, GENERAL_TOPIC, Chat, Json, Topic
from twins.telegram.refusal import bad_request
from twins.telegram.sending import chat_id_of
from twins.telegram.world import World

ICON_COLORS = frozenset({0x6FB9F0, 0xFFD67E, 0xCB86DB, 0x8EEE98, 0xFF93B2, 0xFB6F5F})
MAX_NAME = 128


def _forum(world: World, arguments: Arguments) -> Chat:
    chat = world.writable_chat(chat_id_of(arguments))
    if chat.kind != "supergroup":
        raise bad_request("method is available only for supergroups")
    if not chat.info.get("is_forum"):
        raise bad_request("the chat is not a forum")
    if chat.bot_status != "administrator":
        raise bad_request("not enough rights to manage topics")
    return chat


def _topic(chat: Chat, number: int) -> Topic:
    if number == GENERAL_TOPIC:
        return chat.topics.setdefault(GENERAL_TOPIC, Topic(name="General"))
    if number not in chat.topics:
        raise bad_request("TOPIC_ID_INVALID")
    return chat.topics[number]


def create_forum_topic(world: World, arguments: Arguments) -> Json:
    chat = _forum(world, arguments)
    topic = Topic(
        name=_name(arguments),
        icon_color=arguments.integer("icon_color") or FIRST_ICON_COLOR,
        icon_custom_emoji_id=arguments.text("icon_custom_emoji_id"),
    )
    if topic.icon_color not in ICON_COLORS:
        raise bad_request("TOPIC_ICON_COLOR_INVALID")
    icon = {"icon_custom_emoji_id": topic.icon_custom_emoji_id} if topic.icon_custom_emoji_id else {}
    shown = {"name": topic.name, "icon_color": topic.icon_color, **icon}
    number = world.new_message(chat, world.bot, None, forum_topic_created=shown)["message_id"]
    chat.messages[number] |= {"message_thread_id": number, "is_topic_message": True}
    chat.topics[number] = topic
    return {"message_thread_id": number, **shown}


def _name(arguments: Arguments) -> str:
    name = arguments.text("name")
    if not name:
        raise bad_request("topic name must be non-empty")
    return name[:MAX_NAME]


def edit_forum_topic(world: World, arguments: Arguments) -> bool:
    chat = _forum(world, arguments)
    topic = _topic(chat, arguments.integer("message_thread_id"))
    before = (topic.name, topic.icon_custom_emoji_id)
    topic.name = arguments.text("name")[:MAX_NAME] or topic.name
    if "icon_custom_emoji_id" in arguments.values:
        topic.icon_custom_emoji_id = arguments.text("icon_custom_emoji_id")
    if (topic.name, topic.icon_custom_emoji_id) == before:
        raise bad_request("TOPIC_NOT_MODIFIED")
    return True


def delete_forum_topic(world: World, arguments: Arguments) -> bool:
    chat, number = _forum(world, arguments), arguments.integer("message_thread_id")
    _topic(chat, number)
    if number == GENERAL_TOPIC:
        raise bad_request("TOPIC_ID_INVALID")
    del chat.topics[number]
    for each in [key for key, message in chat.messages.items() if message.get("message_thread_id") == number]:
        del chat.messages[each]
    return True


def _change(change: Callable[[Topic], None], in_general: bool, world: World, arguments: Arguments) -> bool:
    """Change a topic; raise Refusal if that changes nothing."""
    number = GENERAL_TOPIC if in_general else arguments.integer("message_thread_id")
    topic = _topic(_forum(world, arguments), number)
    before = (topic.is_closed, topic.is_hidden)
    change(topic)
    if (topic.is_closed, topic.is_hidden) == before:
        raise bad_request("TOPIC_NOT_MODIFIED")
    return True


def _close(topic: Topic) -> None:
    topic.is_closed = True


def _reopen(topic: Topic) -> None:
    topic.is_closed = topic.is_hidden = False


def _hide(topic: Topic) -> None:
    topic.is_closed = topic.is_hidden = True


def _unhide(topic: Topic) -> None:
    topic.is_hidden = False


def edit_general_forum_topic(world: World, arguments: Arguments) -> bool:
    _topic(_forum(world, arguments), GENERAL_TOPIC).name = _name(arguments)
    return True


def _unpin(in_general: bool, world: World, arguments: Arguments) -> bool:
    chat = _forum(world, arguments)
    number = None if in_general else arguments.integer("message_thread_id")
    there = [each for each in chat.pinned if chat.messages[each].get("message_thread_id") == number]
    if not there:
        raise bad_request("CHAT_NOT_MODIFIED")
    chat.pinned = [each for each in chat.pinned if each not in there]
    return True


METHODS: dict[str, Any] = {
    "createforumtopic": create_forum_topic,
    "editforumtopic": edit_forum_topic,
    "deleteforumtopic": delete_forum_topic,
    "closeforumtopic": partial(_change, _close, False),
    "reopenforumtopic": partial(_change, _reopen, False),
    "unpinallforumtopicmessages": partial(_unpin, False),
    "editgeneralforumtopic": edit_general_forum_topic,
    "closegeneralforumtopic": partial(_change, _close, True),
    "reopengeneralforumtopic": partial(_change, _reopen, True),
    "hidegeneralforumtopic": partial(_change, _hide, True),
    "unhidegeneralforumtopic": partial(_change, _unhide, True),
    "unpinallgeneralforumtopicmessages": partial(_unpin, True),
}
