"""A chat and its members: asking about them, changing what the bot may change, leaving."""

from __future__ import annotations

from typing import Any

from twins.telegram.arguments import Arguments, Upload
from twins.telegram.chats import Chat, Json
from twins.telegram.methods.media import photo_sizes
from twins.telegram.refusal import bad_request
from twins.telegram.sending import chat_id_of
from twins.telegram.world import World

MAX_TITLE = 128
MAX_DESCRIPTION = 255
NO_GIFTS = {
    "unlimited_gifts": False,
    "limited_gifts": False,
    "unique_gifts": False,
    "premium_subscription": False,
    "gifts_from_channels": False,
}
CREATOR = {"is_anonymous": False}
PERMISSIONS = (
    "can_send_messages",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_topics",
    "can_edit_tag",
    "can_react_to_messages",
)
ADMINISTRATOR_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)


def get_chat(world: World, arguments: Arguments) -> Json:
    chat = world.chat(chat_id_of(arguments))
    full = {**chat.info, "accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": NO_GIFTS, **chat.more}
    if not chat.is_private and chat.kind != "channel":
        full.setdefault("permissions", _permissions())
    if chat.pinned:
        full["pinned_message"] = chat.messages[chat.pinned[-1]]
    return full


def _permissions() -> Json:
    return dict.fromkeys(PERMISSIONS, True)


def member_json(world: World, chat: Chat, number: int) -> Json:
    """Return what the API says of a person in a chat."""
    user = world.user(number)
    if user is None:
        raise bad_request("invalid user_id specified")
    if number == world.bot["id"]:
        return {"user": user, **bot_role(chat)}
    role = chat.status_of(number)
    if role["status"] == "creator":
        role = {**CREATOR, **role}
    if role["status"] == "administrator":
        role = {**administrator(), **role}
    if role["status"] == "kicked":
        role = {"until_date": 0, **role}
    return {"user": user, **role}


def bot_role(chat: Chat) -> Json:
    if chat.bot_status == "administrator":
        return {"status": "administrator", **administrator()}
    return {"status": chat.bot_status, **({"until_date": 0} if chat.bot_status == "kicked" else {})}


def administrator() -> Json:
    rights = dict.fromkeys(ADMINISTRATOR_RIGHTS, True)
    return {"can_be_edited": False, "is_anonymous": False, "can_promote_members": False, **rights}


def get_chat_member(world: World, arguments: Arguments) -> Json:
    return member_json(world, world.chat(chat_id_of(arguments)), arguments.integer("user_id"))


def get_chat_administrators(world: World, arguments: Arguments) -> list[Json]:
    chat = world.chat(chat_id_of(arguments))
    if chat.is_private:
        raise bad_request("there are no administrators in the private chat")
    found = [member_json(world, chat, number) for number in chat.members]
    if chat.bot_status == "administrator":
        found.append(member_json(world, chat, world.bot["id"]))
    with_bots = arguments.boolean("return_bots")
    shown = [each for each in found if each["status"] in ("creator", "administrator")]
    return [each for each in shown if with_bots or not each["user"]["is_bot"] or each["user"] == world.bot]


def get_chat_member_count(world: World, arguments: Arguments) -> int:
    chat = world.chat(chat_id_of(arguments))
    return len(chat.members) + (1 if chat.has_bot else 0)


def leave_chat(world: World, arguments: Arguments) -> bool:
    chat = world.writable_chat(chat_id_of(arguments))
    if chat.is_private:
        raise bad_request("chat member status can't be changed in private chats")
    chat.bot_status = "left"
    world.log.note("left", chat=chat.info["id"])
    return True


def _ruled(world: World, arguments: Arguments, words: str) -> Chat:
    """Return a chat whose properties the bot may change; raise Refusal."""
    chat = world.writable_chat(chat_id_of(arguments))
    if chat.is_private:
        raise bad_request("method is available for supergroup and channel chats only")
    if chat.bot_status != "administrator":
        raise bad_request(words)
    return chat


def set_chat_title(world: World, arguments: Arguments) -> bool:
    chat = _ruled(world, arguments, "not enough rights to change chat title")
    title = arguments.text("title").strip()
    if not title:
        raise bad_request("chat title can't be empty")
    if len(title) > MAX_TITLE:
        raise bad_request("CHAT_TITLE_INVALID")
    chat.info["title"] = title
    return True


def set_chat_description(world: World, arguments: Arguments) -> bool:
    chat = _ruled(world, arguments, "not enough rights to set chat description")
    text = arguments.text("description")
    if len(text) > MAX_DESCRIPTION:
        raise bad_request("CHAT_ABOUT_TOO_LONG")
    if text == chat.more.get("description", ""):
        raise bad_request("chat description is not modified")
    chat.more["description"] = text
    return True


def set_chat_photo(world: World, arguments: Arguments) -> bool:
    chat = _ruled(world, arguments, "not enough rights to change chat photo")
    file = arguments.file("photo")
    if not isinstance(file, Upload):
        raise bad_request("photo must be uploaded as a file")
    small, *_, big = [*photo_sizes(world, file)] * 2
    chat.more["photo"] = {
        f"{name}_{part}": size[part]
        for name, size in (("small", small), ("big", big))
        for part in ("file_id", "file_unique_id")
    }
    return True


def delete_chat_photo(world: World, arguments: Arguments) -> bool:
    chat = _ruled(world, arguments, "not enough rights to change chat photo")
    if chat.more.pop("photo", None) is None:
        raise bad_request("CHAT_NOT_MODIFIED")
    return True


def promote_chat_member(world: World, arguments: Arguments) -> bool:
    _ruled(world, arguments, "not enough rights")
    raise bad_request("not enough rights")


def get_user_chat_boosts(world: World, arguments: Arguments) -> Json:
    chat = world.chat(chat_id_of(arguments))
    if chat.kind not in ("supergroup", "channel"):
        raise bad_request("PEER_ID_INVALID")
    return {"boosts": []}


METHODS: dict[str, Any] = {
    "getchat": get_chat,
    "getchatmember": get_chat_member,
    "getchatadministrators": get_chat_administrators,
    "getchatmembercount": get_chat_member_count,
    "leavechat": leave_chat,
    "setchattitle": set_chat_title,
    "setchatdescription": set_chat_description,
    "setchatphoto": set_chat_photo,
    "deletechatphoto": delete_chat_photo,
    "promotechatmember": promote_chat_member,
    "getuserchatboosts": get_user_chat_boosts,
}
