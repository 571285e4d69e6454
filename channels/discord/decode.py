"""A stored gateway event of Discord to what it says. Pure.

The raw form is an envelope of ours around the gateway's own payload:
`{"bot": {"id", "roles"}, "event_id", "at", "parent", "author", "t", "d"}`. The bot's id and its own role are needed to
know a mention; the parent of a thread, a deleted message's author and the event's id are known only to who has read the
events before. `frames.py` makes it; `encode.py` is the way back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from channels.channel import Undecodable
from protocol.codec import ShapeError, from_json, to_json
from protocol.ids import ChannelId, ChatKey, PersonKey, PlatformMessageId
from protocol.message import MAX_TEXT_CHARS, InboundMessage, PendingFile

CUT_MARK = "\n[cut here: the text was too long]"
FORWARDED = "somebody else (Discord does not say who)"
_PLAIN, _REPLY = 0, 19
_CAME, _WENT, _WELCOMED = 1, 2, 7
"""Of a system message: someone was added to a thread, left one, came to the server."""
_FORWARD = 1
"""Of a message's reference."""
_IS_VOICE = 1 << 13
"""Of a message's flags."""
_COMMAND, _PRESS = 2, 3
"""Of an interaction."""
_TOKEN = re.compile(r"<(?:@!?(?P<user>\d+)|@&(?P<role>\d+)|a?:(?P<emoji>\w+):\d+)>")

Kind = Literal["message", "press", "edit", "delete", "reaction", "joined", "left"]


def decode_event(channel_id: ChannelId, raw: bytes) -> InboundMessage | None:
    """Return what the event says, None if it says nothing to an agent; raise Undecodable."""
    try:
        message = _Decoder(channel_id, json.loads(raw)).message()
        # Through the codec once: what it would refuse later (a lone surrogate, a number for a text) is refused here.
        return None if message is None else from_json(InboundMessage, to_json(message))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, ShapeError) as error:
        raise Undecodable(f"{type(error).__name__}: {str(error)[:200]}") from error


