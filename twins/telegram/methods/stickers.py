"""Stickers, and sets of them that the bot makes and changes."""

from __future__ import annotations

import re
from typing import Any

from twins.telegram.arguments import Arguments, Upload
from twins.telegram.chats import Json
from twins.telegram.files import StoredFile, fitted, image_size
from twins.telegram.methods.files import received
from twins.telegram.refusal import bad_request
from twins.telegram.sending import destination, send
from twins.telegram.world import World

SIDE = 512
THUMBNAIL_SIDE = 320
MAX_STICKERS = 120


def _kind_of(content: bytes) -> Json:
    """Return whether a sticker moves, by how its file begins: packed vectors, or a Matroska video."""
    return {"is_animated": content.startswith(b"\x1f\x8b"), "is_video": content.startswith(b"\x1aE\xdf\xa3")}


def sticker_json(world: World, file: Upload | StoredFile, **more: Any) -> Json:
    """Return a sticker; a picture of another size than a sticker's is taken all the same."""
    if isinstance(file, StoredFile):
        return {**file.as_json(), **file.about}
    width, height = image_size(file.content) or (SIDE, SIDE)
    small = fitted((width, height), THUMBNAIL_SIDE)
    picture = Upload(name="thumb.jpg", media_type="image/jpeg", content=file.content)
    thumbnail = {**world.files.store(picture, "thumbnail").as_json(), "width": small[0], "height": small[1]}
    about = {
        "type": "regular",
        "width": width,
        "height": height,
        **_kind_of(file.content),
        "thumbnail": thumbnail,
        **more,
    }
    stored = world.files.store(file, "sticker", about)
    return {**stored.as_json(), **about}


