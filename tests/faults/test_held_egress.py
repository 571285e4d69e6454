"""Requests that a grant wants a person's word for, over the whole way: from a tool in a real container to a card in a
chat and back, whatever ends or breaks meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bench.installation import Installation, installation
from client.errors import ControlError
from tests.faults.house import Talk, talk, tool_processes, until_true, workspace

pytestmark = pytest.mark.engine

CURL = "curl -sS -x http://127.0.0.1:3128 --noproxy '' http://localhost:{port}/"
PAY = CURL + "pay -d to=bob"
WAIT_FOR_GO = "while [ ! -e go ]; do sleep 0.05; done; rm go; "
REACHED = "until " + CURL + " -o seen && grep -q method_not seen; do sleep 0.1; done; "
"""A proxy that was killed has the container's socket back, and the host has said again what the task may do."""


@dataclass
class Bank:
    """A server that counts what reaches it."""

    port: int = 0
    paid: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        self.paid.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\npaid it")
        await writer.drain()
        writer.close()


def script(port: int) -> dict[str, Any]:
    def shell(command: str) -> dict[str, Any]:
        return {"calls": [{"tool": "shell", "arguments": {"command": command}}]}

    ask = PAY.format(port=port)
    later = WAIT_FOR_GO + REACHED.format(port=port) + ask
    return {
        "rules": [
            {"when": "^pay", "turns": [shell(ask), shell(later), {"text": "{output}"}]},
            {"when": "^ask", "turns": [shell(ask), {"text": "{output}"}]},
            {"when": "", "turns": [{"text": "ok {said}"}]},
        ]
    }


@asynccontextmanager
async def bank_house(terms: str) -> AsyncIterator[tuple[Installation, Bank]]:
    bank = Bank()
    server = await asyncio.start_server(bank.serve, "127.0.0.1", 0)
    bank.port = server.sockets[0].getsockname()[1]
    place = f"host: localhost, scheme: http, port: {bank.port}, addresses: [127.0.0.1], methods: [POST]"
    async with server, installation(grants=f"- {{{place}, approval: {terms}}}\n", script=script(bank.port)) as home:
        yield home, bank


async def card(chat: Talk) -> str:
    """Return the code of the next card."""
    shown = await chat.until("message", "A request wants to go out: ")
    assert "| to=bob" in shown.text
    assert [choice.label for choice in shown.buttons][::2] == ["Yes", "No"]
    return shown.buttons[0].value.split()[1]


async def waiting(home: Installation) -> list[str]:
    listed: Any = await home.control.request("approval_list", {})
    return [one["approval"] for one in listed["waiting"]]


async def until_waiting(home: Installation, codes: list[str]) -> None:
    async with asyncio.timeout(20):
        while await waiting(home) != codes:  # noqa: ASYNC110 - the host is asked
            await asyncio.sleep(0.05)


async def until_used(home: Installation) -> None:
    """Wait until the agent's first request was answered, and its second round waits for a word."""
    await until_true(lambda: bool(tool_processes("sleep 0.05")))


def go(home: Installation) -> None:
    (workspace(home) / "go").touch()


def kill(home: Installation, process: str) -> int:
    pid = home.processes()[process]
    os.kill(pid, signal.SIGKILL)
    return pid


async def until_again(home: Installation, process: str, before: int) -> None:
    """Wait until there is another process, and the host answers."""
    await until_true(lambda: home.processes().get(process, before) != before)
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(ControlError):
                await waiting(home)
                return
            await asyncio.sleep(0.05)


async def test_a_yes_lets_the_very_request_out_once(agent_image: str) -> None:
    """The agent reads that a person is asked and goes on; after the yes the same request goes out, once; asked again,
    the person is asked again."""
    async with bank_house("{deadline: 1m, hold: 2s}") as (home, bank), talk(home) as chat:
        await chat.say("pay bob")
        code = await card(chat)
        await until_used(home)
        assert bank.paid == []
        await chat.say(f"/approve {code}")
        await until_waiting(home, [])
        go(home)
        await chat.until("message", "paid it")
        assert bank.paid == [b"to=bob"]
        await chat.say("ask bob")
        other = await card(chat)
        assert other != code
        assert "approval_pending" in (await chat.until("message", "approval_")).text
        assert bank.paid == [b"to=bob"]


async def test_a_no_is_the_end_of_asking(agent_image: str) -> None:
    """After a no the same request is refused with the person's reason, in later tasks too, and no other card comes."""
    async with bank_house("{deadline: 1m, hold: 2s}") as (home, bank), talk(home) as chat:
        await chat.say("pay bob")
        code = await card(chat)
        await until_used(home)
        await chat.say(f"/deny {code} he owes me")
        await until_waiting(home, [])
        go(home)
        told = (await chat.until("message", "approval_denied")).text
        assert "he owes me" in told
        await chat.say("ask bob")
        assert "approval_denied" in (await chat.until("message", "approval_")).text
        assert bank.paid == []
        assert sum("wants to go out" in shown.text for shown in chat.seen) == 1


async def test_a_deadline_that_passes_lets_nothing_out(agent_image: str) -> None:
    """Nobody answers: the agent reads so, a yes that comes too late is told so, and nothing was sent."""
    async with bank_house("{deadline: 10s, hold: 15s}") as (home, bank), talk(home) as chat:
        await chat.say("ask bob")
        code = await card(chat)
        assert "approval_expired" in (await chat.until("message", "approval_")).text
        await until_waiting(home, [])
        await chat.say(f"/approve {code}")
        await chat.until("message", "ran out")
        assert bank.paid == []


async def test_a_stopped_task_takes_its_question_along(agent_image: str) -> None:
    """While its request is held the task is stopped: a yes that comes later is told so and sends nothing, and the same
    request of a later task is asked about anew."""
    async with bank_house("{deadline: 1m, hold: 50s}") as (home, bank), talk(home) as chat:
        await chat.say("ask bob")
        code = await card(chat)
        await chat.say("/stop")
        await until_waiting(home, [])
        await chat.say(f"/approve {code}")
        await chat.until("message", "its task was stopped")
        await chat.say("ask bob")
        assert await card(chat) != code
        assert bank.paid == []


@pytest.mark.parametrize("process", ["host", "credproxy"])
async def test_a_killed_process_loses_no_decision(agent_image: str, process: str) -> None:
    """Host or proxy is killed while a request is held: the person decides on the same card, and the request that is
    asked again goes out once."""
    async with bank_house("{deadline: 1m, hold: 2s}") as (home, bank):
        async with talk(home) as chat:
            await chat.say("pay bob")
            code = await card(chat)
            await until_used(home)
            before = kill(home, process)
            await until_again(home, process, before)
        async with talk(home) as chat:
            await chat.say(f"/approve {code}")
            await until_waiting(home, [])
            go(home)
            await chat.until("message", "paid it")
        assert bank.paid == [b"to=bob"]


async def test_a_proxy_killed_while_a_tool_waits_for_it(agent_image: str) -> None:
    """The tool whose request was held sees its connection end; the task goes on and its end is told."""
    async with bank_house("{deadline: 1m, hold: 50s}") as (home, bank), talk(home) as chat:
        await chat.say("pay bob")
        code = await card(chat)
        before = kill(home, "credproxy")
        await until_again(home, "credproxy", before)
        await until_used(home)
        await chat.say(f"/approve {code}")
        await until_waiting(home, [])
        go(home)
        await chat.until("message", "paid it")
        assert bank.paid == [b"to=bob"]