class _Decoder:
    def __init__(self, channel_id: ChannelId, event: dict[str, Any]) -> None:
        self._channel = channel_id
        self._event = event
        self._what: dict[str, Any] = event["d"]
        self._bot_id = str(event["bot"]["id"])
        self._my_roles = {str(role) for role in event["bot"]["roles"]}

    def message(self) -> InboundMessage | None:
        match self._event["t"]:
            case "MESSAGE_CREATE":
                return (
                    self._came_or_went() if self._what["type"] in (_CAME, _WENT, _WELCOMED) else self._said("message")
                )
            case "MESSAGE_UPDATE":
                return self._said("edit")
            case "MESSAGE_DELETE":
                return self._build("delete", self._who_wrote(), "", message=self._what["id"])
            case "MESSAGE_REACTION_ADD":
                return self._reacted(_emoji(self._what["emoji"]))
            case "MESSAGE_REACTION_REMOVE":
                return self._reacted("")
            case "INTERACTION_CREATE":
                return self._asked()
            case "GUILD_MEMBER_ADD":
                return self._build("joined", self._what["user"], _name(self._what["user"]))
            case "GUILD_MEMBER_REMOVE":
                return self._build("left", self._what["user"], _name(self._what["user"]))
            case _:
                return None

    def _said(self, kind: Literal["message", "edit"]) -> InboundMessage | None:
        said, at = self._what, self._what["timestamp"]
        if kind == "edit":
            at = said.get("edited_timestamp")
            if at is None:
                return None  # a preview of a link came to it: nobody wrote anything
        author = said["author"]
        if author["id"] == self._bot_id or author.get("bot") or said.get("webhook_id"):
            return None  # two bots answering each other would never end
        if said["type"] not in (_PLAIN, _REPLY):
            return None
        inner = _forwarded(said)
        files = tuple(_pending_files(said if inner is None else inner, said["channel_id"], said["id"]))
        text = self._text(said if inner is None else inner)
        if not text and not files:
            return None
        reference = (said.get("message_reference") or {}) if inner is None else {}
        replied = said.get("referenced_message") if reference else None
        return self._build(
            kind,
            author,
            text,
            message=said["id"],
            at=at,
            nick=(said.get("member") or {}).get("nick"),
            mentions_me=self._mentions_me(said) or (replied or {}).get("author", {}).get("id") == self._bot_id,
            reply_to=_message_id(reference["message_id"]) if reference.get("message_id") else None,
            quote=self._text(replied) if replied else "",
            forwarded_from="" if inner is None else FORWARDED,
            files=files,
        )

    def _came_or_went(self) -> InboundMessage | None:
        said = self._what
        people = [said["author"]] if said["type"] == _WELCOMED else said["mentions"]
        kind: Kind = "left" if said["type"] == _WENT else "joined"
        names = ", ".join(_name(person) for person in people)
        if not people or any(person["id"] == self._bot_id for person in people):
            return None
        return self._build(kind, people[0], names, message=said["id"], at=said["timestamp"])

    def _reacted(self, emoji: str) -> InboundMessage | None:
        member = self._what.get("member") or {}
        user = member.get("user") or {"id": self._what["user_id"], "username": ""}
        if user["id"] == self._bot_id or user.get("bot"):
            return None
        about = _message_id(self._what["message_id"])
        return self._build("reaction", user, emoji, message=about, nick=member.get("nick"), reply_to=about)

    def _asked(self) -> InboundMessage | None:
        member, asked = self._what.get("member") or {}, self._what["data"]
        user, nick = member.get("user") or self._what["user"], member.get("nick")
        if self._what["type"] == _PRESS and asked.get("custom_id"):
            under = _message_id(self._what["message"]["id"])
            text = _whole(str(asked["custom_id"]))
            return self._build("press", user, text, message=under, nick=nick, mentions_me=True, reply_to=under)
        if self._what["type"] == _COMMAND:
            words = [str(option["value"]) for option in asked.get("options") or () if option.get("value")]
            text = _whole(" ".join((f"/{asked['name']}", *words)))
            return self._build("message", user, text, message=self._what["id"], nick=nick, mentions_me=True)
        return None

    def _build(
        self,
        kind: Kind,
        person: dict[str, Any],
        text: str,
        *,
        message: object = None,
        at: object = None,
        nick: object = None,
        mentions_me: bool = False,
        reply_to: PlatformMessageId | None = None,
        quote: str = "",
        forwarded_from: str = "",
        files: tuple[PendingFile, ...] = (),
    ) -> InboundMessage:
        is_direct = not self._what.get("guild_id")
        return InboundMessage(
            channel_id=self._channel,
            event_id=str(self._event["event_id"]),
            chat=self._chat(),
            chat_kind="direct" if is_direct else "many",
            person=PersonKey(f"{self._channel}:{int(person['id'])}"),
            sender_name=_whole(str(nick)) if nick else _name(person),
            text=text,
            sent_at=_utc(at if at is not None else self._event["at"]),
            platform_message_id=_message_id(message or self._event["event_id"]),
            kind=kind,
            mentions_me=mentions_me or (is_direct and kind in ("message", "edit")),
            reply_to=reply_to,
            quote=quote,
            forwarded_from=forwarded_from,
            pending_files=files,
        )

    def _chat(self) -> ChatKey:
        here = int(self._what.get("channel_id") or self._event["home"])
        parent = self._event.get("parent")
        return ChatKey(f"{self._channel}:{int(parent)}:{here}" if parent else f"{self._channel}:{here}")

    def _who_wrote(self) -> dict[str, Any]:
        """Discord says neither who wrote it nor who deleted it: we know what was read lately, else the chat stands
        for them."""
        return {"id": self._event.get("author") or self._what["channel_id"], "username": ""}

    def _mentions_me(self, said: dict[str, Any]) -> bool:
        if any(user["id"] == self._bot_id for user in said.get("mentions") or ()):
            return True
        return not self._my_roles.isdisjoint(str(role) for role in said.get("mention_roles") or ())

    def _text(self, said: dict[str, Any]) -> str:
        names = {str(user["id"]): _name(user) for user in said.get("mentions") or ()}
        content = said["content"]
        if not isinstance(content, str):
            raise TypeError(f"a text that is {type(content).__name__}")
        shown = _TOKEN.sub(lambda found: self._named(found, names), self._command_of(content))
        lines = [shown.strip(), *(f"[sticker {sticker['name']}]" for sticker in said.get("sticker_items") or ())]
        if said.get("poll"):
            lines.append(_described_poll(said["poll"]))
        return _cut(_whole("\n".join(line for line in lines if line)))

    def _command_of(self, content: str) -> str:
        """Return `/stop` of `@bot /stop`: in a chat of many, commands are typed so where the menu is not used."""
        found = _TOKEN.match(content)
        is_me = found and (found["user"] == self._bot_id or found["role"] in self._my_roles)
        rest = content[found.end() :].lstrip() if found and is_me else ""
        return rest if rest.startswith("/") else content

    def _named(self, found: re.Match[str], names: dict[str, str]) -> str:
        if found["emoji"]:
            return f":{found['emoji']}:"
        if found["user"]:
            return f"@{names.get(found['user'], found['user'])}"
        return "@me" if found["role"] in self._my_roles else "@role"


def _forwarded(said: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a message passes on, None if it is one of its own."""
    snapshots = said.get("message_snapshots") or ()
    if (said.get("message_reference") or {}).get("type") != _FORWARD or not snapshots:
        return None
    inner: dict[str, Any] = snapshots[0]["message"]
    return inner


def _pending_files(said: dict[str, Any], channel_id: str, message_id: str) -> Iterable[PendingFile]:
    is_voice = bool(int(said.get("flags") or 0) & _IS_VOICE)
    for file in said.get("attachments") or ():
        size = file.get("size")
        yield PendingFile(
            reference=f"{int(channel_id)}/{int(message_id)}/{int(file['id'])} {file['url']}",
            name=_whole(str(file["filename"])),
            media_type=_whole(str(file.get("content_type") or "application/octet-stream")),
            size=None if size is None else int(size),
            is_voice=is_voice and bool(file.get("waveform") or file.get("duration_secs")),
        )


def _described_poll(poll: dict[str, Any]) -> str:
    answers = " / ".join(str(answer["poll_media"].get("text", "")) for answer in poll["answers"])
    return f"[poll: {poll['question']['text']} {answers}]"


def _emoji(emoji: dict[str, Any]) -> str:
    name = _whole(str(emoji.get("name") or ""))
    return f":{name}:" if emoji.get("id") else name


def _name(user: dict[str, Any]) -> str:
    return _whole(str(user.get("global_name") or user.get("username") or "(no name)"))


def _message_id(value: object) -> PlatformMessageId:
    return PlatformMessageId(str(value))


def _whole(text: str) -> str:
    """Return the text with lone surrogates replaced: JSON can carry them, UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - len(CUT_MARK)] + CUT_MARK


def _utc(timestamp: object) -> str:
    if not isinstance(timestamp, str):
        raise TypeError(f"a time that is {type(timestamp).__name__}")
    return datetime.fromisoformat(timestamp).astimezone(UTC).isoformat()
