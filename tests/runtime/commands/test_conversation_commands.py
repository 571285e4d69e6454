"""What the commands of conversations do: models by right, memory, pauses, and the two meanings of /resume."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from client.control import ControlClient
from client.errors import Refused
from protocol.control import Say
from protocol.ids import ChatKey, GroupId
from runtime.home import Home
from runtime.memory_files import MemoryFiles
from runtime.refusal import OperationRefused
from tests.scripted_house import House, scripted_house

MAIN, CHAT = GroupId("main"), ChatKey("terminal:main")
SETTINGS = "routes:\n  local: {api: openai, url: http://127.0.0.1:1/v1}\n"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(30), scripted_house(tmp_path, SETTINGS) as opened:
        yield opened


async def answer_to(house: House, text: str) -> str:
    async with ControlClient(house.home.control_socket).chat() as chat:
        await chat.say(Say(text=text))
        async for shown in chat.shown():
            if shown.kind in ("message", "file"):
                return shown.text
    raise AssertionError("the chat was closed")


async def test_a_model_is_chosen_for_a_chat_or_everywhere(house: House) -> None:
    """A chat's choice counts before the group's, both are told with who made them, and both can be taken back."""
    group = house.state.groups.ready[MAIN]
    assert "local/small" in await answer_to(house, "/model local/small everywhere")
    assert "local/big" in await answer_to(house, "/model local/big")
    assert house.models.model_of(group, CHAT).model == "big"
    assert house.models.model_of(group, ChatKey("terminal:main:other")).model == "big", "a thread is its chat's"
    assert house.models.model_of(group, ChatKey("telegram:1")).model == "small"
    assert "chosen by" in await answer_to(house, "/model")
    assert "local/big" in await answer_to(house, "/status")
    assert "local/small" in await answer_to(house, "/model default")
    await house.models.load()
    assert house.models.model_of(group, CHAT).model == "small"
    assert "rehearsal/guide" in await answer_to(house, "/model default everywhere")


@pytest.mark.parametrize("words", ["nowhere/x", "local", "local/", "a b c", f"local/{'x' * 200}"])
async def test_a_model_that_there_is_not_is_refused(house: House, words: str) -> None:
    """A route that is not configured, or no model's name, changes nothing and says what to do."""
    answer = await answer_to(house, f"/model {words}")
    assert "What helps: /model" in answer or "what I understand: /model" in answer
    assert house.models.answering(MAIN, CHAT).choice is None


async def test_a_choice_whose_route_is_gone_counts_for_nothing(house: House) -> None:
    """With its route taken from the settings, the model of the settings answers again."""
    await answer_to(house, "/model local/big")
    (house.fork / "nightyard.yaml").write_text("")
    await house.state.reload()
    assert house.models.answering(MAIN, CHAT).model == "rehearsal/guide"


async def test_resume_lifts_a_pause_first(house: House) -> None:
    """Alone it lets a paused agent go on, else it lists; with a number it is about conversations, paused or not."""
    await answer_to(house, "hello there")
    assert "paused in all its chats" in await answer_to(house, "/pause holiday.")
    assert house.pauses.of(MAIN)[0].reason == "holiday"
    assert "paused already" in await answer_to(house, "/pause")
    assert "hello there" in await answer_to(house, "/sessions")
    assert "We go on with “hello there”" in await answer_to(house, "/resume 1")
    assert house.pauses.of(MAIN)
    assert "main goes on" in await answer_to(house, "/resume")
    assert not house.pauses.of(MAIN)
    assert "1. “hello there”" in await answer_to(house, "/resume")


