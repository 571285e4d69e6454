"""A house without containers that has a Telegram account, at a twin; and phones of the people there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.telegram.channel import TelegramChannel
from client.control import ControlClient
from protocol.ids import PersonKey
from tests.channels.telegram.support import CHANNEL, QUICK, Phone
from tests.scripted_house import House, scripted_house
from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN

SETTINGS = "channels:\n  telegram: {secret: telegram, group: main}\n"
ADA, BEN, YARD = 1001, 1002, -1001000000001
ADA_KEY, BEN_KEY = PersonKey("telegram:1001"), PersonKey("telegram:1002")
TIMEOUT_S = 8


class TelegramHouse:
    """The house, its owner's way in by control.sock, and what people see on their phones."""

    def __init__(self, house: House, twin: TelegramTwin, phone: Phone) -> None:
        self.house = house
        self.twin = twin
        self.phone = phone

    async def ask(self, verb: str, **arguments: Any) -> Any:
        return await ControlClient(self.house.home.control_socket).request(verb, arguments)

    async def sees(self, chat: int, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message of the bot's in a chat that is wanted, as soon as it is there."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                number = await self.phone.last_event()
                for message in await self.phone.sees(chat):
                    if wanted(message):
                        return dict(message)
                await self.phone.get("log", after=number, wait_s=5)

    async def reads(self, chat: int, text: str) -> dict[str, Any]:
        """Return the bot's first message in a chat that a person reads a text in: what keeps names from ringing
        nobody sees."""
        return await self.sees(chat, lambda message: text in message.get("text", "").replace("\u200b", ""))

    async def press(self, person: int, message: dict[str, Any], label: str) -> None:
        await self.phone.post("press", label=label, message_id=message["message_id"], chat=person, person=person)

    async def pair(self) -> None:
        """Make Ada an owner."""
        code = (await self.ask("pair", channel="telegram"))["code"]
        await self.phone.type(code)
        await self.reads(ADA, "Paired")

    async def let_ben_in(self) -> None:
        """Make Ben a member with the agent main, after he has asked."""
        await self.phone.type("let me in", person=BEN)
        code = code_in(await self.reads(BEN, "I do not know you yet"))
        await self.ask("person_approve", who=code)
        await self.reads(BEN, "You said let me in")


def buttons_of(message: dict[str, Any]) -> list[str]:
    rows = message["reply_markup"]["inline_keyboard"]
    return [button["text"] for row in rows for button in row]


def code_in(message: dict[str, Any]) -> str:
    found = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", message["text"])
    assert found is not None
    return found[0]


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[TelegramHouse]:
    twin = TelegramTwin()
    async with asyncio.timeout(60), twin.serve() as address:

        async def fetch_secret() -> str:
            return DEFAULT_TOKEN

        telegram = TelegramChannel(CHANNEL, fetch_secret, address, QUICK)
        async with (
            httpx.AsyncClient(base_url=address, timeout=20, trust_env=False) as http,
            scripted_house(tmp_path, SETTINGS, {"telegram": telegram}) as house,
        ):
            yield TelegramHouse(house, twin, Phone(http))
