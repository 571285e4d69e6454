"""The commands about people and chats at a terminal, whose owner is whoever can open it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from client.control import ControlClient
from protocol.control import Say
from protocol.ids import ChatKey, PersonKey
from protocol.message import OutboundMessage
from runtime.people.words import limit_line
from runtime.store import people_rows
from runtime.store.records import PersonLimits
from tests.scripted_house import House, scripted_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(20), scripted_house(tmp_path) as opened:
        await opened.store.save_person(PersonKey("terminal:2"), "Ben", "member", "cli")
        yield opened


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/whoami", "You are `terminal:owner`, owner everywhere."),
        ("/settings", "Agent `main`:"),
        ("/settings session shared", "(session: shared)"),
        ("/link", "a terminal belongs to whoever owns this machine"),
        ("/person", "Ben: member (`terminal:2`)"),
        ("/person role terminal:2 owner", "`terminal:2` is an owner now."),
        ("/person yes 0000-0000", "nothing waits under"),
        ("/chat", "`terminal:main`: main, always"),
        ("/chat new 0000-0000", "nothing waits under"),
        ("/access", "Nobody was refused."),
    ],
)
async def test_each_command_is_answered(house: House, text: str, answer: str) -> None:
    """Every command of this room is answered by the host itself."""
    async with ControlClient(house.home.control_socket).chat() as chat:
        await chat.say(Say(text=text))
        async for shown in chat.shown():
            if shown.kind == "message":
                assert answer in shown.text
                break
    assert (await house.store.status()).claimed == 0


async def test_the_owner_can_be_told_before_any_terminal_was_opened(tmp_path: Path) -> None:
    """The terminal's own chat is there from the first start on: notices wait in it, and answers may go there."""
    async with asyncio.timeout(20), scripted_house(tmp_path) as opened:
        client = ControlClient(opened.home.control_socket)
        while not await opened.store.bindings():
            await client.request("bindings", {})
        assert await opened.store.read(people_rows.owner_chats) == ("terminal:main",)
        made: Any = await client.request(
            "schedule_add", {"group": "main", "text": "tidy", "when": "every day 08:00", "chat": "terminal:main"}
        )
        assert made["chat"] == "terminal:main"
        await opened.store.put_outbound("told", OutboundMessage(chat=ChatKey("terminal:main"), text="It failed."))
        opened.delivery.wake()
        async with client.chat() as chat:
            async for shown in chat.shown():
                if shown.kind == "message":
                    assert "It failed." in shown.text
                    break


async def test_a_terminal_has_no_guests_limits(house: House) -> None:
    """/whoami names no limit where none holds, and one of a thing is not called many."""
    async with ControlClient(house.home.control_socket).chat() as chat:
        await chat.say(Say(text="/whoami"))
        async for shown in chat.shown():
            if shown.kind == "message":
                assert "Used:" not in shown.text
                break
    assert limit_line("per_day", {"per_day": 1}, PersonLimits()) == "Used: 1 message, last day."
