"""The twin's world: a bot, people, chats and their messages, and the updates the bot has not confirmed.

Messages, chats and people are JSON objects in the Bot API's own shape: that is what a twin of it is made of.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from twins.clock import Clock
from twins.event_log import EventLog
from twins.faults import Faults
from twins.telegram.arguments import Upload
from twins.telegram.chats import Chat, Json, Topic
from twins.telegram.files import Files, topic_icons
from twins.telegram.limits import Limits
from twins.telegram.refusal import bad_request
from twins.telegram.updates import Updates
from twins.telegram.webhook import Webhook

DEFAULT_TOKEN = "7000000001:REHEARSAL-not-a-secret-0000000000000"
FAULT_KINDS = (
    "error",
    "reset",
    "unauthorized",
    "conflict",
    "flood",
    "delay",
    "garbage",
    "lost_answer",
    "redeliver",
    "hold",
)
TYPING_S = 5.0
DRAFT_S = 30.0
YARD = -1001000000001


class World:
    """All state of one twin."""

    def __init__(self, token: str = DEFAULT_TOKEN, username: str = "rehearsal_bot", clock: Clock | None = None) -> None:
        self.token = token
        self.clock = clock or Clock()
        self.log = EventLog(self.clock)
        self.faults = Faults(FAULT_KINDS)
        self.limits = Limits()
        self.updates = Updates(self.clock, self.log, self.faults)
        self.webhook: Webhook | None = None
        self.next_set_webhook = 0.0
        self.files = Files(self.clock)
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
        self.presses: dict[str, Json] = {}
        self.commands: dict[str, list[Json]] = {}
        """By scope and language."""
        self.profile: dict[str, Any] = {}
        """The bot's names and descriptions by language, menu buttons and default rights."""
        self.photos: dict[int, list[list[Json]]] = {}
        """Profile photos by person."""
        self.sticker_sets: dict[str, Json] = {}
        self.web: dict[str, Upload] = {}
        """The outside pages that the twin's server can fetch by address: whoever runs it puts them here."""
        self._message_ids = itertools.count(int(self.clock.now()) % 100_000_000)
        self._numbers = itertools.count(int(self.clock.now()) * 1000)
        self._seed()

    def _seed(self) -> None:
        for number, first, last in ((1001, "Ada", "Newcomer"), (1002, "Ben", "Gardener"), (1003, "Mallory", "Meddler")):
            self.add_person(number, first, last)
        info: Json = {"id": YARD, "type": "supergroup", "title": "The Yard", "is_forum": True}
        topics = {7: Topic(name="Compost")}
        self.sticker_sets["topics"] = topic_icons(self.files)
        self.chats[YARD] = Chat(
            info=info, members=[1001, 1002, 1003], topics=topics, roles={1001: {"status": "creator"}}
        )

    def add_person(self, number: int, first: str, last: str = "") -> None:
        person: Json = {"id": number, "is_bot": False, "first_name": first, "language_code": "en"}
        named: Json = {"id": number, "type": "private", "first_name": first}
        if last:
            person["last_name"] = named["last_name"] = last
        self.people[number] = person
        self.chats[number] = Chat(info=named, members=[number])

    def chat(self, chat_id: int | str) -> Chat:
        """Return a chat by its number or its @name; raise Refusal."""
        if isinstance(chat_id, str) and chat_id.startswith("@"):
            name = chat_id.removeprefix("@").lower()
            found = [each for each in self.chats.values() if str(each.info.get("username", "")).lower() == name]
        else:
            try:
                found = [self.chats[int(chat_id)]] if int(chat_id) in self.chats else []
            except ValueError:
                found = []
        if not found:
            raise bad_request("chat not found")
        return found[0]

    def writable_chat(self, chat_id: int | str) -> Chat:
        """Return the chat if the bot may write there; raise Refusal."""
        chat = self.chat(chat_id)
        chat.check_writable()
        return chat

    def user(self, number: int) -> Json | None:
        return self.bot if number == self.bot["id"] else self.people.get(number)

    def next_number(self) -> int:
        """Return a number that was not given before: for presses, polls, albums."""
        return next(self._numbers)

    def now(self) -> int:
        return int(self.clock.now())

    def new_message(self, chat: Chat, sender: Json, topic: int | None, **content: Any) -> Json:
        """Put a message into the chat and return it as the API shows it."""
        message: Json = {"message_id": next(self._message_ids), "date": self.now(), "chat": chat.info}
        if chat.kind == "channel":
            message["sender_chat"] = chat.info
        else:
            message["from"] = sender
        message |= content
        if topic is not None:
            message |= {"message_thread_id": topic, "is_topic_message": True}
        chat.messages[message["message_id"]] = message
        self.log.note("message", chat=chat.info["id"], message_id=message["message_id"], by_bot=sender is self.bot)
        return message

    def messages_of_bot(self, chat: Chat, after: int) -> Iterator[Json]:
        return (message for number, message in chat.messages.items() if number > after and self.is_bots(message))

    def is_bots(self, message: Json) -> bool:
        """Whether the bot sent it; what stands in a channel is its own."""
        return bool(message.get("from", self.bot)["id"] == self.bot["id"])
