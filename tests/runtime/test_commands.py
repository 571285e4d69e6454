"""The chat commands: which words they are, what they answer, each answered once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.control import ControlClient
from protocol.control import Say
from protocol.ids import ChatKey
from runtime.commands.table import Command, parse_command
from runtime.commands.words import (
    ChatStatus,
    build_freeze_answer,
    build_new_answer,
    build_status_answer,
    build_stop_answer,
    build_unfreeze_answer,
)
from tests.scripted_house import House, scripted_house


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/stop", Command(name="stop")),
        ("  /STOP  ", Command(name="stop")),
        ("/new\nplease", Command(name="new", rest="please")),
        ("/start abc def", Command(name="start", rest="abc def")),
        ("/help@night_bot", Command(name="help")),
        ("/freeze", Command(name="freeze")),
        ("/unfreeze", Command(name="unfreeze")),
        ("/help@NIGHT_bot", Command(name="help")),
        ("/help@other_bot", None),
        ("/stopp", None),
        ("stop", None),
        ("please /stop", None),
        ("/", None),
        ("", None),
        ("/stop/x", None),
    ],
)
def test_command_words(text: str, command: Command | None) -> None:
    """Only the known words at the beginning are commands, addressed to us or to nobody."""
    assert parse_command(text, "night_bot") == command


def test_any_bot_name_is_ours_if_we_do_not_know_it() -> None:
    """Without a name of our own, a command addressed to any bot is taken."""
    assert parse_command("/stop@whoever") == Command(name="stop")


@given(st.text())
def test_any_text_is_a_command_or_not(text: str) -> None:
    """No text breaks the parser, and whatever it takes for a command begins with a slash."""
    command = parse_command(text)
    assert command is None or text.lstrip().startswith("/")


QUIET = ChatStatus(
    group="main",
    model="anthropic/x",
    is_rehearsal=False,
    is_frozen=False,
    is_working=False,
    waiting_here=0,
    working_everywhere=0,
    calls_today=3,
    calls_per_day=1000,
    undelivered=0,
)


def test_status_tells_the_worst_first() -> None:
    """Freeze and problems stand before the numbers; a rehearsal is named."""
    status = replace(QUIET, is_frozen=True, problems=("group.yaml:1: wrong",), is_rehearsal=True, undelivered=1)
    lines = build_status_answer(status).splitlines()
    assert "frozen" in lines[0]
    assert lines[1] == "Not well: group.yaml:1: wrong"
    assert any("rehearsal" in line for line in lines)
    assert lines[-1].startswith("1 message could not be delivered")


def test_status_tells_that_the_agent_is_paused() -> None:
    """With each cause; where nothing holds it back nothing is said."""
    status = replace(QUIET, held_back=("paused by telegram:1", "its budget is spent"))
    first = build_status_answer(status).splitlines()[0]
    assert first == "main is held back (paused by telegram:1, its budget is spent): messages wait."
    assert "paused" not in build_status_answer(QUIET)


def test_status_of_a_quiet_chat() -> None:
    """A quiet chat says so, and counts in the right number."""
    assert build_status_answer(QUIET).startswith("Nothing is running here.")
    assert "Working here now, 2 messages waiting." in build_status_answer(
        replace(QUIET, is_working=True, waiting_here=2)
    )
    assert "1 message waiting here." in build_status_answer(replace(QUIET, waiting_here=1))


def test_stop_and_new_tell_what_they_did() -> None:
    """Stop says whether anything ran and what will not be answered; new says that work goes on."""
    assert build_stop_answer(0, 0) == "Nothing was running here."
    assert build_stop_answer(1, 0) == "Stopped."
    assert build_stop_answer(1, 2) == "Stopped. 2 waiting messages will not be answered."
    assert "/stop" in build_new_answer(True)
    assert "/stop" not in build_new_answer(False)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(20), scripted_house(tmp_path) as opened:
        yield opened


async def answer_to(house: House, text: str) -> str:
    async with ControlClient(house.home.control_socket).chat() as chat:
        await chat.say(Say(text=text))
        async for shown in chat.shown():
            if shown.kind == "message":
                return shown.text
    raise AssertionError("the chat was closed")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/help", "/stop [all|TASK] – stop"),
        ("/start", "This is Nightyard; the agent here is main."),
        ("/start", "This is a rehearsal"),
        ("/new", "A fresh conversation begins."),
        ("/stop", "Nothing was running here."),
        ("/status", "Agent main, model rehearsal/guide"),
    ],
)
async def test_each_command_is_answered_without_a_task(house: House, text: str, answer: str) -> None:
    """Every command is answered by the host itself."""
    assert answer in await answer_to(house, text)
    assert (await house.store.status()).claimed == 0


async def test_command_carried_out_twice_is_answered_once(house: House) -> None:
    """A command that a crash has done again does not answer again."""
    await answer_to(house, "/help")
    (message,) = await house.store.recent_messages()
    await house.commands.perform(message)
    await house.commands.perform(message)
    house.delivery.wake()
    await house.delivery.settled()
    async with ControlClient(house.home.control_socket).chat() as chat:
        async for shown in chat.shown():
            assert shown.kind == "progress"
            break


def test_a_freeze_says_what_it_reached() -> None:
    """How many tasks were stopped, whether the proxy knows, and how to lift it; lifting, what goes on."""
    assert build_freeze_answer(0, "").startswith("Frozen: no agent runs, and nothing goes out. Messages")
    assert "2 tasks stopped" in build_freeze_answer(2, "")
    assert "But the proxy is away; it is told when it is back." in build_freeze_answer(1, "the proxy is away")
    assert (build_unfreeze_answer(0), build_unfreeze_answer(1)) == ("Unfrozen.", "Unfrozen. 1 message waiting.")


async def test_an_owner_freezes_from_a_chat(house: House) -> None:
    """/freeze sets the flag under the owner's name and drops the spares; while the proxy is away it stays so."""
    assert "Frozen. But the credential proxy does not answer" in await answer_to(house, "/freeze")
    assert await house.store.is_frozen()
    assert house.containers.spares_dropped == 1
    assert "Still frozen: the credential proxy" in await answer_to(house, "/unfreeze")
    assert await house.store.is_frozen()


async def test_new_begins_another_session(house: House) -> None:
    """After /new the chat's messages join another session."""
    await answer_to(house, "hello")
    before = await house.store.current_session("main", ChatKey("terminal:main"))  # type: ignore[arg-type]
    await answer_to(house, "/new")
    assert await house.store.current_session("main", ChatKey("terminal:main")) != before  # type: ignore[arg-type]
