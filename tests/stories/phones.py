"""A person's two ways to talk with an agent, with the same words for both: a terminal, and Telegram on a phone."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from bench.installation import Installation
from client.control import Conversation
from protocol.control import Say
from tests.faults.house import Talk, until_true
from tests.faults.phones import Phone as TelegramChat
from tests.faults.phones import words_of
from twins.telegram.server import TelegramTwin
from twins.telegram.user_side import press

_names = itertools.count(1)
FIRST_PERSON = 7100
MOST_PEOPLE = 40


class Phone(Protocol):
    """One chat with one agent, as its person has it in hand."""

    async def say(self, text: str) -> None:
        """Say something; what is read next came after it."""

    async def reads(self, text: str) -> str:
        """Return the next message that holds this."""

    async def sees_work(self, text: str) -> None:
        """Return once the line that says what the agent is doing holds this."""

    async def receives(self, name: str) -> bytes:
        """Return the next file, which is called that."""

    async def press(self, label: str) -> None:
        """Press the button of this label under what was shown last with one."""

    def messages(self) -> list[str]:
        """Return all that was said to the person so far and stands there still, files and lines of work apart."""


class TerminalPhone:
    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._talk = Talk(conversation)

    async def say(self, text: str) -> None:
        await self._talk.say(text)

    async def reads(self, text: str) -> str:
        return (await self._talk.until("message", text)).text

    async def sees_work(self, text: str) -> None:
        await self._talk.until("progress", text)

    async def receives(self, name: str) -> bytes:
        return Path((await self._talk.until("file", name)).path).read_bytes()

    async def press(self, label: str) -> None:
        choices = next(shown.buttons for shown in reversed(self._talk.seen) if shown.buttons)
        (value,) = [choice.value for choice in choices if choice.label == label]
        await self._conversation.say(Say(text=value, kind="press"))

    def messages(self) -> list[str]:
        return self._talk.read("message")


class TelegramPhone:
    def __init__(self, telegram: TelegramTwin, person: int) -> None:
        self._telegram = telegram
        self._chat = TelegramChat(telegram, person, person)
        self._said = 0

    async def say(self, text: str) -> None:
        self._said = await self._chat.type(text)

    async def reads(self, text: str) -> str:
        return words_of(await self._chat.reads(text, self._said))

    async def sees_work(self, text: str) -> None:
        await self._chat.reads(text, self._said)

    async def receives(self, name: str) -> bytes:
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [each for each in self._chat.sees(self._said) if "document" in each]
            return bool(found)

        await until_true(look)
        assert [each["document"]["file_name"] for each in found] == [name]
        return self._telegram.world.files[found[0]["document"]["file_id"]].content

    async def press(self, label: str) -> None:
        await press(self._telegram.world, {"person": self._chat.person, "label": label})

    def messages(self) -> list[str]:
        return [str(each["text"]) for each in self._chat.sees() if "text" in each]


@asynccontextmanager
async def terminal_phone(running: Installation, group: str) -> AsyncIterator[Phone]:
    """Open a terminal with an agent, in a chat of its own."""
    async with running.control.chat(group, f"story-{next(_names)}") as conversation:
        yield TerminalPhone(conversation)


def telegram_of_many() -> TelegramTwin:
    """Return the twin, with people whom the house does not know yet."""
    telegram = TelegramTwin()
    for number in range(MOST_PEOPLE):
        telegram.world.add_person(FIRST_PERSON + number, f"Person {number}")
    return telegram


async def telegram_phone(running: Installation, telegram: TelegramTwin, group: str) -> Phone:
    """Pair somebody who was never there before with an agent."""
    person = FIRST_PERSON + next(_names)
    paired: Any = await running.control.request("pair", {"group": group, "channel": "telegram", "role": "owner"})
    phone = TelegramPhone(telegram, person)
    await phone.say(str(paired["code"]))
    await phone.reads("Paired")
    return phone
