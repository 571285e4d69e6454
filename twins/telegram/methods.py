"""The methods of the Bot API, but getUpdates, which waits (`polling.py`)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from twins.telegram.arguments import Arguments, Upload
from twins.telegram.refusal import Refusal, bad_request
from twins.telegram.texts import checked_caption, checked_entities, checked_text
from twins.telegram.world import DRAFT_S, TYPING_S, Chat, Json, StoredFile, World

MAX_UPLOAD_BYTES = 50_000_000
MAX_PHOTO_BYTES = 10_000_000
MAX_DOWNLOAD_BYTES = 20 << 20
IMAGE_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8")
MAX_COMMANDS = 100
COMMAND_SCOPES = ("default", "all_private_chats", "all_group_chats", "all_chat_administrators", "chat")
REACTIONS = frozenset("👀👍👎❤🔥👏🎉🤔👌🙏")
"""Some of those that anybody may give."""
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
    }
)


def get_me(world: World, arguments: Arguments) -> Json:
    del arguments
    rights = {"can_join_groups": True, "can_read_all_group_messages": world.sees_all_in_groups}
    return {**world.bot, **rights, "supports_inline_queries": False}


def delete_webhook(world: World, arguments: Arguments) -> bool:
    if arguments.text("drop_pending_updates").lower() in ("true", "1"):
        world.updates.clear()
    return True


def get_webhook_info(world: World, arguments: Arguments) -> Json:
    del arguments
    return {"url": "", "has_custom_certificate": False, "pending_update_count": len(world.updates)}


def send_message(world: World, arguments: Arguments) -> Json:
    chat, topic = _destination(world, arguments)
    if arguments.text("parse_mode"):
        raise bad_request("unsupported parse_mode")
    text, entities = checked_text(arguments.text("text"), arguments.structure("entities"))
    content: Json = {"text": text}
    if entities:
        content["entities"] = entities
    preview = arguments.structure("link_preview_options")
    if preview:
        content["link_preview_options"] = preview
    return _sent(world, chat, topic, arguments, content)


def send_document(world: World, arguments: Arguments) -> Json:
    chat, topic = _destination(world, arguments)
    file = _received(world, arguments, "document", MAX_UPLOAD_BYTES)
    document = {**_file_json(file), "file_name": file.name, "mime_type": file.media_type}
    return _sent(world, chat, topic, arguments, {"document": document, **_caption(arguments)})


def send_photo(world: World, arguments: Arguments) -> Json:
    chat, topic = _destination(world, arguments)
    file = _received(world, arguments, "photo", MAX_PHOTO_BYTES)
    if not file.content.startswith(IMAGE_BEGINNINGS):
        raise bad_request("IMAGE_PROCESS_FAILED")
    sizes = [{**_file_json(file), "width": 320, "height": 240}]
    return _sent(world, chat, topic, arguments, {"photo": sizes, **_caption(arguments)})


def edit_message_text(world: World, arguments: Arguments) -> Json:
    message = _own_message(world, arguments, "message to edit not found")
    text, entities = checked_text(arguments.text("text"), arguments.structure("entities"))
    markup = _keyboard(arguments)
    if (text, entities, markup) == (message.get("text"), message.get("entities", []), message.get("reply_markup")):
        words = "specified new message content and reply markup are exactly the same as a current content"
        raise bad_request(f"message is not modified: {words} and reply markup of the message")
    message["text"] = text
    for key, value in (("entities", entities), ("reply_markup", markup)):
        message.pop(key, None)
        if value:
            message[key] = value
    message["edit_date"] = int(time.time())
    return message


def edit_message_reply_markup(world: World, arguments: Arguments) -> Json:
    message = _own_message(world, arguments, "message to edit not found")
    markup = _keyboard(arguments)
    if markup == message.get("reply_markup"):
        raise bad_request("message is not modified: specified new reply markup is the same as the current one")
    message.pop("reply_markup", None)
    if markup:
        message["reply_markup"] = markup
    message["edit_date"] = int(time.time())
    return message


def delete_message(world: World, arguments: Arguments) -> bool:
    message = _own_message(world, arguments, "message to delete not found")
    del world.chats[message["chat"]["id"]].messages[message["message_id"]]
    return True


def send_chat_action(world: World, arguments: Arguments) -> bool:
    chat, _ = _destination(world, arguments)
    if arguments.text("action") not in CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat.typing_until = time.time() + TYPING_S
    return True


def send_message_draft(world: World, arguments: Arguments) -> bool:
    chat, _ = _destination(world, arguments)
    if chat.info["type"] != "private" or not arguments.integer("draft_id"):
        raise bad_request("TEXTDRAFT_PEER_INVALID")
    checked_entities(arguments.text("text"), arguments.structure("entities"))
    chat.draft, chat.draft_until = arguments.text("text"), time.time() + DRAFT_S
    return True


def get_file(world: World, arguments: Arguments) -> Json:
    file = world.files.get(arguments.text("file_id"))
    if file is None:
        raise bad_request("invalid file_id")
    if len(file.content) > MAX_DOWNLOAD_BYTES:
        raise bad_request("file is too big")
    return {**_file_json(file), "file_path": file.path}


def answer_callback_query(world: World, arguments: Arguments) -> bool:
    press = world.presses.get(arguments.text("callback_query_id"))
    if press is None or press["answered"]:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    if len(arguments.text("text")) > 200:
        raise bad_request("MESSAGE_TOO_LONG")
    press |= {"answered": True, "shown": arguments.text("text")}
    return True


def set_my_commands(world: World, arguments: Arguments) -> bool:
    commands = arguments.structure("commands")
    if not isinstance(commands, list):
        raise bad_request("can't parse commands: expected an Array")
    for command in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", str(command.get("command"))):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description"))) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    if len(commands) > MAX_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    world.commands[_scope(world, arguments)] = commands
    return True


def delete_my_commands(world: World, arguments: Arguments) -> bool:
    world.commands.pop(_scope(world, arguments), None)
    return True


def get_my_commands(world: World, arguments: Arguments) -> list[Json]:
    return world.commands.get(_scope(world, arguments), [])


def _scope(world: World, arguments: Arguments) -> str:
    """Return the scope's one name: `default`, `all_private_chats`, `chat:1001` …"""
    scope = arguments.structure("scope") or {"type": "default"}
    if scope.get("type") not in COMMAND_SCOPES:
        raise bad_request("unsupported bot command scope")
    if scope["type"] != "chat":
        return str(scope["type"])
    return f"chat:{world.chat(int(scope['chat_id'])).info['id']}"


