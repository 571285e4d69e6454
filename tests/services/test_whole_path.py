"""Every process and a real container: what is said at the terminal is answered, also over deaths and stops."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.installation import Installation, installation
from client.control import Conversation
from client.errors import ControlError
from protocol.control import Say, Shown

pytestmark = pytest.mark.engine

TIMEOUT_S = 40.0
WORK = "sleep 2; echo x >> /workspace/x; wc -l /workspace/x"
SCRIPT = {
    "rules": [
        {
            "when": "^work",
            "turns": [
                {
                    "text": "let me see",
                    "calls": [{"tool": "shell", "arguments": {"command": WORK}}],
                },
                {"text": "it said {output}"},
            ],
        },
        {
            "when": "^hang",
            "turns": [{"text": "", "calls": [{"tool": "shell", "arguments": {"command": "sleep 600"}}]}],
        },
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
}


@asynccontextmanager
async def running(settings: str = "") -> AsyncIterator[tuple[Installation, Conversation]]:
    async with installation(script=SCRIPT, settings=settings) as home, home.control.chat() as chat:
        yield home, chat


async def until(chat: Conversation, kind: str, text: str = "") -> Shown:
    async with asyncio.timeout(TIMEOUT_S):
        async for shown in chat.shown():
            if shown.kind == kind and text in shown.text:
                return shown
    raise AssertionError("the chat was closed")


async def test_a_tool_call_is_seen_to_its_end() -> None:
    """Message, container, model, tool, model, reply; then a second from the spare."""
    async with running() as (_, chat):
        await chat.say(Say(text="work"))
        await until(chat, "progress", "shell")
        assert "1 /workspace/x" in (await until(chat, "message")).text
        await chat.say(Say(text="hello"))
        assert (await until(chat, "message")).text == "ok hello"


async def test_a_killed_host_takes_its_agents_up_again() -> None:
    """kill -9 in the middle of a tool: the agent works on, its reply comes once, the tool ran once."""
    async with installation(script=SCRIPT) as home:
        async with home.control.chat() as chat:
            await chat.say(Say(text="work"))
            await until(chat, "progress", "shell")
            killed = home.processes()["host"]
            os.kill(killed, signal.SIGKILL)
        await next_host(home, killed)
        async with home.control.chat() as chat:
            assert "1 /workspace/x" in (await until(chat, "message")).text
        assert await running_tasks(home) == []
        assert (home.home / "groups" / "main" / "workspace" / "x").read_text() == "x\n"


async def running_tasks(home: Installation) -> list[object]:
    status = await home.control.request("status")
    assert isinstance(status, dict)
    return list(status["running"])


async def no_task_runs(home: Installation) -> None:
    while await running_tasks(home):  # noqa: ASYNC110 - another process is looked at
        await asyncio.sleep(0.05)


async def next_host(home: Installation, killed: int) -> None:
    """Return when the host that comes after the killed one answers."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                health = await home.control.request("health")
            except ControlError:
                health = None
            if isinstance(health, dict) and health["pid"] != killed:
                return
            await asyncio.sleep(0.05)


async def test_stop_is_confirmed_and_everything_is_gone() -> None:
    """`/stop` is answered within a second, and within two more no process of the agent is left."""
    async with running() as (home, chat):
        await chat.say(Say(text="hang"))
        await until(chat, "progress", "shell")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await chat.say(Say(text="/stop"))
        await until(chat, "message")
        assert loop.time() - began < 10  # nothing else would end it
        async with asyncio.timeout(3):
            await no_task_runs(home)
        await chat.say(Say(text="again"))
        assert (await until(chat, "message")).text == "ok again"
