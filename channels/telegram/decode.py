"""A stored raw update of Telegram to what it says. Pure.

The raw form is an envelope of ours, `{"bot": {"id", "username"}, "update": {…}}`: the bot's own name is needed to
know a mention, and its id to keep the update numbers of two bots apart. `encode.py` is the way back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from channels.channel import Undecodable
from channels.markdown.telegram import utf16_units
from protocol.codec import ShapeError, from_json, to_json
from protocol.ids import ChannelId, ChatKey, PersonKey, PlatformMessageId
from protocol.message import MAX_TEXT_CHARS, InboundMessage, PendingFile

LONGEST_UNITS = 4_096
"""Of one message's text, in UTF-16 units: Telegram's own limit."""
APPS_LOOK_BACK_UNITS = 300
"""Apps cut a longer text there, or at the last end of a line or a word so far before it."""
CUT_MARK = "\n[cut here: the text was too long]"
_FILES = ("document", "audio", "voice", "video", "video_note", "animation", "sticker")
_MEDIA_TYPES = {
    "photo": "image/jpeg",
    "voice": "audio/ogg",
    "audio": "audio/mpeg",
    "video": "video/mp4",
    "video_note": "video/mp4",
    "animation": "video/mp4",
    "sticker": "image/webp",
}
_SUFFIXES = {
    "image/jpeg": ".jpg",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "video/mp4": ".mp4",
    "image/webp": ".webp",
    "video/webm": ".webm",
}


def envelope(bot_id: int, username: str, update: object) -> bytes:
    """Return the raw form that is stored."""
    return json.dumps({"bot": {"id": bot_id, "username": username}, "update": update}).encode()


def event_id(bot_id: int, update_id: int) -> str:
    return f"{bot_id}:{update_id}"


def decode_update(channel_id: ChannelId, raw: bytes) -> InboundMessage | None:
    """Return what the update says, None if it says nothing to an agent; raise Undecodable."""
    try:
        value = json.loads(raw)
        message = _Decoder(channel_id, value["bot"]).message(value["update"])
        # Through the codec once: what it would refuse later (a lone surrogate, a number for a text) is refused here.
        return None if message is None else from_json(InboundMessage, to_json(message))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, ShapeError) as error:
        raise Undecodable(f"{type(error).__name__}: {str(error)[:200]}") from error


class _Decoder:
    def __init__(self, channel_id: ChannelId, bot: dict[str, Any]) -> None:
        self._channel = channel_id
        self._bot_id = int(bot["id"])
        self._username = str(bot["username"]).lower()

    def message(self, update: dict[str, Any]) -> InboundMessage | None:
        number = int(update["update_id"])
        if "message" in update:
            return self._said(number, update["message"], "message")
        if "edited_message" in update:
            return self._said(number, update["edited_message"], "edit")
        if "callback_query" in update:
            return self._pressed(number, update["callback_query"])
        return None

    def _said(self, number: int, said: dict[str, Any], kind: Literal["message", "edit"]) -> InboundMessage | None:
        files = tuple(_pending_files(said))
        text = _text(said)
        if not text and not files:
            return None  # a service message: someone joined, a title changed
        sender = said.get("sender_chat") or said["from"]
        if sender["id"] == self._bot_id or (sender.get("is_bot") and "sender_chat" not in said):
            return None  # two bots answering each other would never end
        replied = said.get("reply_to_message") or {}
        return InboundMessage(
            channel_id=self._channel,
            event_id=event_id(self._bot_id, number),
            chat=self._chat(said),
            chat_kind="direct" if said["chat"]["type"] == "private" else "many",
            person=PersonKey(f"{self._channel}:{int(sender['id'])}"),
            sender_name=_name(sender),
            text=text,
            sent_at=_utc(said["edit_date"] if kind == "edit" else said["date"]),
            platform_message_id=PlatformMessageId(str(int(said["message_id"]))),
            kind=kind,
            mentions_me=self._mentions_me(said, replied),
            reply_to=_replied_id(said, replied),
            quote=_quote(said, replied),
            pending_files=files,
            is_piece=kind == "message" and not files and utf16_units(text) > LONGEST_UNITS - APPS_LOOK_BACK_UNITS,
        )

    def _pressed(self, number: int, press: dict[str, Any]) -> InboundMessage | None:
        under = press.get("message")
        if under is None or not press.get("data"):
            return None
        message_id = PlatformMessageId(str(int(under["message_id"])))
        return InboundMessage(
            channel_id=self._channel,
            event_id=event_id(self._bot_id, number),
            chat=self._chat(under),
            chat_kind="direct" if under["chat"]["type"] == "private" else "many",
            person=PersonKey(f"{self._channel}:{int(press['from']['id'])}"),
            sender_name=_name(press["from"]),
            text=_whole(str(press["data"])),
            sent_at=_utc(under["date"]),
            platform_message_id=message_id,
            kind="press",
            mentions_me=True,
            reply_to=message_id,
        )

    def _chat(self, said: dict[str, Any]) -> ChatKey:
        chat = f"{self._channel}:{int(said['chat']['id'])}"
        # In a plain supergroup a thread id only says which reply chain it is; only a topic is a place of its own.
        topic = said.get("message_thread_id") if said.get("is_topic_message") else None
        return ChatKey(chat if topic is None else f"{chat}:{int(topic)}")

    def _mentions_me(self, said: dict[str, Any], replied: dict[str, Any]) -> bool:
        if said["chat"]["type"] == "private" or (replied.get("from") or {}).get("id") == self._bot_id:
            return True
        text = said.get("text", said.get("caption", ""))
        units = str(text).encode("utf-16-le", "surrogatepass")
        return any(
            self._is_me(entity, units) for entity in said.get("entities", ()) or said.get("caption_entities", ())
        )

    def _is_me(self, entity: dict[str, Any], units: bytes) -> bool:
        start, length = int(entity["offset"]), int(entity["length"])
        named = units[2 * start : 2 * (start + length)].decode("utf-16-le", "replace").lower()
        match entity["type"]:
            case "mention":
                return named == f"@{self._username}"
            case "bot_command":
                return named.endswith(f"@{self._username}")
            case "text_mention":
                return bool(entity["user"]["id"] == self._bot_id)
            case _:
                return False


def _text(said: dict[str, Any]) -> str:
    text = said.get("text", said.get("caption"))
    if text is not None:
        return _cut(_whole(_typed_str(text)))
    return _whole(_described(said))


def _described(said: dict[str, Any]) -> str:
    """Return in words what has no text of its own, so that nothing a person sends is met with silence."""
    if "sticker" in said:
        return f"[sticker {said['sticker'].get('emoji', '')}]".replace(" ]", "]")
    if "venue" in said:
        return f"[place: {said['venue']['title']}, {said['venue']['address']}]"
    if "location" in said:
        return f"[location: {float(said['location']['latitude'])}, {float(said['location']['longitude'])}]"
    if "contact" in said:
        return f"[contact: {_name(said['contact'])}, {said['contact']['phone_number']}]"
    if "poll" in said:
        options = " / ".join(str(option["text"]) for option in said["poll"]["options"])
        return f"[poll: {said['poll']['question']} {options}]"
    if "dice" in said:
        return f"[{said['dice'].get('emoji', 'dice')} shows {said['dice']['value']}]"
    return ""


def _pending_files(said: dict[str, Any]) -> Iterable[PendingFile]:
    if said.get("photo"):
        largest = max(said["photo"], key=lambda size: int(size["width"]) * int(size["height"]))
        yield _pending_file("photo", largest)
    for kind in _FILES:
        # An animation comes as a document too, for old clients: once is enough.
        if kind in said and not (kind == "document" and "animation" in said):
            yield _pending_file(kind, said[kind])


def _pending_file(kind: str, file: dict[str, Any]) -> PendingFile:
    media_type = _whole(str(file.get("mime_type") or _MEDIA_TYPES.get(kind, "application/octet-stream")))
    name = file.get("file_name") or f"{kind}{_SUFFIXES.get(media_type, '')}"
    size = file.get("file_size")
    return PendingFile(
        reference=str(file["file_id"]),
        name=_whole(str(name)),
        media_type=media_type,
        size=None if size is None else int(size),
    )


def _replied_id(said: dict[str, Any], replied: dict[str, Any]) -> PlatformMessageId | None:
    if not replied or replied.get("forum_topic_created"):
        return None  # every message of a topic replies to the topic's first one
    del said
    return PlatformMessageId(str(int(replied["message_id"])))


def _quote(said: dict[str, Any], replied: dict[str, Any]) -> str:
    if "quote" in said:
        return _cut(_whole(_typed_str(said["quote"]["text"])))
    if _replied_id(said, replied) is None:
        return ""
    return _cut(_text(replied))


def _name(sender: dict[str, Any]) -> str:
    parts = (sender.get("title"), sender.get("first_name"), sender.get("last_name"))
    name = " ".join(str(part) for part in parts if part)
    return _whole(name or str(sender.get("username") or "(no name)"))


def _typed_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text that is {type(value).__name__}")
    return value


def _whole(text: str) -> str:
    """Return the text with lone surrogates replaced: JSON can carry them, UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - len(CUT_MARK)] + CUT_MARK


def _utc(seconds: object) -> str:
    if not isinstance(seconds, int):
        raise TypeError(f"a date that is {type(seconds).__name__}")
    return datetime.fromtimestamp(seconds, UTC).isoformat()
