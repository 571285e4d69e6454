"""What is said to an agent at work, over the whole way: its container hears it between two rounds of tools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bench.installation import Installation, installation
from tests.faults.house import talk, tool_processes, until_true, workspace

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]

WAIT_FOR_GO = "while [ ! -e go ]; do sleep 0.1; done; rm go; sleep 0.5"
SCRIPT = {
    "rules": [
        {
            "when": "^work",
            "turns": [
                {"calls": [{"tool": "shell", "arguments": {"command": WAIT_FOR_GO}}]},
                {"text": "only the work"},
            ],
        },
        {"when": "^and this", "turns": [{"text": "the work, and this"}]},
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def home(agent_image: str) -> AsyncIterator[Installation]:
    async with installation(groups=("main",), script=SCRIPT) as running:
        yield running


async def trace_of(home: Installation, text: str) -> dict[str, Any]:
    """Return what the host tells of the newest message with this text."""
    recent: Any = await home.control.request("recent", {"limit": 10})
    message = next(message for message in recent["messages"] if message["text"] == text)
    trace: Any = await home.control.request("trace", {"reference": message["message"]})
    return dict(trace)


async def test_a_message_reaches_the_agent_at_work(home: Installation) -> None:
    """Said while a tool runs, it is answered by that very task, once: its step stands between the rounds."""
    async with talk(home, name="steer") as chat:
        await chat.say("work")
        await until_true(lambda: bool(tool_processes("sleep 0.1")))
        await chat.say("and this")
        await chat.until("accepted", "said_")
        (workspace(home) / "go").touch()
        assert await chat.answer() == "the work, and this"
        async with asyncio.timeout(10):
            trace = await trace_of(home, "and this")
        assert [message["state"] for message in trace["messages"]] == ["answered", "answered"]
        assert [step["kind"] for step in trace["steps"]] == [
            "model_turn",
            "tool_started",
            "tool_finished",
            "steered",
            "model_turn",
        ]
        assert await chat.ask("thanks") == "ok thanks"
