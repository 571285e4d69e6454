"""The twin's world: a bot, people, chats, their messages and files, and the updates the bot has not confirmed.

Messages, chats and people are JSON objects in the Bot API's own shape: that is what a twin of it is made of.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from twins.telegram.arguments import Upload
from twins.telegram.refusal import Refusal, bad_request

DEFAULT_TOKEN = "7000000001:REHEARSAL-not-a-secret-0000000000000"
TYPING_S = 5.0
DRAFT_S = 30.0
MAX_LOG = 10_000

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class StoredFile:
    file_id: str
    unique_id: str
    path: str
    name: str
    media_type: str
    content: bytes


@dataclass(slots=True, kw_only=True)
class Chat:
    info: Json
    members: list[int]
    messages: dict[int, Json] = field(default_factory=dict)
    topics: dict[int, str] = field(default_factory=dict)
    reactions: dict[int, list[str]] = field(default_factory=dict)
    """The bot's, by message."""
    typing_until: float = 0.0
    draft: str = ""
    draft_until: float = 0.0
    blocked: bool = False
    moved_to: int | None = None


class World:
    """All state of one twin."""

    def __init__(self, token: str = DEFAULT_TOKEN, username: str = "rehearsal_bot") -> None:
        self.token = token
        self.bot: Json = {
            "id": int(token.partition(":")[0]),
            "is_bot": True,
            "first_name": "Rehearsal",
            "username": username,
        }
        self.sees_all_in_groups = False
        """Privacy mode off: the bot sees every message of a group."""
        self.people: dict[int, Json] = {}
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, StoredFile] = {}
        self.updates: dict[int, Json] = {}
        self.presses: dict[str, Json] = {}
        self.commands: dict[str, list[Json]] = {}
        """By scope."""
        self.log: list[Json] = []
        self.changed = asyncio.Condition()
        # From the clock, so that a twin that was started again is not taken for one whose updates were seen.
        self._update_ids = itertools.count(int(time.time()) * 10)
        self._message_ids = itertools.count(int(time.time()) % 100_000_000)
        self._file_numbers = itertools.count(1)
        self._log_numbers = itertools.count(1)
        self._seed()

    def _seed(self) -> None:
        for number, first, last in ((1001, "Ada", "Newcomer"), (1002, "Ben", "Gardener")):
            self.add_person(number, first, last)
        group: Json = {"id": -1001000000001, "type": "supergroup", "title": "The Yard", "is_forum": True}
        self.chats[group["id"]] = Chat(info=group, members=[1001, 1002], topics={7: "Compost"})

    def add_person(self, number: int, first: str, last: str = "") -> None:
        person: Json = {"id": number, "is_bot": False, "first_name": first, "language_code": "en"}
        named: Json = {"id": number, "type": "private", "first_name": first}
        if last:
            person["last_name"] = named["last_name"] = last
        self.people[number] = person
        self.chats[number] = Chat(info=named, members=[number])

    def chat(self, chat_id: int) -> Chat:
        chat = self.chats.get(chat_id)
        if chat is None:
            raise bad_request("chat not found")
        return chat

    def writable_chat(self, chat_id: int) -> Chat:
        """Return the chat if the bot may write there; raise Refusal."""
        chat = self.chat(chat_id)
        if chat.moved_to is not None:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, words, migrate_to_chat_id=chat.moved_to)
        if chat.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        return chat

    def new_message(self, chat: Chat, sender: Json, topic: int | None, **content: Any) -> Json:
        message: Json = {
            "message_id": next(self._message_ids),
            "from": sender,
            "chat": chat.info,
            "date": int(time.time()),
            **content,
        }
        if topic is not None:
            message |= {"message_thread_id": topic, "is_topic_message": True}
        chat.messages[message["message_id"]] = message
        return message

    def new_file(self, upload: Upload, folder: str) -> StoredFile:
        number = next(self._file_numbers)
        dot = upload.name.rfind(".")
        suffix = upload.name[dot:] if dot > 0 else ""
        file_id = base64.urlsafe_b64encode(f"twin-file-{number}-{folder}".encode()).decode().rstrip("=")
        stored = StoredFile(
            file_id=file_id,
            unique_id=f"twinfile{number}",
            path=f"{folder}/file_{number}{suffix if suffix.isascii() else ''}",
            name=upload.name,
            media_type=upload.media_type,
            content=upload.content,
        )
        self.files[file_id] = stored
        return stored

    async def push_update(self, **content: Any) -> int:
        number = next(self._update_ids)
        self.updates[number] = {"update_id": number, **content}
        await self.note("update", {"update_id": number, "kind": next(iter(content))})
        return number

    async def push_raw_update(self, update: Json) -> int:
        number = next(self._update_ids)
        self.updates[number] = {**update, "update_id": number}
        await self.note("update", {"update_id": number, "kind": "raw"})
        return number

    def pending(self, offset: int, limit: int) -> list[Json]:
        """Confirm what lies below the offset, and return what is left; a negative one keeps only the last ones."""
        if offset < 0:
            offset = min(sorted(self.updates)[offset:], default=0)
        for number in [number for number in self.updates if number < offset]:
            del self.updates[number]
        return [self.updates[number] for number in sorted(self.updates)[:limit]]

    async def note(self, event: str, details: Json) -> None:
        """Write down an event and wake whoever waits for news."""
        self.log.append({"number": next(self._log_numbers), "at": time.time(), "event": event, **details})
        del self.log[:-MAX_LOG]
        async with self.changed:
            self.changed.notify_all()

    def messages_of_bot(self, chat: Chat, after: int) -> Iterable[Json]:
        return (
            message
            for number, message in chat.messages.items()
            if number > after and message["from"]["id"] == self.bot["id"]
        )
