"""A stored raw update of Telegram to what it says. Pure.

The raw form is an envelope of ours, `{"bot": {"id", "username"}, "update": {…}}`: the bot's own name is needed to
know a mention, and its id to keep the update numbers of two bots apart. What a message holds is read in `content.py`;
`encode.py` is the way back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from channels.channel import Undecodable
from channels.markdown.telegram import utf16_units
from channels.telegram.content import (
    cut,
    files_of,
    forwarded_from,
    name_of,
    reaction_text,
    text_of,
    typed_str,
    whole,
)
from protocol.codec import ShapeError, from_json, to_json
from protocol.ids import ChannelId, ChatKey, PersonKey, PlatformMessageId
from protocol.message import InboundMessage

LONGEST_UNITS = 4_096
"""Of one message's text, in UTF-16 units: Telegram's own limit."""
APPS_LOOK_BACK_UNITS = 300
"""Apps cut a longer text there, or at the last end of a line or a word so far before it."""


def envelope(bot_id: int, username: str, update: object) -> bytes:
    """Return the raw form that is stored."""
    return json.dumps({"bot": {"id": bot_id, "username": username}, "update": update}).encode()


def moved_envelope(old: int, new: int, date: int) -> bytes:
    """Return a raw form of ours for a group that turned out to have another id."""
    return json.dumps({"moved": {"from": old, "to": new, "date": date}}).encode()


def event_id(bot_id: int, update_id: int) -> str:
    return f"{bot_id}:{update_id}"


def decode_update(channel_id: ChannelId, raw: bytes) -> InboundMessage | None:
    """Return what the update says, None if it says nothing to an agent; raise Undecodable."""
    try:
        value = json.loads(raw)
        if "moved" in value:
            moved = value["moved"]
            event = f"moved:{moved['from']}:{moved['to']}"
            return _moved(channel_id, event, int(moved["from"]), int(moved["to"]), moved["date"], "0")
        bot, update = value["bot"], value["update"]
        event = event_id(int(bot["id"]), int(update["update_id"]))
        message = _Decoder(channel_id, int(bot["id"]), str(bot["username"]).lower(), event, update).message()
        # Through the codec once: what it would refuse later (a lone surrogate, a number for a text) is refused here.
        return None if message is None else from_json(InboundMessage, to_json(message))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, ShapeError) as error:
        raise Undecodable(f"{type(error).__name__}: {str(error)[:200]}") from error


@dataclass(frozen=True, slots=True)
class _Decoder:
    channel: ChannelId
    bot_id: int
    username: str
    event: str
    update: dict[str, Any]

    def message(self) -> InboundMessage | None:
        if "message" in self.update:
            said = self.update["message"]
            return self._happened(said) or self._said(said, "message")
        if "edited_message" in self.update:
            return self._said(self.update["edited_message"], "edit")
        if "callback_query" in self.update:
            return self._pressed(self.update["callback_query"])
        if "message_reaction" in self.update:
            return self._reacted(self.update["message_reaction"])
        return None

    def _said(self, said: dict[str, Any], kind: Literal["message", "edit"]) -> InboundMessage | None:
        files = tuple(files_of(said))
        text = text_of(said)
        if not text and not files:
            return None  # a service message: a title changed, a message was pinned
        sender = said.get("sender_chat") or said["from"]
        if sender["id"] == self.bot_id or (sender.get("is_bot") and "sender_chat" not in said):
            return None  # two bots answering each other would never end
        replied = said.get("reply_to_message") or {}
        return InboundMessage(
            channel_id=self.channel,
            event_id=self.event,
            chat=self._chat(said),
            chat_kind=_chat_kind(said),
            person=self._person(sender),
            sender_name=name_of(sender),
            text=text,
            sent_at=_utc(said["edit_date"] if kind == "edit" else said["date"]),
            platform_message_id=_message_id(said),
            kind=kind,
            mentions_me=self._mentions_me(said, replied),
            reply_to=_replied_id(replied),
            quote=_quote(said, replied),
            forwarded_from=forwarded_from(said),
            pending_files=files,
            is_piece=kind == "message" and not files and utf16_units(text) > LONGEST_UNITS - APPS_LOOK_BACK_UNITS,
        )

    def _happened(self, said: dict[str, Any]) -> InboundMessage | None:
        """Return what a service message tells, None if it is none, or says nothing to an agent."""
        here = int(said["chat"]["id"])
        if "migrate_to_chat_id" in said:
            new = int(said["migrate_to_chat_id"])
            return _moved(self.channel, self.event, here, new, said["date"], _message_id(said))
        if "migrate_from_chat_id" in said:
            old = int(said["migrate_from_chat_id"])
            return _moved(self.channel, self.event, old, here, said["date"], _message_id(said))
        if "new_chat_members" in said:
            return self._came_or_went(said, said["new_chat_members"], "joined")
        if "left_chat_member" in said:
            return self._came_or_went(said, [said["left_chat_member"]], "left")
        return None

    def _came_or_went(
        self, said: dict[str, Any], people: list[dict[str, Any]], kind: Literal["joined", "left"]
    ) -> InboundMessage | None:
        others = [person for person in people if person["id"] != self.bot_id]
        if not others:
            return None  # it is about us alone
        return InboundMessage(
            channel_id=self.channel,
            event_id=self.event,
            chat=self._chat(said),
            chat_kind=_chat_kind(said),
            person=self._person(others[0]),
            sender_name=name_of(others[0]),
            text=", ".join(name_of(person) for person in others),
            sent_at=_utc(said["date"]),
            platform_message_id=_message_id(said),
            kind=kind,
        )

    def _pressed(self, press: dict[str, Any]) -> InboundMessage | None:
        under = press.get("message")
        if under is None or not press.get("data"):
            return None
        return InboundMessage(
            channel_id=self.channel,
            event_id=self.event,
            chat=self._chat(under),
            chat_kind=_chat_kind(under),
            person=self._person(press["from"]),
            sender_name=name_of(press["from"]),
            text=whole(str(press["data"])),
            sent_at=_utc(under["date"]),
            platform_message_id=_message_id(under),
            kind="press",
            mentions_me=True,
            reply_to=_message_id(under),
        )

    def _reacted(self, reacted: dict[str, Any]) -> InboundMessage | None:
        """Telegram does not say in which topic: the chat is the whole one."""
        person = reacted.get("user") or reacted["actor_chat"]
        if person.get("is_bot"):
            return None
        return InboundMessage(
            channel_id=self.channel,
            event_id=self.event,
            chat=self._chat(reacted),
            chat_kind=_chat_kind(reacted),
            person=self._person(person),
            sender_name=name_of(person),
            text=reaction_text(reacted["new_reaction"]),
            sent_at=_utc(reacted["date"]),
            platform_message_id=_message_id(reacted),
            kind="reaction",
            reply_to=_message_id(reacted),
        )

    def _person(self, sender: dict[str, Any]) -> PersonKey:
        return PersonKey(f"{self.channel}:{int(sender['id'])}")

    def _chat(self, said: dict[str, Any]) -> ChatKey:
        chat = f"{self.channel}:{int(said['chat']['id'])}"
        # In a plain supergroup a thread id only says which reply chain it is; only a topic is a place of its own.
        topic = said.get("message_thread_id") if said.get("is_topic_message") else None
        return ChatKey(chat if topic is None else f"{chat}:{int(topic)}")

    def _mentions_me(self, said: dict[str, Any], replied: dict[str, Any]) -> bool:
        if said["chat"]["type"] == "private" or (replied.get("from") or {}).get("id") == self.bot_id:
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
                return named == f"@{self.username}"
            case "bot_command":
                return named.endswith(f"@{self.username}")
            case "text_mention":
                return bool(entity["user"]["id"] == self.bot_id)
            case _:
                return False


def _moved(
    channel: ChannelId, event: str, old: int, new: int, date: object, message: PlatformMessageId | str
) -> InboundMessage:
    return InboundMessage(
        channel_id=channel,
        event_id=event,
        chat=ChatKey(f"{channel}:{old}"),
        chat_kind="many",
        person=PersonKey(f"{channel}:{old}"),
        sender_name="",
        text=f"{channel}:{new}",
        sent_at=_utc(date),
        platform_message_id=PlatformMessageId(message),
        kind="moved",
    )


def _chat_kind(said: dict[str, Any]) -> Literal["direct", "many"]:
    return "direct" if said["chat"]["type"] == "private" else "many"


def _message_id(said: dict[str, Any]) -> PlatformMessageId:
    return PlatformMessageId(str(int(said["message_id"])))


def _replied_id(replied: dict[str, Any]) -> PlatformMessageId | None:
    # Every message of a topic replies to the topic's first one.
    return None if not replied or replied.get("forum_topic_created") else _message_id(replied)


def _quote(said: dict[str, Any], replied: dict[str, Any]) -> str:
    if "quote" in said:
        return cut(whole(typed_str(said["quote"]["text"])))
    return "" if _replied_id(replied) is None else cut(text_of(replied))


def _utc(seconds: object) -> str:
    if not isinstance(seconds, int):
        raise TypeError(f"a date that is {type(seconds).__name__}")
    return datetime.fromtimestamp(seconds, UTC).isoformat()
