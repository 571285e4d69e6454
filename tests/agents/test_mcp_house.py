"""MCP servers over the whole way: from group.yaml and a card in a chat to a server in a real container, and to one
behind the proxy."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bench.installation import ROOT, Installation, installation
from tests.faults.house import Talk, talk, until_true, workspace, write_group
from twins.mcp.server import HttpTwin, serve_mcp

pytestmark = pytest.mark.engine

NEAR = "near: {{command: python3, args: [/workspace/twin.py{more}], env: {{FLAVOUR: sour}}}}"
CARD = '"name": ?"(mcp__[a-z]+__[a-z]+)", ?"description"'
FAR = "far: {{url: 'http://localhost:{port}/mcp'}}"


def script() -> dict[str, Any]:
    def rule(when: str, tool: str, **arguments: object) -> dict[str, Any]:
        return {"when": when, "turns": [{"calls": [{"tool": tool, "arguments": arguments}]}, {"text": "{output}"}]}

    return {
        "rules": [
            rule("^near", "mcp__near__variable", name="FLAVOUR"),
            rule("^far", "mcp__far__echo", text="from afar"),
            rule("^hang", "mcp__near__hang"),
            {"when": "^tools", "recall": CARD, "turns": [{"text": "have {recalled}"}]},
            {"when": "^why", "recall": 'The MCP server far [^"]*', "turns": [{"text": "{recalled}"}]},
            {"when": "", "turns": [{"text": "ok {said}"}]},
        ]
    }


@asynccontextmanager
async def house(grants: bool = True) -> AsyncIterator[tuple[Installation, Talk, HttpTwin, int]]:
    """An installation whose group has a server in its container and one over HTTP, not decided about yet."""
    async with serve_mcp() as (port, twin):
        place = f"host: localhost, scheme: http, port: {port}, addresses: [127.0.0.1], methods: [POST]"
        granted = f"- {{{place}}}\n" if grants else ""
        async with installation(grants=granted, script=script()) as home, talk(home) as chat:
            await chat.ask("hi")  # the group's folders are there
            shutil.copy(ROOT / "twins/mcp/stdio.py", workspace(home) / "twin.py")
            (workspace(home) / "twin.py").chmod(0o644)
            await settle(home, port)
            yield home, chat, twin, port


async def settle(home: Installation, port: int, more: str = "") -> None:
    """Have group.yaml name both servers."""
    servers = f"  {NEAR.format(more=more)}\n  {FAR.format(port=port)}\n"
    write_group(home, "main", f"description: x\nmcp:\n{servers}")
    problems: Any = await home.control.request("reload")
    assert not problems.get("problems"), problems


async def cards(chat: Talk, count: int) -> dict[str, str]:
    """Return code by server of so many cards."""
    found = {}
    for _ in range(count):
        shown = await chat.until("message", "An MCP server is wanted: ")
        server = shown.text.partition("| server: ")[2].splitlines()[0]
        found[server] = shown.buttons[0].value.split()[1]
        assert shown.buttons[0].value == f"/approve {found[server]}"
        if server == "near":
            assert "| command: python3" in shown.text and "| environment:\n|   - FLAVOUR" in shown.text
            assert "sour" not in shown.text
    return found


async def until_says(chat: Talk, question: str, words: str) -> str:
    """Ask until the answer has these words in it, and return it: a decision counts a moment after it is confirmed."""
    async with asyncio.timeout(60):
        while words not in (answer := await chat.ask(question)):
            pass
    return answer


async def test_servers_are_used_after_a_yes_and_not_before() -> None:
    """A card for each; without a word the agent goes on without them. After a yes the tools are there, in a container
    and over the proxy; a stop ends a hanging call; a changed definition and a word taken back end it."""
    async with house() as (home, chat, twin, port):
        codes = await cards(chat, 2)
        assert (await chat.ask("tools")) == "have " and twin.methods == []
        for code in codes.values():
            await chat.ask(f"/approve {code}")
        await until_says(chat, "tools", "mcp__near__echo")
        assert "mcp__far__echo" in await until_says(chat, "tools", "mcp__far__echo")
        assert await chat.ask("near") == "sour"
        await until_true(lambda: len(json.loads((home.home / "mcp/main.json").read_text())) == 2)
        assert await chat.ask("far") == "from afar"
        count = twin.methods.count("initialize")
        assert "mcp__far__echo" in await chat.ask("tools") and twin.methods.count("initialize") == count
        await chat.say("hang")
        await chat.until("progress", "mcp__near__hang")
        await chat.say("/stop")
        await chat.until("message", "topped")
        await settle(home, port, more=", --page-size, '3'")
        changed = await cards(chat, 1)
        assert list(changed) == ["near"]
        assert "mcp__near" not in await chat.ask("tools")
        await chat.ask(f"/deny {changed['near']}")
        listed: Any = await home.control.request("approval_list", {"ended": True})
        (far,) = [each["decision"] for each in listed["remembered"] if each["approval"] == codes["far"]]
        await home.control.request("approval_forget", {"decision": far})
        await cards(chat, 1)
        assert await chat.ask("tools") == "have "


async def test_an_address_that_is_not_granted_teaches() -> None:
    """A yes to a server is no grant: the proxy refuses, and the model can say what the owner would do."""
    async with house(grants=False) as (_, chat, twin, _):
        codes = await cards(chat, 2)
        await chat.ask(f"/approve {codes['far']}")
        told = await until_says(chat, "why", "The MCP server far")
        assert "The MCP server far is not there now: it was not reached." in told and "The owner would allow" in told
        assert twin.methods == []