async def test_memory_is_shown_and_forgotten(house: House) -> None:
    """Files are listed by size, shown with all signs visible, and removed when an owner says so."""
    folder = house.home.group(MAIN) / "memory"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a note.md").write_text("evil \x1b[2J `x`\n")
    assert "`deep/a note.md` · 14 bytes" in await answer_to(house, "/memory")
    shown = await answer_to(house, "/memory show deep/a note.md")
    assert "⟨U+001B⟩" in shown
    assert "is removed" in await answer_to(house, "/memory forget deep/a note.md")
    assert "has no file" in await answer_to(house, "/memory forget deep/a note.md")
    assert "memory_forgotten" in [entry.kind for entry in await house.store.journal_tail()]


async def test_memory_is_searched(house: House) -> None:
    """From the chat and from the machine alike, in notes and in what was said; and what is removed is not found."""
    folder = house.home.group(MAIN) / "memory"
    folder.mkdir(parents=True)
    (folder / "anna.md").write_text("Anna likes *tulips*\n")
    await answer_to(house, "I saw tulips today")
    found = await answer_to(house, "/memory search tulip")
    assert "Anna likes *tulips*" in found
    assert "I saw tulips today" in found
    client = ControlClient(house.home.control_socket)
    asked = {"group": "main", "query": "tulips"}
    answer: Any = await client.request("memory_search", asked)
    assert {each["source"] for each in answer["found"] if each["kind"] == "memory"} == {"anna.md"}
    await answer_to(house, "/memory forget anna.md")
    answer = await client.request("memory_search", asked)
    assert {each["kind"] for each in answer["found"]} == {"talk"}
    assert "Nothing was found" in await answer_to(house, "/memory search crocodile")
    with pytest.raises(Refused, match="there is no group 'nobody'"):
        await client.request("memory_search", {"group": "nobody", "query": "tulips"})


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "link", "folder/inside", "..", "", "pipe"])
def test_memory_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    """No link and no path out of the folder is followed, neither to be read nor to be removed."""
    home = Home(tmp_path)
    folder = home.group(MAIN) / "memory"
    folder.mkdir(parents=True)
    outside = home.group(MAIN) / "secret"
    outside.write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "inside").write_text("secret")
    (folder / "link").symlink_to(outside)
    (folder / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "pipe")
    files = MemoryFiles(home)
    assert files.list(MAIN) == ()
    for act in (files.read, files.forget):
        with pytest.raises(OperationRefused, match="has no file"):
            act(MAIN, name)
    assert outside.read_text() == "secret"
    assert (tmp_path / "elsewhere" / "inside").exists()


async def test_the_verbs_do_what_the_commands_do(house: House) -> None:
    """Over control.sock the same things can be done, and wrong names are refused with a word."""
    client = ControlClient(house.home.control_socket)
    await answer_to(house, "hello there")
    listed = await client.request("session_list", {"chat": CHAT})
    assert isinstance(listed, dict)
    session = listed["sessions"][0]["session"]
    exported = await client.request("session_export", {"session": session})
    assert isinstance(exported, dict)
    assert exported["name"].startswith("conversation-")
    await client.request("session_resume", {"chat": CHAT, "session": session})
    await client.request("pause", {"group": "main", "reason": "it is being mended"})
    held = await client.request("tasks", {"group": "main"})
    assert isinstance(held, dict)
    assert held["paused"] == ["it is being mended"]
    assert "⏸ Held back: it is being mended." in await answer_to(house, "/tasks")
    assert await client.request("resume", {"group": "main"}) == {"is_lifted": True, "left": []}
    tasks = await client.request("tasks", {"group": "main"})
    assert isinstance(tasks, dict)
    assert tasks["tasks"]
    assert tasks["paused"] == []
    for verb, arguments, code in (
        ("session_resume", {"chat": CHAT, "session": "9"}, "unknown_session"),
        ("session_export", {}, "usage"),
        ("session_export", {"session": "session_none"}, "unknown_session"),
        ("session_compact", {"chat": CHAT}, "too_short"),
        ("model_choose", {"group": "main", "model": "no/x"}, "unknown_model"),
        ("skills", {"group": "nobody"}, "unknown_group"),
        ("memory_show", {"group": "main", "file": "x"}, "unknown_file"),
        ("tasks", {"group": "nobody"}, "unknown_group"),
        ("pause", {"group": "nobody"}, "unknown_group"),
    ):
        with pytest.raises(Refused) as refused:
            await client.request(verb, arguments)
        assert refused.value.code == code, verb
