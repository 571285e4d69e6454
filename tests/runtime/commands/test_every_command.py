"""Every command on the terminal and on Telegram's twin: who may give it where, what they read in a house in which
nothing has happened yet, and that none costs a model call. What each does in one that works:
`faults/test_commands_at_work.py`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.telegram.channel import TelegramChannel
from cli.verbs import VERBS
from client.control import ControlClient
from protocol.control import Say
from protocol.ids import GroupId
from runtime.access import DIRECT_ONLY, OWNERS_ONLY, TOO_LOW
from runtime.commands.help import build_help
from runtime.commands.table import COMMANDS, CommandSpec
from runtime.people.roles import reaches
from runtime.store.records import ROLES, MessageState, Role
from tests.channels.telegram.support import CHANNEL, QUICK, Phone
from tests.scripted_house import House, scripted_house
from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN

SETTINGS = "channels:\n  telegram: {secret: telegram, group: main}\n"
ADA, BEN, YARD = 1001, 1002, -1001000000001
MAIN = GroupId("main")
ANSWERS = {
    "stop": "Nothing was running here.",
    "new": "A fresh conversation begins.",
    "resume": "There is no conversation here yet.",
    "sessions": "There is no conversation here yet.",
    "compact": "There is nothing to sum up yet.",
    "export": "Nothing was asked in this conversation yet.",
    "status": "Nothing is running here.",
    "tasks": "Nothing runs or waits here, and nothing has.",
    "model": "Here answers rehearsal/guide, as the settings say.",
    "skills": "main has no skills.",
    "memory": "main has noted nothing yet.",
    "pause": "main is paused in all its chats.",
    "usage": "main, 7 days: 0 model calls, 0 tokens",
    "budget": "main's budget today: 0 of 1,000 model calls",
    "approvals": "Nothing waits for a decision.",
    "approve": "that names no approval. What helps: /approve CODE",
    "deny": "that names no approval. What helps: /deny CODE",
    "answer": "No question waits for an answer here.",
    "constraint": "No constraints hold for main.",
    "retry": "Nothing of this chat has failed and waits. What helps: /retry list",
    "undo": "No task of this chat has changed files since the last undo.",
    "schedule": "/schedule every",
    "freeze": "Frozen. But the credential proxy does not answer",
    "unfreeze": "Still frozen: the credential proxy does not answer",
    "whoami": "You are ",
    "settings": "Agent main:",
    "link": "Your code: ",
    "person": "owner",
    "chat": "main, always",
    "access": "Nobody was refused.",
    "help": "/whoami",
    "start": "This is Nightyard; the agent here is main.",
}
"""What somebody who may reads in a house where nothing has happened yet."""
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
    """Who may give a command there has its answer, who may not is told why; no task is made of any, and nothing is
    changed by who may not."""
    await with_role(there, role)
    chat = BEN if is_direct else YARD
    for spec in COMMANDS:
        text = await there.answer(f"/{spec.name}", chat, BEN)
        refusal = refusal_of(spec, role, is_direct=is_direct)
        if refusal:
            assert text == refusal, spec.name
        else:
            assert ANSWERS[spec.name] in text, spec.name
        if spec.name == "pause":
            assert bool(there.house.pauses.of(MAIN)) == (not refusal)
            await there.ask("resume", group="main")
    assert await there.house.store.is_frozen() == (role == "owner")
    await nothing_was_made(there.house)


@pytest.mark.parametrize("is_direct", [True, False], ids=["direct", "many"])
async def test_a_guest_is_answered_about_themselves_alone(there: There, is_direct: bool) -> None:
    """Where the agent does not answer guests, they learn who they are and what they may say; all else is met with
    silence, counted, and changes nothing."""
    await with_role(there, "guest")
    chat = BEN if is_direct else YARD
    silent = [spec.name for spec in COMMANDS if spec.least != "guest"]
    for name in silent:
        await there.phone.type(f"/{name}", chat=chat, person=BEN)
    told = await there.answer("/help", chat, BEN)
    assert set(re.findall(r"^/(\w+)", told, re.MULTILINE)) == {"whoami", "help"}
    assert "guest" in await there.answer("/whoami", chat, BEN)
    heard: list[MessageState] = []
    async with asyncio.timeout(10):
        while len(heard) < len(silent):
            recent = await there.house.store.recent_messages(100)
            heard = [each.state for each in recent if each.inbound.text[1:] in silent]
    assert set(heard) == {MessageState.REFUSED}
    assert len(await there.phone.sees(chat, 0)) == (3 if is_direct else 2)  # of which one is about the pairing
    assert not there.house.pauses.of(MAIN)
    assert not await there.house.store.is_frozen()
    await nothing_was_made(there.house)


async def nothing_was_made(house: House) -> None:
    """Assert that no command made a task, a schedule, a constraint or a choice."""
    assert await house.store.running_tasks() == ()
    assert await house.schedules.desk.schedules(group_id=MAIN) == ()
    assert house.decisions.book.of(MAIN) == ()
    assert house.models.answering(MAIN, None).choice is None


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(60), scripted_house(tmp_path) as opened:
        yield opened


async def test_each_command_in_a_terminal(house: House) -> None:
    """Who can open a terminal owns the home: every command has its answer, and none makes a task."""
    own = {"link": "a terminal belongs to whoever owns this machine", "person": "Nobody is known yet."}
    async with ControlClient(house.home.control_socket).chat() as chat:
        shown = chat.shown()
        for spec in COMMANDS:
            await chat.say(Say(text=f"/{spec.name}"))
            async with asyncio.timeout(10):
                async for each in shown:
                    if each.kind in ("message", "file"):
                        break
            assert own.get(spec.name, ANSWERS[spec.name]) in each.text.replace("`", "").replace("**", ""), spec.name
    assert await house.store.is_frozen()
    await nothing_was_made(house)


def test_each_command_has_its_verb() -> None:
    """The documents name, for each word of the table, a verb of the command line that does the same."""
    text = (Path(__file__).parents[3] / "docs" / "commands.md").read_text("utf-8")
    rows = [line.split(" | ") for line in text.partition("## In a chat")[2].splitlines() if line.startswith("| `/")]
    verbs: dict[str, set[str]] = {}
    for words, _, counterpart in rows:
        for name in re.findall(r"`/(\w+)", words):
            verbs.setdefault(name, set()).update(re.findall(r"`(\w+)", counterpart))
    assert verbs.keys() == {spec.name for spec in COMMANDS}
    assert not [name for name, named in verbs.items() if not named or not named <= VERBS.keys() | {"help"}]


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
