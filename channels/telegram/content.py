"""What a message of Telegram's holds: its text or what it is in words, its files, who said it first. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from protocol.message import MAX_TEXT_CHARS, PendingFile

CUT_MARK = "\n[cut here: the text was too long]"
_FILES = ("document", "audio", "voice", "video", "video_note", "animation")
_MEDIA_TYPES = {
    "photo": "image/jpeg",
    "voice": "audio/ogg",
    "audio": "audio/mpeg",
    "video": "video/mp4",
    "video_note": "video/mp4",
    "animation": "video/mp4",
}
_SUFFIXES = {"image/jpeg": ".jpg", "audio/ogg": ".ogg", "audio/mpeg": ".mp3", "video/mp4": ".mp4"}


def text_of(said: dict[str, Any]) -> str:
    """Return what the message says; a sticker is its emoji, and what has no text is told in words."""
    text = said.get("text", said.get("caption"))
    return whole(_described(said)) if text is None else cut(whole(typed_str(text)))


def _described(said: dict[str, Any]) -> str:
    if "sticker" in said:
        return str(said["sticker"].get("emoji") or "[sticker]")
    if "venue" in said:
        return f"[place: {said['venue']['title']}, {said['venue']['address']}]"
    if "location" in said:
        return f"[location: {float(said['location']['latitude'])}, {float(said['location']['longitude'])}]"
    if "contact" in said:
        return f"[contact: {name_of(said['contact'])}, {said['contact']['phone_number']}]"
    if "poll" in said:
        options = " / ".join(str(option["text"]) for option in said["poll"]["options"])
        return f"[poll: {said['poll']['question']} {options}]"
    if "dice" in said:
        return f"[{said['dice'].get('emoji', 'dice')} shows {said['dice']['value']}]"
    return ""


def files_of(said: dict[str, Any]) -> Iterable[PendingFile]:
    """Yield the files that Telegram holds of the message; a sticker is none: its emoji says it."""
    if said.get("photo"):
        largest = max(said["photo"], key=lambda size: int(size["width"]) * int(size["height"]))
        yield _pending_file("photo", largest)
    for kind in _FILES:
        # An animation comes as a document too, for old clients: once is enough.
        if kind in said and not (kind == "document" and "animation" in said):
            yield _pending_file(kind, said[kind])


def _pending_file(kind: str, file: dict[str, Any]) -> PendingFile:
    media_type = whole(str(file.get("mime_type") or _MEDIA_TYPES.get(kind, "application/octet-stream")))
    name = file.get("file_name") or f"{kind}{_SUFFIXES.get(media_type, '')}"
    size = file.get("file_size")
    return PendingFile(
        reference=str(file["file_id"]),
        name=whole(str(name)),
        media_type=media_type,
        size=None if size is None else int(size),
        is_voice=kind == "voice",
    )


def forwarded_from(said: dict[str, Any]) -> str:
    """Return who said it first, empty for what is the sender's own."""
    origin = said.get("forward_origin")
    if origin is None:
        return ""
    match origin["type"]:
        case "user":
            return name_of(origin["sender_user"])
        case "chat":
            return name_of(origin["sender_chat"])
        case "channel":
            return name_of(origin["chat"])
        case _:  # hidden_user
            return whole(str(origin.get("sender_user_name") or "(no name)"))


def reaction_text(reactions: list[dict[str, Any]]) -> str:
    """Return the emoji of the reactions that a person has under a message."""
    return whole("".join(_REACTIONS.get(each["type"], str(each.get("emoji") or "❔")) for each in reactions))


_REACTIONS = {"paid": "⭐", "custom_emoji": "❔"}
"""What is no emoji of everybody's."""


def name_of(sender: dict[str, Any]) -> str:
    parts = (sender.get("title"), sender.get("first_name"), sender.get("last_name"))
    name = " ".join(str(part) for part in parts if part)
    return whole(name or str(sender.get("username") or "(no name)"))


def typed_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text that is {type(value).__name__}")
    return value


def whole(text: str) -> str:
    """Return the text with lone surrogates replaced: JSON can carry them, UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - len(CUT_MARK)] + CUT_MARK
