"""The commands about people and chats at a terminal, whose owner is whoever can open it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.control import ControlClient
from protocol.control import Say
from protocol.ids import PersonKey
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
