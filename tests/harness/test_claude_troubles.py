"""Claude Code where something is in its way: a service that fails, limits, questions, a stop, a window that is full."""

from __future__ import annotations

import shutil
import socket
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bench.installation import Installation
from tests.faults.house import Talk, measured, talk, tool_processes, until_true, workspace
from tests.harness.claude_house import CHILD, TOOL, claude_house, steps

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]

CONFIRMED_S = 2.0
"""What a person may wait for the end of a stop; half of it is what there should be."""
GONE_S = 4.0
FOR_GOOD_S = 90.0
"""Half a minute of asking again at most, and a slow machine."""


def dark_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


SETTINGS = f"  dark:\n    api: anthropic\n    url: http://127.0.0.1:{dark_port()}\n"
GROUPS = {
    "main": "",
    "second": "model: bench/scripted\nfallbacks: [bench/echo]\n",
    "dark": "model: dark/scripted\nfallbacks: [bench/scripted]\n",
    "watched": "constraints:\n  - command: rm precious\n",
    "paid": "limits: {cost_usd: 1.5}\n",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def home() -> AsyncIterator[Installation]:
    async with claude_house(GROUPS, settings=SETTINGS) as running:
        (running.fork / "prices.yaml").write_text("scripted: {input: 100.0, output: 100.0}\n", "utf-8")
        assert await running.control.request("reload") == {"problems": []}
        yield running


def picture(folder: Path) -> Path:
    """Write a red image that programs can read."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff\0\0" * 8) * 8)
    path = folder / "red.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


async def fill_window(chat: Talk) -> None:
    """Have a conversation that is too long for one more message."""
    await chat.ask("/new")
    for _ in range(3):
        await chat.ask("hello " + "word " * 4_000)


async def test_a_stop_is_confirmed_at_once(home: Installation) -> None:
    """In the middle of a tool, with what it has left behind in a session of its own; and of an answer."""
    async with talk(home, name="stop") as chat:
        shutil.rmtree(workspace(home) / "began", ignore_errors=True)
        await chat.say("hang on")
        await until_true(lambda: bool(tool_processes(TOOL)) and bool(tool_processes(CHILD)))
        with measured("claude-code: processes gone after /stop", GONE_S):
            with measured("claude-code: /stop in a tool confirmed", CONFIRMED_S):
                await chat.say("/stop")
                await chat.until("message", "Stopped.")
            await until_true(lambda: not tool_processes(TOOL) and not tool_processes(CHILD))
        await chat.say("tell a story")
        await chat.until("delta", "word")
        with measured("claude-code: /stop in an answer confirmed", CONFIRMED_S):
            await chat.say("/stop")
            await chat.until("message", "Stopped.")
        assert await chat.ask("hello") == "hi from the script"


async def test_a_service_that_is_not_well_is_asked_again(home: Installation) -> None:
    """Too busy for a moment, then a stream that breaks: both are answered in the end, and each answer stands once."""
    async with talk(home, name="again") as chat:
        await chat.ask("/new")
        home.twin("POST", "/twin/fault", {"kind": "status", "status": 529, "message": "overloaded", "times": 2})
        assert await chat.ask("hello busy") == "hi from the script"
        assert any("529" in text and "Asking again" in text for text in chat.read("progress"))
        home.twin("POST", "/twin/fault", {"kind": "half_stream"})
        assert await chat.ask("hello broken") == "hi from the script"
        assert steps(home, "hello busy") == steps(home, "hello broken") == ["model_turn"]


async def test_the_next_model_answers(home: Installation) -> None:
    """A refused key is the end of the first model at once; the answer says who gave it."""
    async with talk(home, "second", name="second") as chat:
        home.twin("POST", "/twin/fault", {"kind": "status", "status": 401, "message": "no such key"})
        said = await chat.ask("hello there")
        assert "hello there" in said and "bench/echo answers instead of bench/scripted" in said
        assert await chat.ask("hello") == "hi from the script"  # the first one is asked first again


async def test_the_next_service_answers(home: Installation) -> None:
    """A service that is not there is asked again for ten seconds, as the person can see; then the next one is."""
    async with talk(home, "dark", name="dark") as chat:
        await chat.say("make a file")
        said = (await chat.until("message", timeout_s=FOR_GOOD_S)).text
        assert "it says made" in said and "bench/scripted answers instead of dark/scripted" in said
        assert any("Asking again" in text for text in chat.read("progress"))
        assert (workspace(home, "dark") / "made.txt").read_text() == "made\n"


async def test_a_yes_lets_the_call_through(home: Installation) -> None:
    """A command that an owner wants to be asked about is made after the yes, once."""
    async with talk(home, "watched", name="asked") as chat:
        await chat.ask("hello")  # the folder is its own then
        precious = workspace(home, "watched") / "precious"
        precious.write_text("x")
        await chat.say("remove it")
        asked = await chat.until("message", "rm precious")
        assert precious.exists()
        await chat.say(next(button.value for button in asked.buttons if button.label == "Yes"))
        await chat.until("message", "done: ")
        assert not precious.exists()
        assert steps(home, "remove it") == ["model_turn", "tool_started", "tool_finished", "model_turn"]


async def test_an_image_is_seen(home: Installation, tmp_path: Path) -> None:
    """What a person sends along is shown to the model itself."""
    async with talk(home, name="image") as chat:
        assert await chat.ask("look at this", picture(tmp_path)) == 'I see "image/png"'


async def test_money_for_one_task_has_an_end(home: Installation) -> None:
    """A task at its limit waits for an owner, goes on in its conversation when there is as much once more, and ends
    when there is not."""
    async with talk(home, "paid", name="paid") as chat:
        await chat.say("three steps")
        card = await chat.until("message", "its limits: 100 model calls")
        assert "$1.50" in card.text
        await chat.say(next(button.value for button in card.buttons if button.label == "As much once more"))
        card = await chat.until("message", "its limits: 200 model calls")
        assert "You were interrupted" in home.twin("GET", "/twin/log")[-1]["said"]
        await chat.say(next(button.value for button in card.buttons if button.label == "End it"))
        await chat.until("message", "limit")


async def test_a_full_window_is_told(home: Installation) -> None:
    """The person reads that the conversation is summed up; where the service refuses that, why."""
    async with talk(home, name="full") as chat:
        await fill_window(chat)
        await chat.say("hello again")
        await chat.until("progress", "summed up")
        assert (await chat.answer()) == "hi from the script"
        await fill_window(chat)
        home.twin("POST", "/twin/fault", {"kind": "status", "status": 401, "message": "no such key", "times": 20})
        try:
            await chat.say("hello again")
            await chat.until("progress", "summed up")
            await chat.until("message", "refused its key", FOR_GOOD_S)
        finally:
            home.twin("DELETE", "/twin/fault")
