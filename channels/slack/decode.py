"""A stored raw payload of Slack to what it says. Pure.

`raw.py` says how the raw form looks, `said.py` reads what stands in a message; `encode.py` is the way back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from channels.channel import Undecodable
from channels.slack.emoji import emoji_of
from channels.slack.raw import COMMAND, EVENT, PRESS, conversation_of, event_id
from channels.slack.said import cut, described_files, passed_on, pending_files, readable, whole
from protocol.codec import ShapeError, from_json, to_json
from protocol.ids import ChannelId, ChatKey, PersonKey, PlatformMessageId
from protocol.message import InboundMessage

OUR_COMMAND = "/nightyard"
"""The manifest's one slash command begins so; what is typed after it is the command."""
_SAID = (None, "file_share", "thread_broadcast", "me_message")
"""The subtypes of what people say; the others are Slack's own notes."""


def decode_raw(channel_id: ChannelId, raw: bytes) -> InboundMessage | None:
    """Return what the payload says, None if it says nothing to an agent; raise Undecodable."""
    try:
        message = _Decoder(channel_id, json.loads(raw)).message()
        # Through the codec once: what it would refuse later (a lone surrogate, a number for a text) is refused here.
        return None if message is None else from_json(InboundMessage, to_json(message))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, ShapeError) as error:
        raise Undecodable(f"{type(error).__name__}: {str(error)[:200]}") from error


