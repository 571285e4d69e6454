"""Every command on the terminal and on Telegram's twin: who may give it where, and that none costs a model call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.telegram.channel import TelegramChannel
from client.control import ControlClient
from protocol.control import Say
from runtime.access import DIRECT_ONLY, OWNERS_ONLY, TOO_LOW, reaches
from runtime.commands.help import build_help
from runtime.commands.table import COMMANDS, CommandSpec
from runtime.store.records import ROLES, Role
from tests.channels.telegram.support import CHANNEL, QUICK, Phone
from tests.scripted_house import House, scripted_house
from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN

SETTINGS = "channels:\n  telegram: {secret: telegram, group: main}\n"
ADA, BEN, YARD = 1001, 1002, -1001000000001
ANSWERS = {
    "stop": "Nothing was running here",
    "new": "A fresh conversation begins",
    "resume": "There is no conversation here yet",
    "sessions": "There is no conversation here yet",
    "compact": "yet",
    "export": "yet",
    "status": "Nothing is running here",
    "tasks": "Nothing runs or waits here",
    "model": "rehearsal/guide",
    "skills": "main has no skills",
    "memory": "main has noted nothing yet",
    "pause": "main is paused",
    "help": "/stop",
    "start": "This is Nightyard; the agent here is main",
    "whoami": "telegram:100",
}
"""What somebody who may reads, for the commands of this room; the others are answered with something."""
REFUSALS = ("Only a", DIRECT_ONLY[:30])


class There:
    """A house with a Telegram account, and what is said to and by it."""

    def __init__(self, house: House, phone: Phone) -> None:
        self.house = house
        self.phone = phone

    async def ask(self, verb: str, **arguments: Any) -> Any:
        return await ControlClient(self.house.home.control_socket).request(verb, arguments)

    async def answer(self, text: str, chat: int, person: int) -> str:
        """Say something; return what the bot answers to it."""
        number = await self.phone.type(text, chat=chat, person=person)
        async with asyncio.timeout(10):
            while True:
                event = await self.phone.last_event()
                for message in await self.phone.sees(chat, number):
                    said = str(message.get("text", message.get("caption", "")))
                    if message.get("reply_to_message", {}).get("message_id") == number or said.startswith(REFUSALS):
                        return said
                await self.phone.get("log", after=event, wait_s=5)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    twin = TelegramTwin()
    async with asyncio.timeout(90), twin.serve() as address:

        async def fetch_secret() -> str:
            return DEFAULT_TOKEN

        telegram = TelegramChannel(CHANNEL, fetch_secret, address, QUICK)
        async with (
            httpx.AsyncClient(base_url=address, timeout=20, trust_env=False) as http,
            scripted_house(tmp_path, SETTINGS, {"telegram": telegram}) as house,
        ):
            yield There(house, Phone(http))


async def with_role(there: There, role: Role) -> None:
    """Make Ada the owner and Ben one of this role, both with the agent main, in direct chats and in the yard."""
    for person, given in ((ADA, "owner"), (BEN, role)):
        code = (await there.ask("pair", channel="telegram", role=given))["code"]
        assert "Paired" in await said_next(there, code, person)
    await there.ask("bind", chat=f"telegram:{YARD}", group="main", kind="many")


async def said_next(there: There, text: str, person: int) -> str:
    number = await there.phone.type(text, chat=person, person=person)
    async with asyncio.timeout(10):
        while not (seen := await there.phone.sees(person, number)):
            await there.phone.get("log", after=await there.phone.last_event(), wait_s=1)
    return str(seen[0]["text"])


def refusal_of(spec: CommandSpec, role: Role, *, is_direct: bool) -> str:
    """Return what somebody reads who may not give a command; empty for one who may."""
    if not reaches(role, spec.least):
        return OWNERS_ONLY if spec.least == "owner" else TOO_LOW.format(least=spec.least)
    return DIRECT_ONLY if spec.direct_only and not is_direct else ""


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
@pytest.mark.parametrize("is_direct", [True, False], ids=["direct", "many"])
async def test_each_command_on_telegram(there: There, role: Role, is_direct: bool) -> None:
    """Who may give a command there has its answer, who may not is told why; no task is made of any."""
    await with_role(there, role)
    chat = BEN if is_direct else YARD
    for spec in COMMANDS:
        text = await there.answer(f"/{spec.name}", chat, BEN)
        refusal = refusal_of(spec, role, is_direct=is_direct)
        assert text == refusal if refusal else not text.startswith(REFUSALS), (spec.name, text)
        if not refusal:
            assert ANSWERS.get(spec.name, "") in text, (spec.name, text)
        if spec.name in ("pause", "freeze"):
            await there.ask("resume", group="main")
    assert await there.house.store.running_tasks() == ()
    assert (await there.ask("tasks", group="main"))["tasks"] == []


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(60), scripted_house(tmp_path) as opened:
        yield opened


async def test_each_command_in_a_terminal(house: House) -> None:
    """Who can open a terminal owns the home: every command has its answer, and none makes a task."""
    async with ControlClient(house.home.control_socket).chat() as chat:
        shown = chat.shown()
        for spec in COMMANDS:
            await chat.say(Say(text=f"/{spec.name}"))
            async with asyncio.timeout(10):
                text = next_text = ""
                async for each in shown:
                    if each.kind in ("message", "file"):
                        text = next_text or each.text
                        break
            answer = ANSWERS.get(spec.name, "") if spec.name != "whoami" else "owner"
            assert answer in text, (spec.name, text)
            assert not text.startswith(REFUSALS), (spec.name, text)
    assert await house.store.running_tasks() == ()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("is_direct", [True, False])
def test_help_shows_what_the_asker_may_do(role: Role, is_direct: bool) -> None:
    """No list names a command that its reader would be refused, and the whole one leaves none out."""
    short, whole = build_help(role, is_direct=is_direct), build_help(role, is_direct=is_direct, about="all")
    for spec in COMMANDS:
        if spec.name == "start":
            continue
        may = not refusal_of(spec, role, is_direct=is_direct)
        words = whole.replace("[", " ").split()
        assert (f"/{spec.name}" in words) == may, spec.name
        assert may or f"/{spec.name} " not in f"{short} ", spec.name
    assert len(short.splitlines()) < len(whole.splitlines()) or role == "guest"


def test_help_tells_of_one_command() -> None:
    """`/help stop` says what that one does; a word that is none gives the list."""
    assert build_help("member", is_direct=True, about="/stop").startswith("/stop [all|TASK] – ")
    assert "/new" in build_help("member", is_direct=True, about="nonsense")
    assert "/freeze" not in build_help("member", is_direct=True, about="freeze")