def send_sticker(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    emoji = {"emoji": arguments.text("emoji")} if arguments.text("emoji") else {}
    file = received(world, arguments, "sticker", "sticker")
    return send(world, arguments, {"sticker": sticker_json(world, file, **emoji)})


def upload_sticker_file(world: World, arguments: Arguments) -> Json:
    file = received(world, arguments, "sticker", "sticker")
    sticker = sticker_json(world, file)
    return {name: sticker[name] for name in ("file_id", "file_unique_id", "file_size")}


def _set(world: World, name: str) -> Json:
    found = world.sticker_sets.get(name.lower())
    if found is None:
        raise bad_request("STICKERSET_INVALID")
    return found


def _input_sticker(world: World, arguments: Arguments, wanted: Any, name: str, kind: str) -> Json:
    if not isinstance(wanted, dict) or not wanted.get("emoji_list"):
        raise bad_request("can't parse InputSticker: emoji list must be non-empty")
    file = received(world, arguments, "sticker", "sticker", wanted.get("sticker"))
    more: Json = {"type": kind, "set_name": name, "emoji": wanted["emoji_list"][0]}
    if kind == "mask" and wanted.get("mask_position"):
        more["mask_position"] = wanted["mask_position"]
    if isinstance(file, StoredFile):
        file = Upload(name=file.name, media_type=file.media_type, content=file.content)
    return sticker_json(world, file, **more)


def create_new_sticker_set(world: World, arguments: Arguments) -> bool:
    name, kind = arguments.text("name"), arguments.text("sticker_type") or "regular"
    if not re.fullmatch(r"[a-zA-Z]\w{0,63}", name) or not name.lower().endswith(f"_by_{world.bot['username']}".lower()):
        raise bad_request("invalid sticker set name is specified")
    if name.lower() in world.sticker_sets:
        raise bad_request("sticker set name is already occupied")
    stickers = [_input_sticker(world, arguments, each, name, kind) for each in arguments.list_of("stickers")]
    if not stickers:
        raise bad_request("STICKERS_EMPTY")
    made = {"name": name, "title": arguments.text("title"), "sticker_type": kind, "stickers": stickers}
    world.sticker_sets[name.lower()] = made
    return True


def get_sticker_set(world: World, arguments: Arguments) -> Json:
    return _set(world, arguments.text("name"))


def delete_sticker_set(world: World, arguments: Arguments) -> bool:
    _set(world, arguments.text("name"))
    del world.sticker_sets[arguments.text("name").lower()]
    return True


def add_sticker_to_set(world: World, arguments: Arguments) -> bool:
    found = _set(world, arguments.text("name"))
    if len(found["stickers"]) >= MAX_STICKERS:
        raise bad_request("STICKERS_TOO_MUCH")
    wanted = arguments.structure("sticker")
    found["stickers"].append(_input_sticker(world, arguments, wanted, found["name"], found["sticker_type"]))
    return True


def _in_set(world: World, file_id: str) -> tuple[Json, int]:
    """Return the set that a sticker is in, and its place; raise Refusal."""
    for each in world.sticker_sets.values():
        for place, sticker in enumerate(each["stickers"]):
            if sticker["file_id"] == file_id:
                return each, place
    raise bad_request("STICKER_INVALID")


def set_sticker_position_in_set(world: World, arguments: Arguments) -> bool:
    found, place = _in_set(world, arguments.text("sticker"))
    found["stickers"].insert(arguments.integer("position"), found["stickers"].pop(place))
    return True


def delete_sticker_from_set(world: World, arguments: Arguments) -> bool:
    found, place = _in_set(world, arguments.text("sticker"))
    del found["stickers"][place]
    return True


def replace_sticker_in_set(world: World, arguments: Arguments) -> bool:
    found, place = _in_set(world, arguments.text("old_sticker"))
    wanted = arguments.structure("sticker")
    found["stickers"][place] = _input_sticker(world, arguments, wanted, found["name"], found["sticker_type"])
    return True


def set_sticker_emoji_list(world: World, arguments: Arguments) -> bool:
    found, place = _in_set(world, arguments.text("sticker"))
    emoji = arguments.list_of("emoji_list")
    if not emoji:
        raise bad_request("emoji list must be non-empty")
    found["stickers"][place]["emoji"] = emoji[0]
    return True


def set_sticker_keywords(world: World, arguments: Arguments) -> bool:
    _in_set(world, arguments.text("sticker"))
    return True


def set_sticker_mask_position(world: World, arguments: Arguments) -> bool:
    found, place = _in_set(world, arguments.text("sticker"))
    if found["sticker_type"] != "mask":
        raise bad_request("STICKER_MASK_POSITION_INVALID")
    found["stickers"][place]["mask_position"] = arguments.structure("mask_position")
    return True


def set_sticker_set_title(world: World, arguments: Arguments) -> bool:
    _set(world, arguments.text("name"))["title"] = arguments.text("title")
    return True


def set_sticker_set_thumbnail(world: World, arguments: Arguments) -> bool:
    _set(world, arguments.text("name"))
    return True


def get_custom_emoji_stickers(world: World, arguments: Arguments) -> list[Json]:
    wanted = {str(each) for each in arguments.list_of("custom_emoji_ids")}
    every = (sticker for each in world.sticker_sets.values() for sticker in each["stickers"])
    return [sticker for sticker in every if sticker.get("custom_emoji_id") in wanted]


def get_forum_topic_icon_stickers(world: World, arguments: Arguments) -> list[Json]:
    del arguments
    found: list[Json] = world.sticker_sets.get("topics", {}).get("stickers", [])
    return found


METHODS: dict[str, Any] = {
    "sendsticker": send_sticker,
    "uploadstickerfile": upload_sticker_file,
    "createnewstickerset": create_new_sticker_set,
    "getstickerset": get_sticker_set,
    "deletestickerset": delete_sticker_set,
    "addstickertoset": add_sticker_to_set,
    "setstickerpositioninset": set_sticker_position_in_set,
    "deletestickerfromset": delete_sticker_from_set,
    "replacestickerinset": replace_sticker_in_set,
    "setstickeremojilist": set_sticker_emoji_list,
    "setstickerkeywords": set_sticker_keywords,
    "setstickermaskposition": set_sticker_mask_position,
    "setstickersettitle": set_sticker_set_title,
    "setstickersetthumbnail": set_sticker_set_thumbnail,
    "setcustomemojistickersetthumbnail": set_sticker_set_thumbnail,
    "getcustomemojistickers": get_custom_emoji_stickers,
    "getforumtopiciconstickers": get_forum_topic_icon_stickers,
}