class _Decoder:
    def __init__(self, channel_id: ChannelId, raw: dict[str, Any]) -> None:
        self._channel = channel_id
        self._type = str(raw["type"])
        self._payload: dict[str, Any] = raw["payload"]
        self._me = str(raw["bot"]["user"])
        self._my_bot = str(raw["bot"].get("bot") or "")
        self._names: Mapping[str, str] = {self._me: str(raw["bot"].get("name") or self._me), **raw.get("names", {})}
        self._threads: Mapping[str, str] = raw.get("threads", {})
        self._parent: Mapping[str, str] | None = raw.get("parent")
        self._event_id = event_id(self._type, self._payload, "")

    def message(self) -> InboundMessage | None:
        match self._type:
            case str(kind) if kind == PRESS:
                return self._pressed()
            case str(kind) if kind == COMMAND:
                return self._commanded()
            case str(kind) if kind == EVENT:
                return self._happened(self._payload["event"]) if "event" in self._payload else None
            case _:
                return None

    def _happened(self, event: dict[str, Any]) -> InboundMessage | None:
        match event.get("type"):
            case "message" if event.get("subtype") == "message_changed":
                return self._changed(event)
            case "message" if event.get("subtype") == "message_deleted":
                return self._deleted(event, event["previous_message"], str(event["deleted_ts"]))
            case "message" | "app_mention":
                return self._said(event, event, "message")
            case "reaction_added" | "reaction_removed":
                return self._reacted(event)
            case "member_joined_channel":
                return self._came_or_went(event, "joined")
            case "member_left_channel":
                return self._came_or_went(event, "left")
            case "channel_id_changed":
                return self._moved(event)
            case _:
                return None

    # What people say

    def _said(
        self, event: dict[str, Any], said: dict[str, Any], kind: Literal["message", "edit"], before: str = ""
    ) -> InboundMessage | None:
        """`before`: the text that decides on the place, where an edit may not move a message."""
        if said.get("subtype") not in _SAID or self._is_a_bots(said):
            return None
        author, shared = passed_on(said, self._names)
        text = readable(_text(said.get("text") or ""), self._names)
        if said.get("subtype") == "me_message":
            text = f"/me {text}"
        text = "\n".join(part for part in (text, *described_files(said)) if part)
        quote = self._quote(said)
        if text and shared:  # a word of one's own on what another one said
            quote, author, shared = f"{author}: {shared}", "", ""
        files = tuple(pending_files(said))
        if not text and not shared and not files:
            return None
        conversation, ts = str(event["channel"]), str(said["ts"])
        thread = self._thread(conversation, said, before or _text(said.get("text") or ""))
        in_thread = str(said.get("thread_ts") or ts) != ts
        return InboundMessage(
            channel_id=self._channel,
            event_id=self._event_id,
            chat=self._chat(conversation, thread),
            chat_kind=_chat_kind(conversation, event),
            person=self._person(said["user"]),
            sender_name=self._name(said),
            text=self._without_address(cut(text or shared)),
            sent_at=_utc((said.get("edited") or {}).get("ts", ts) if kind == "edit" else ts),
            platform_message_id=PlatformMessageId(ts),
            kind=kind,
            mentions_me=self._mentions_me(conversation, event, said),
            reply_to=PlatformMessageId(str(said["thread_ts"])) if in_thread else None,
            quote=cut(quote),
            forwarded_from=author,
            pending_files=files,
        )

    def _changed(self, event: dict[str, Any]) -> InboundMessage | None:
        now, before = event["message"], event.get("previous_message") or {}
        if now.get("subtype") == "tombstone":  # deleted, but its thread stands
            return self._deleted(event, before or now, str(now["ts"]))
        # An unfurled link changes a message too; only people's edits are marked.
        if not now.get("edited") or (before and before.get("text") == now.get("text")):
            return None
        return self._said(event, now, "edit", _text(before.get("text") or ""))

    def _deleted(self, event: dict[str, Any], before: dict[str, Any], ts: str) -> InboundMessage | None:
        if self._is_a_bots(before) or before.get("subtype") not in _SAID or not before.get("user"):
            return None
        conversation = str(event["channel"])
        thread = self._thread(conversation, before, _text(before.get("text") or ""))
        return self._fact(event, "delete", thread, str(before["user"]), "", str(event.get("event_ts") or ts), ts)

    # What people do

    def _reacted(self, event: dict[str, Any]) -> InboundMessage | None:
        item = event["item"]
        if item.get("type") != "message" or event["user"] == self._me:
            return None
        ts, conversation = str(item["ts"]), str(item["channel"])
        emoji = emoji_of(_text(event["reaction"])) if event["type"] == "reaction_added" else ""
        at = str(event["event_ts"])
        place = {**event, "channel": conversation}
        return self._fact(place, "reaction", self._threads.get(ts), str(event["user"]), emoji, at, at, reply_to=ts)

    def _came_or_went(self, event: dict[str, Any], kind: Literal["joined", "left"]) -> InboundMessage | None:
        user = str(event["user"])
        if user == self._me:
            return None
        at = str(event["event_ts"])
        return self._fact(event, kind, None, user, self._called(user), at, at)

    def _moved(self, event: dict[str, Any]) -> InboundMessage:
        old, new = str(event["old_channel_id"]), str(event["new_channel_id"])
        at = str(event["event_ts"])
        return InboundMessage(
            channel_id=self._channel,
            event_id=self._event_id,
            chat=self._chat(old, None),
            chat_kind="many",
            person=self._person(old),
            sender_name="",
            text=self._chat(new, None),
            sent_at=_utc(at),
            platform_message_id=PlatformMessageId(at),
            kind="moved",
        )

    def _pressed(self) -> InboundMessage | None:
        actions, container = self._payload.get("actions") or (), self._payload.get("container") or {}
        if self._payload.get("type") != "block_actions" or not actions or not container.get("message_ts"):
            return None
        value = actions[0].get("value")
        if not isinstance(value, str) or not value:
            return None
        under = PlatformMessageId(str(container["message_ts"]))
        conversation, user = conversation_of(PRESS, self._payload), self._payload["user"]
        thread = container.get("thread_ts") or (self._payload.get("message") or {}).get("thread_ts")
        if thread == under:
            thread = None  # it is the first message of a thread, and stands in the channel
        return InboundMessage(
            channel_id=self._channel,
            event_id=self._event_id,
            chat=self._chat(conversation, self._threads.get(under) or thread),
            chat_kind=_chat_kind(conversation, {}),
            person=self._person(user["id"]),
            sender_name=whole(
                str(self._names.get(user["id"]) or user.get("name") or user.get("username") or user["id"])
            ),
            text=whole(value),
            sent_at=_utc(str(actions[0].get("action_ts") or under)),
            platform_message_id=under,
            kind="press",
            mentions_me=True,
            reply_to=under,
        )

    def _commanded(self) -> InboundMessage:
        given, typed = _text(self._payload["command"]), _text(self._payload.get("text") or "").strip()
        conversation, user = conversation_of(COMMAND, self._payload), str(self._payload["user_id"])
        typed = readable(typed, self._names)
        said = f"/{typed.removeprefix('/') or 'help'}" if given.startswith(OUR_COMMAND) else f"{given} {typed}".strip()
        return InboundMessage(
            channel_id=self._channel,
            event_id=self._event_id,
            chat=self._chat(conversation, None),
            chat_kind=_chat_kind(conversation, {}),
            person=self._person(user),
            sender_name=whole(str(self._names.get(user) or self._payload.get("user_name") or user)),
            text=cut(said),
            sent_at=_utc(str(self._payload["received_at"])),
            platform_message_id=PlatformMessageId(self._event_id),
            mentions_me=True,
        )

    # Parts

    def _fact(
        self,
        event: dict[str, Any],
        kind: Literal["delete", "reaction", "joined", "left"],
        thread: str | None,
        user: str,
        text: str,
        at: str,
        message_id: str,
        reply_to: str | None = None,
    ) -> InboundMessage:
        conversation = str(event["channel"])
        return InboundMessage(
            channel_id=self._channel,
            event_id=self._event_id,
            chat=self._chat(conversation, thread),
            chat_kind=_chat_kind(conversation, event),
            person=self._person(user),
            sender_name=self._called(user),
            text=text,
            sent_at=_utc(at),
            platform_message_id=PlatformMessageId(message_id),
            kind=kind,
            reply_to=None if reply_to is None else PlatformMessageId(reply_to),
        )

    def _chat(self, conversation: str, thread: str | None) -> ChatKey:
        if not conversation:
            raise ValueError("it is in no conversation")
        return ChatKey(f"{self._channel}:{conversation}" + (f":{thread}" if thread else ""))

    def _thread(self, conversation: str, said: dict[str, Any], text: str) -> str | None:
        """Return the thread that is the message's chat. One that speaks to the bot in a channel begins a thread: its
        answer goes there."""
        ts, thread = str(said["ts"]), said.get("thread_ts")
        if thread and thread != ts:
            return str(thread)
        return ts if not conversation.startswith("D") and f"<@{self._me}" in text else None

    def _mentions_me(self, conversation: str, event: dict[str, Any], said: dict[str, Any]) -> bool:
        if event.get("type") == "app_mention" or _chat_kind(conversation, event) == "direct":
            return True
        return said.get("parent_user_id") == self._me or f"<@{self._me}" in _text(said.get("text") or "")

    def _quote(self, said: dict[str, Any]) -> str:
        if self._parent is None or said.get("thread_ts") in (None, said["ts"]):
            return ""
        return readable(_text(self._parent["text"]), self._names)

    def _without_address(self, text: str) -> str:
        """Return `/stop` for `@bot /stop`: Slack's apps take a line that begins with a stroke for themselves."""
        address = f"@{self._names[self._me]}"
        rest = text.removeprefix(address).lstrip(" :,\u00a0")
        return rest if text.startswith(address) and rest.startswith("/") else text

    def _is_a_bots(self, said: dict[str, Any]) -> bool:
        """Two bots answering each other would never end."""
        return bool(said.get("bot_id") or said.get("subtype") == "bot_message" or said.get("user") == self._me)

    def _person(self, user: object) -> PersonKey:
        return PersonKey(f"{self._channel}:{_text(user)}")

    def _called(self, user: str) -> str:
        return whole(str(self._names.get(user) or user))

    def _name(self, said: dict[str, Any]) -> str:
        profile = said.get("user_profile") or {}
        known = self._names.get(said["user"]) or profile.get("display_name") or profile.get("real_name")
        return whole(str(known or said["user"]))


def _chat_kind(conversation: str, event: Mapping[str, Any]) -> Literal["direct", "many"]:
    return "direct" if event.get("channel_type") == "im" or conversation.startswith("D") else "many"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text that is {type(value).__name__}")
    return value


def _utc(ts: str) -> str:
    return datetime.fromtimestamp(float(ts), UTC).isoformat()
