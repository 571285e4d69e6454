"""Sending files of every kind, one or an album of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twins.telegram.arguments import Arguments, Upload
from twins.telegram.chats import Json
from twins.telegram.files import IMAGE_BEGINNINGS, MAX_THUMBNAIL, StoredFile, fitted, image_size, media_type_of
from twins.telegram.methods.files import received
from twins.telegram.refusal import bad_request
from twins.telegram.sending import caption_of, destination, send
from twins.telegram.world import World

ALBUM = range(2, 11)
PHOTO_SIDES = (90, 320, 800, 1280)
_FRAME = b"\x21\xf9\x04"
"""What each picture of an animated GIF begins with: a document that has several is an animation to the server."""
Size = tuple[int, int] | None
_MIXABLE = frozenset({"photo", "video", "live_photo"})


def _said(arguments: Arguments, *names: str) -> Json:
    """Return the numbers that the client gave for a file: width, duration …"""
    return {name: int(arguments.number(name)) for name in names if name in arguments.values}


def _thumbnail(world: World, arguments: Arguments, picture: bytes = b"", size: tuple[int, int] | None = None) -> Json:
    """Return the small picture of a file: the one that came with it, else one of the file itself, which for a film of
    that size stands for a frame of it."""
    file = arguments.file("thumbnail") or arguments.file("thumb")
    content = file.content if isinstance(file, Upload) else picture
    shown = size or image_size(content)
    if shown is None:
        return {}
    width, height = fitted(shown, MAX_THUMBNAIL)
    stored = world.files.store(Upload(name="thumb.jpg", media_type="image/jpeg", content=content), "thumbnail")
    return {"thumbnail": {**stored.as_json(), "width": width, "height": height}}


def photo_sizes(world: World, file: Upload) -> list[Json]:
    """Return a picture in its sizes, small to large; raise Refusal if it is none."""
    size = image_size(file.content)
    if not file.content.startswith(IMAGE_BEGINNINGS):
        raise bad_request("IMAGE_PROCESS_FAILED")
    size = size or (320, 240)
    if sum(size) > 10_000 or max(size) > 20 * max(1, min(size)):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    sides = [side for side in PHOTO_SIDES if side < max(size)] or []
    shown = [fitted(size, side) for side in sides] + [fitted(size, PHOTO_SIDES[-1])]
    sizes = []
    for number, (width, height) in enumerate(dict.fromkeys(shown)):
        small = Upload(name="photo.jpg", media_type="image/jpeg", content=file.content)
        stored = world.files.store(small, "photo")
        stored.unique_id = f"{stored.unique_id[:-1]}{'smxy'[min(number, 3)]}"
        sizes.append({**stored.as_json(), "width": width, "height": height})
    for each in sizes:
        world.files[each["file_id"]].about = {"sizes": sizes}
    return sizes


def _photo(world: World, _: Arguments, file: Upload | StoredFile) -> Json:
    sizes = file.about["sizes"] if isinstance(file, StoredFile) else photo_sizes(world, file)
    return {"photo": sizes}


def _kept(kind: str, world: World, file: Upload | StoredFile, about: Json) -> Json:
    stored = file if isinstance(file, StoredFile) else world.files.store(file, kind, about)
    return {**stored.as_json(), **stored.about}


def _document(world: World, arguments: Arguments, file: Upload | StoredFile) -> Json:
    if isinstance(file, Upload) and file.content.startswith(b"GIF8") and file.content.count(_FRAME) > 1:
        return _animation(world, arguments, file)
    if isinstance(file, StoredFile) and file.kind != "document":
        return {file.kind: _kept(file.kind, world, file, {})}
    return {"document": _kept("document", world, file, _named(world, arguments, file))}


def _named(
    world: World, arguments: Arguments, file: Upload | StoredFile, media_type: str = "", size: Size = None
) -> Json:
    if isinstance(file, StoredFile):
        return {}
    about = {"file_name": file.name, "mime_type": media_type or media_type_of(file)}
    return {**about, **_thumbnail(world, arguments, file.content, size)}


def _animation(world: World, arguments: Arguments, file: Upload | StoredFile) -> Json:
    """An animation is a document too, for clients that do not know it."""
    if isinstance(file, Upload):
        width, height = image_size(file.content) or (320, 180)
        shape = {"duration": 1, "width": width, "height": height} | _said(arguments, "duration", "width", "height")
        about = _named(world, arguments, file, "video/mp4", (shape["width"], shape["height"]))
        if about["file_name"].lower().endswith(".gif"):
            about["file_name"] += ".mp4"
        file = world.files.store(file, "animation", {**about, **shape})
    shown = _kept("animation", world, file, {})
    document = {key: value for key, value in shown.items() if key not in ("duration", "width", "height")}
    return {"animation": shown, "document": document}


def _video(world: World, arguments: Arguments, file: Upload | StoredFile) -> Json:
    shape: Json = {"duration": 5, "width": 360, "height": 640} | _said(arguments, "duration", "width", "height")
    if "start_timestamp" in arguments.values:
        shape["start_timestamp"] = int(arguments.number("start_timestamp"))
    cover = arguments.file("cover")
    if isinstance(cover, Upload):
        shape["cover"] = photo_sizes(world, cover)
    elif isinstance(cover, str) and (known := world.files.get(cover)) is not None:
        shape["cover"] = known.about["sizes"]
    name = _named(world, arguments, file, "video/mp4", (shape["width"], shape["height"]))
    return {"video": _kept("video", world, file, {**name, **shape})}


def _audio(world: World, arguments: Arguments, file: Upload | StoredFile) -> Json:
    about: Json = {"duration": 3, **_said(arguments, "duration"), **_named(world, arguments, file)}
    for name in ("performer", "title"):
        if arguments.text(name):
            about[name] = arguments.text(name)
    return {"audio": _kept("audio", world, file, about)}


def _voice(world: World, arguments: Arguments, file: Upload | StoredFile) -> Json:
    about = {"duration": 3, **_said(arguments, "duration"), "mime_type": "audio/ogg"}
    return {"voice": _kept("voice", world, file, about)}


def _video_note(world: World, arguments: Arguments, file: Upload | StoredFile) -> Json:
    about = {"duration": 3, "length": 240, **_said(arguments, "duration", "length")}
    thumbnail = _thumbnail(world, arguments, size=(about["length"], about["length"]))
    return {"video_note": _kept("video_note", world, file, {**about, **thumbnail})}


def _live_photo(world: World, arguments: Arguments, file: Upload | StoredFile) -> Json:
    if isinstance(file, StoredFile) and file.kind == "live_photo":
        return {"live_photo": _kept("live_photo", world, file, {}), "photo": file.about["photo"]}
    picture = received(world, arguments, "photo", "photo")
    sizes = picture.about["sizes"] if isinstance(picture, StoredFile) else photo_sizes(world, picture)
    shape = {"duration": 5, "width": 360, "height": 640} | _said(arguments, "duration", "width", "height")
    about = {**shape, "mime_type": "video/mp4", "photo": sizes}
    if isinstance(file, StoredFile):
        file = Upload(name=file.name, media_type=file.media_type, content=file.content)
    return {"live_photo": _kept("live_photo", world, file, about), "photo": sizes}


KINDS: dict[str, Callable[[World, Arguments, Upload | StoredFile], Json]] = {
    "photo": _photo,
    "document": _document,
    "animation": _animation,
    "video": _video,
    "audio": _audio,
    "voice": _voice,
    "video_note": _video_note,
    "live_photo": _live_photo,
}
_SPOILED = frozenset({"photo", "video", "animation", "live_photo"})


def media_content(world: World, arguments: Arguments, kind: str, value: Any = None) -> Json:
    """Return what a message with a file holds, the caption too; raise Refusal."""
    content = KINDS[kind](world, arguments, received(world, arguments, kind, kind, value))
    if kind in _SPOILED and arguments.boolean("has_spoiler"):
        content["has_media_spoiler"] = True
    return content if kind == "video_note" else {**content, **caption_of(arguments)}


def _send_one(kind: str, world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    return send(world, arguments, media_content(world, arguments, kind))


def input_media(world: World, arguments: Arguments, item: Any) -> Json:
    """Return the content of one item of an album, or of what replaces a message's file; raise Refusal."""
    if not isinstance(item, dict) or item.get("type") not in KINDS:
        raise bad_request("can't parse InputMedia: invalid type specified")
    return media_content(world, Arguments(values=item, uploads=arguments.uploads), item["type"], item.get("media"))


def send_media_group(world: World, arguments: Arguments) -> list[Json]:
    destination(world, arguments)
    items = arguments.list_of("media")
    if len(items) not in ALBUM:
        raise bad_request(f"{'too few' if len(items) < ALBUM.start else 'too many'} messages to send as an album")
    kinds = {item.get("type") for item in items if isinstance(item, dict)}
    if len(kinds) > 1 and not kinds <= _MIXABLE:
        raise bad_request("can't use the media of the specified type in the album")
    group = str(world.next_number())
    contents = [input_media(world, arguments, item) for item in items]
    return [send(world, arguments, {**content, "media_group_id": group}) for content in contents]


def send_paid_media(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    shown: list[Json] = []
    for item in arguments.list_of("media"):
        content = input_media(world, arguments, item)
        kind = item["type"]
        shown.append({"type": kind, kind: content[kind]})
    stars = arguments.integer("star_count")
    return send(world, arguments, {"paid_media": {"star_count": stars, "paid_media": shown}, **caption_of(arguments)})


METHODS: dict[str, Any] = {
    **{f"send{kind.replace('_', '')}": partial(_send_one, kind) for kind in KINDS},
    "sendmediagroup": send_media_group,
    "sendpaidmedia": send_paid_media,
}