def set_message_reaction(world: World, arguments: Arguments) -> bool:
    chat = world.writable_chat(arguments.integer("chat_id"))
    message = chat.messages.get(arguments.integer("message_id"))
    if message is None:
        raise bad_request("message to react not found")
    reactions = arguments.structure("reaction") or []
    if any(each.get("type") != "emoji" or each.get("emoji") not in REACTIONS for each in reactions):
        raise bad_request("REACTION_INVALID")
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    chat.reactions[message["message_id"]] = [each["emoji"] for each in reactions]
    return True


def get_chat(world: World, arguments: Arguments) -> Json:
    info = world.chat(arguments.integer("chat_id")).info
    return {**info, "accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": _NO_GIFTS}


_NO_GIFTS = {
    "unlimited_gifts": False,
    "limited_gifts": False,
    "unique_gifts": False,
    "premium_subscription": False,
    "gifts_from_channels": False,
}
METHODS: dict[str, Callable[[World, Arguments], Any]] = {
    "getme": get_me,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": get_webhook_info,
    "sendmessage": send_message,
    "senddocument": send_document,
    "sendphoto": send_photo,
    "editmessagetext": edit_message_text,
    "editmessagereplymarkup": edit_message_reply_markup,
    "deletemessage": delete_message,
    "sendchataction": send_chat_action,
    "sendmessagedraft": send_message_draft,
    "getfile": get_file,
    "answercallbackquery": answer_callback_query,
    "setmycommands": set_my_commands,
    "getmycommands": get_my_commands,
    "deletemycommands": delete_my_commands,
    "setmessagereaction": set_message_reaction,
    "getchat": get_chat,
}


def call_method(world: World, name: str, arguments: Arguments) -> Any:
    """Return the result of a method, its name in any case; raise Refusal."""
    method = METHODS.get(name.lower())
    if method is None:
        raise Refusal(404, "Not Found: method not found")
    return method(world, arguments)


def _destination(world: World, arguments: Arguments) -> tuple[Chat, int | None]:
    if not arguments.text("chat_id"):
        raise bad_request("chat_id is empty")
    chat = world.writable_chat(arguments.integer("chat_id"))
    topic = arguments.integer("message_thread_id") or None
    if topic is not None and topic not in chat.topics:
        raise bad_request("message thread not found")
    return chat, topic


def _sent(world: World, chat: Chat, topic: int | None, arguments: Arguments, content: Json) -> Json:
    replied = _replied(chat, arguments)
    markup = _keyboard(arguments)
    if replied is not None:
        content["reply_to_message"] = {key: value for key, value in replied.items() if key != "reply_to_message"}
    if markup:
        content["reply_markup"] = markup
    chat.typing_until = chat.draft_until = 0.0
    return world.new_message(chat, world.bot, topic, **content)


def _replied(chat: Chat, arguments: Arguments) -> Json | None:
    reply = arguments.structure("reply_parameters")
    if not reply:
        return None
    found = chat.messages.get(reply["message_id"])
    if found is None and not reply.get("allow_sending_without_reply"):
        raise bad_request("message to be replied not found")
    return found


def _keyboard(arguments: Arguments) -> Json | None:
    markup = arguments.structure("reply_markup")
    if not markup:
        return None
    for button in (button for row in markup.get("inline_keyboard", []) for button in row):
        if not button.get("text"):
            raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
        if not 1 <= len(button.get("callback_data", button.get("url", "")).encode()) <= 64:
            raise bad_request("BUTTON_DATA_INVALID")
    return dict(markup)


def _caption(arguments: Arguments) -> Json:
    caption, entities = checked_caption(arguments.text("caption"), arguments.structure("caption_entities"))
    content: Json = {"caption": caption} if caption else {}
    return {**content, "caption_entities": entities} if entities else content


def _received(world: World, arguments: Arguments, kind: str, max_bytes: int) -> StoredFile:
    file = arguments.file(kind)
    if isinstance(file, str) and file in world.files:
        return world.files[file]
    if not isinstance(file, Upload):
        raise bad_request(f"there is no {kind} in the request")
    if not file.content:
        raise bad_request("file must be non-empty")
    if len(file.content) > max_bytes:
        raise Refusal(413, "Request Entity Too Large")
    return world.new_file(file, f"{kind}s")


def _file_json(file: StoredFile) -> Json:
    return {"file_id": file.file_id, "file_unique_id": file.unique_id, "file_size": len(file.content)}


def _own_message(world: World, arguments: Arguments, otherwise: str) -> Json:
    message = world.writable_chat(arguments.integer("chat_id")).messages.get(arguments.integer("message_id"))
    if message is None:
        raise bad_request(otherwise)
    if message["from"]["id"] != world.bot["id"]:
        raise bad_request("message can't be edited")
    return message
