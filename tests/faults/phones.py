"""An installation that has a Telegram account at the twin, with its owner's phone and terminal."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bench.installation import Installation, installation
from tests.faults.house import WAIT_S, Talk, until_true, write_group
from twins.telegram.server import TelegramTwin
from twins.telegram.user_side import type_text

PERSON = 7001


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneHouse:
    running: Installation
    telegram: TelegramTwin

    async def ask(self, verb: str, **arguments: object) -> Any:
        return await self.running.control.request(verb, arguments)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the store, as its documented views show it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.running.home}/store.db?mode=ro", uri=True)) as store:
            return list(store.execute(query, values))

    async def until(self, query: str, wanted: object) -> None:
        """Wait until the first thing that the store answers is this."""
        await until_true(lambda: [row[0] for row in self.rows(query)][:1] == [wanted])

    def phone(self, person: int = PERSON, chat: int | None = None) -> Phone:
        return Phone(self.telegram, person, person if chat is None else chat)

    async def pair(self, phone: Phone, role: str = "owner", group: str = "main") -> None:
        code = (await self.ask("pair", group=group, channel="telegram", role=role))["code"]
        await phone.gives(code, "Paired")


class Phone:
    """One person in one chat, as they see it."""

    def __init__(self, telegram: TelegramTwin, person: int, chat: int) -> None:
        self._world = telegram.world
        self.person, self.chat = person, chat

    async def type(self, text: str, **more: object) -> int:
        """Type something; return the number of the last message that it made."""
        body = {"person": self.person, "chat": self.chat, "text": text, **more}
        return int((await type_text(self._world, body))["message_ids"][-1])

    def sees(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the bot's messages, lines of progress with them."""
        return list(self._world.messages_of_bot(self._world.chat(self.chat), after))

    async def reads(self, text: str, after: int = 0) -> dict[str, Any]:
        """Return the bot's first message that holds a text, as soon as it is there."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [each for each in self.sees(after) if text in words_of(each)]
            return bool(found)

        try:
            await until_true(look)
        except TimeoutError:
            raise AssertionError(f"no {text!r} within {WAIT_S:g} s; seen: {self.sees(after)}") from None
        return found[0]

    async def gives(self, text: str, wanted: str, *, kind: str = "message") -> str:
        """Type something; return the first message after it that holds what is wanted. `kind`: as a terminal says it;
        on a phone a file is a message like any."""
        return words_of(await self.reads(wanted, await self.type(text)))


class Desk:
    """The owner's terminal, with the words of a phone."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    async def say(self, text: str) -> None:
        await self._talk.say(text)

    async def gives(self, text: str, wanted: str, *, kind: str = "message") -> str:
        await self._talk.say(text)
        return (await self._talk.until(kind, wanted)).text


def words_of(message: dict[str, Any]) -> str:
    """Return what a person reads: marks that cannot be seen are none of it."""
    return str(message.get("text", message.get("caption", ""))).replace("\u200b", "")


@asynccontextmanager
async def phone_house(
    script: object,
    *,
    settings: str = "",
    group: str = "",
    groups: Sequence[str] = ("main",),
    people: Sequence[int] = (),
) -> AsyncIterator[PhoneHouse]:
    """Run it; `group` is main's group.yaml. Its owner is paired, the other people are only there."""
    telegram = TelegramTwin()
    for person in (PERSON, *people):
        telegram.world.add_person(person, f"Person {person}")
    async with telegram.serve() as url:
        whole = f"channels:\n  telegram:\n    secret: telegram\n    url: {url}\n{settings}"
        secrets = {"telegram": telegram.world.token}
        async with installation(script=script, settings=whole, secrets=secrets, groups=groups) as running:
            house = PhoneHouse(running=running, telegram=telegram)
            if group:
                write_group(running, "main", group)
                await house.ask("reload")
            await house.pair(house.phone())
            yield house
