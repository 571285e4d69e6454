"""The bot itself: who it is, its names and descriptions, its commands, menu button, default rights and photo."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from twins.telegram.arguments import Arguments, Upload
from twins.telegram.chats import Json
from twins.telegram.methods.media import photo_sizes
from twins.telegram.refusal import bad_request
from twins.telegram.world import World

MAX_COMMANDS = 100
COMMAND_SCOPES = (
    "default",
    "all_private_chats",
    "all_group_chats",
    "all_chat_administrators",
    "chat",
    "chat_administrators",
    "chat_member",
)
TEXTS = {"name": 64, "description": 512, "short_description": 120}
RIGHTS = (
    "is_anonymous",
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)
GROUP_RIGHTS = ("can_pin_messages", "can_manage_topics", "can_manage_tags")
CHANNEL_RIGHTS = ("can_post_messages", "can_edit_messages", "can_manage_direct_messages")


def get_me(world: World, arguments: Arguments) -> Json:
    del arguments
    return {
        **world.bot,
        "can_join_groups": True,
        "can_read_all_group_messages": world.sees_all_in_groups,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
    }


def _set_text(name: str, world: World, arguments: Arguments) -> bool:
    text, language = arguments.text(name), arguments.text("language_code")
    if len(text) > TEXTS[name]:
        raise bad_request({"name": "BOT_TITLE_INVALID"}.get(name, f"bot {name.replace('_', ' ')} is too long"))
    world.profile[f"{name}:{language}"] = text
    return True


def _get_text(name: str, world: World, arguments: Arguments) -> Json:
    plain = world.profile.get(f"{name}:") or (world.bot["first_name"] if name == "name" else "")
    return {name: world.profile.get(f"{name}:{arguments.text('language_code')}") or plain}


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
    """Return the scope's one name: `default`, `all_private_chats`, `chat:1001`, with a language `default:de` …"""
    scope = arguments.structure("scope") or {"type": "default"}
    if scope.get("type") not in COMMAND_SCOPES:
        raise bad_request("can't parse BotCommandScope: unsupported type specified")
    parts = [str(scope["type"])]
    if scope["type"].startswith("chat"):
        parts.append(str(world.chat(scope.get("chat_id", "")).info["id"]))
    if scope["type"] == "chat_member":
        parts.append(str(scope["user_id"]))
    return ":".join([*parts, *([language] if (language := arguments.text("language_code")) else [])])


def set_default_rights(world: World, arguments: Arguments) -> bool:
    given = arguments.structure("rights") or {}
    kind = "channels" if arguments.boolean("for_channels") else "groups"
    not_there = {"is_anonymous"} if kind == "channels" else set()
    world.profile[f"rights:{kind}"] = {name for name, value in given.items() if value} - not_there
    return True


def get_default_rights(world: World, arguments: Arguments) -> Json:
    for_channels = arguments.boolean("for_channels")
    given = world.profile.get("rights:channels" if for_channels else "rights:groups", set())
    names = (*RIGHTS, *(CHANNEL_RIGHTS if for_channels else GROUP_RIGHTS))
    return {name: name in given for name in names}


def set_chat_menu_button(world: World, arguments: Arguments) -> bool:
    button = arguments.structure("menu_button") or {"type": "default"}
    if button.get("type") not in ("commands", "web_app", "default"):
        raise bad_request("MenuButton has unsupported type")
    world.profile[f"menu:{arguments.text('chat_id')}"] = button
    return True


def get_chat_menu_button(world: World, arguments: Arguments) -> Json:
    chat_id = arguments.text("chat_id")
    unset = {"type": "default" if chat_id else "commands"}
    return dict(world.profile.get(f"menu:{chat_id}", unset))


def set_my_profile_photo(world: World, arguments: Arguments) -> bool:
    photo = arguments.structure("photo") or {}
    file = arguments.attached(photo.get("photo") or photo.get("animation"))
    if not isinstance(file, Upload):
        raise bad_request("photo must be uploaded as a file")
    world.photos.setdefault(world.bot["id"], []).insert(0, photo_sizes(world, file))
    return True


def remove_my_profile_photo(world: World, arguments: Arguments) -> bool:
    del arguments
    world.photos.pop(world.bot["id"], None)
    return True


def get_user_profile_photos(world: World, arguments: Arguments) -> Json:
    number = arguments.integer("user_id")
    if world.user(number) is None:
        raise bad_request("user not found")
    photos = world.photos.get(number, [])
    offset, limit = arguments.integer("offset"), arguments.integer("limit", 100)
    return {"total_count": len(photos), "photos": photos[offset : offset + limit]}


def get_user_profile_audios(world: World, arguments: Arguments) -> Json:
    if world.user(arguments.integer("user_id")) is None:
        raise bad_request("user not found")
    return {"total_count": 0, "audios": []}


METHODS: dict[str, Any] = {
    "getme": get_me,
    **{f"setmy{name.replace('_', '')}": partial(_set_text, name) for name in TEXTS},
    **{f"getmy{name.replace('_', '')}": partial(_get_text, name) for name in TEXTS},
    "setmycommands": set_my_commands,
    "getmycommands": get_my_commands,
    "deletemycommands": delete_my_commands,
    "setmydefaultadministratorrights": set_default_rights,
    "getmydefaultadministratorrights": get_default_rights,
    "setchatmenubutton": set_chat_menu_button,
    "getchatmenubutton": get_chat_menu_button,
    "setmyprofilephoto": set_my_profile_photo,
    "removemyprofilephoto": remove_my_profile_photo,
    "getuserprofilephotos": get_user_profile_photos,
    "getuserprofileaudios": get_user_profile_audios,
}
