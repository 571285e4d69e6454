"""Ways to stop, and what costs no model call: `/stop`, freeze, the daily cap, commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bench.installation import Installation, installation
from tests.faults.house import Talk, measured, talk, tool_processes, until_true, write_group

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]

CONFIRMED_S = 5.0
"""The product's own target is 1 s, printed with -s; a loaded machine is given more."""
GONE_S = 5.0
"""The target is 2 s."""
CHILDREN = "setsid nohup sleep 601 >/dev/null 2>&1 & (trap '' TERM HUP INT; sleep 602) & sleep 603"
SCRIPT = {
    "rules": [
        {"when": "^tell", "turns": [{"text": "word " * 3000, "pace_s": 0.02}]},
        {"when": "^think", "turns": [{"text": "late", "delay_s": 600}]},
        {"when": "^children", "turns": [{"calls": [{"tool": "shell", "arguments": {"command": CHILDREN}}]}]},
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def home(agent_image: str) -> AsyncIterator[Installation]:
    async with installation(groups=("main", "capped"), script=SCRIPT) as running:
        yield running


def model_calls(home: Installation) -> int:
    return len(home.twin("GET", "/twin/log"))


async def running_tasks(home: Installation) -> int:
    status: Any = await home.control.request("status")
    return len(status["running"])


async def stop(chat: Talk, what: str) -> None:
    with measured(f"/stop {what}: confirmed", CONFIRMED_S):
        await chat.say("/stop")
        assert (await chat.until("message", "Stopped")).text == "Stopped."


async def check_it_is_over(home: Installation, chat: Talk) -> None:
    """Nothing of the stopped answer comes after the confirmation, and the next message works."""
    assert await chat.ask("hello") == "ok hello"
    assert await running_tasks(home) == 0


async def test_stop_in_a_stream(home: Installation) -> None:
    """While the model's answer is being shown: confirmed at once, no more of it is shown."""
    async with talk(home, name="stream") as chat:
        await chat.say("tell")
        await chat.until("delta")
        await stop(chat, "in a stream")
        before = len(chat.read("delta"))
        await check_it_is_over(home, chat)
        assert "word" not in "".join(chat.read("delta")[before:])


async def test_stop_while_the_model_thinks(home: Installation) -> None:
    """While nothing has come from the model yet."""
    async with talk(home, name="think") as chat:
        calls = model_calls(home)
        await chat.say("think")
        await until_true(lambda: model_calls(home) > calls)
        await stop(chat, "while the model thinks")
        await check_it_is_over(home, chat)


async def test_stop_in_a_tool_with_children(home: Installation) -> None:
    """Children in the background, in a session of their own, deaf to signals: all are gone."""
    commands = [f"sleep {number}" for number in (601, 602, 603)]
    async with talk(home, name="children") as chat:
        await chat.say("children")
        await until_true(lambda: all(tool_processes(command) for command in commands))
        with measured("processes gone after /stop", CONFIRMED_S + GONE_S):
            await stop(chat, "in a tool with children")
            await until_true(lambda: not any(tool_processes(command) for command in commands))
        await check_it_is_over(home, chat)


async def test_stop_drops_what_waits(home: Installation) -> None:
    """Asked to, a stop drops the messages that wait behind the stopped one, and the confirmation counts them."""
    async with talk(home, name="waiting") as chat:
        await chat.say("tell")
        await chat.until("delta")
        for text in ("one", "two"):
            await chat.say(text)
            await chat.until("accepted", "said_")
        await chat.say("/stop all")
        assert (await chat.until("message", "Stopped")).text == "Stopped. 2 waiting messages will not be answered."
        await check_it_is_over(home, chat)
        assert not {"ok one", "ok two"} & set(chat.read("message"))


async def test_commands_cost_no_model_call(home: Installation) -> None:
    """/status, /help, /new and a /stop of nothing are answered by Nightyard itself."""
    home.twin("DELETE", "/twin/log")
    async with talk(home, name="commands") as chat:
        answers = [await chat.ask(command) for command in ("/status", "/help", "/new", "/stop")]
    print("\n" + "\n--\n".join(answers))
    assert "Agent main, model bench/scripted." in answers[0]
    assert all(command in answers[1] for command in ("/stop", "/new", "/status", "/help"))
    assert answers[2:] == ["A fresh conversation begins.", "Nothing was running here."]
    assert home.twin("GET", "/twin/log") == []


async def test_frozen_messages_wait_and_are_answered(home: Installation) -> None:
    """Frozen: what runs is stopped and told, what is said is kept and told, nothing is asked; afterwards it goes on."""
    async with talk(home, name="frozen") as chat:
        await chat.say("children")
        await until_true(lambda: bool(tool_processes("sleep 603")))
        with measured("frozen: agents gone", GONE_S):
            await home.control.request("freeze")
            await until_true(lambda: not tool_processes("sleep 603"))
        stopped = await chat.answer()
        calls = model_calls(home)
        told = await chat.ask("hello")
        print(f"\n{stopped}\n{told}")
        assert stopped.startswith("Stopped: ")
        assert "nightyard unfreeze" in told and "your message is kept" in told
        assert "frozen" in await chat.ask("/status")
        assert model_calls(home) == calls
        await home.control.request("unfreeze")
        assert await chat.answer() == "ok hello"


async def test_a_cap_of_no_calls_makes_none(home: Installation) -> None:
    """limits.calls_per_day: 0: no container, no call; the person reads where it stands, and the message is kept."""
    write_group(home, "capped", "limits: {calls_per_day: 0}\n")
    await home.control.request("reload")
    calls = model_calls(home)
    async with talk(home, "capped") as chat:
        said = await chat.ask("hello")
        print(f"\n{said}")
        assert said.startswith("⏸ ") and "groups/capped/group.yaml" in said and "is kept" in said
        assert model_calls(home) == calls
        write_group(home, "capped", "limits: {calls_per_day: 1}\n")
        await home.control.request("reload")
        assert await chat.answer() == "ok hello"
        assert "used up" in await chat.ask("hello again")
