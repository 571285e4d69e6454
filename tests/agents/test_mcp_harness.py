"""A group's MCP servers in Claude Code, the real program in its image: the same question, names and constraints."""

from __future__ import annotations

import shutil

import pytest

from bench.installation import ROOT, installation
from tests.agents.test_mcp_house import CARD, FAR, NEAR, cards
from tests.faults.house import talk, workspace, write_group
from twins.mcp.server import serve_mcp

pytestmark = [pytest.mark.engine, pytest.mark.long]
ELSEWHERE = "127.0.0.2"
"""Where a program goes over the proxy: to `localhost` it goes itself."""
BUILD_S = 300.0
"""The image is fetched and built where it is missing."""
LEFT_OUT = "tools: [-mcp__near__echo]\n"
CONSTRAINT = "constraints:\n  - {tool: mcp__far__*, then: deny}\n"


def script() -> object:
    def rule(when: str, tool: str, **arguments: object) -> dict[str, object]:
        return {"when": when, "turns": [{"calls": [{"tool": tool, "arguments": arguments}]}, {"text": "{output}"}]}

    return {
        "rules": [
            rule("^near", "mcp__near__variable", name="FLAVOUR"),
            rule("^echo", "mcp__near__echo", text="a"),
            rule("^far", "mcp__far__echo", text="from afar"),
            {"when": "^tools", "recall": CARD, "turns": [{"text": "have {recalled}"}]},
            {"when": "", "turns": [{"text": "ok {said}"}]},
        ]
    }


async def test_a_harness_has_the_servers_that_somebody_has_said_yes_to() -> None:
    """Not before; then in the container and over the proxy. What the group leaves out, and what a constraint rules out,
    is not called."""
    async with serve_mcp(host=ELSEWHERE) as (port, twin):
        place = f"host: {ELSEWHERE}, scheme: http, port: {port}, addresses: [{ELSEWHERE}], methods: [POST, GET, DELETE]"
        async with installation(grants=f"- {{{place}}}\n", script=script()) as home, talk(home) as chat:
            await chat.ask("hi")
            shutil.copy(ROOT / "twins/mcp/stdio.py", workspace(home) / "twin.py")
            (workspace(home) / "twin.py").chmod(0o644)
            servers = f"mcp:\n  {NEAR.format(more='')}\n  {FAR.format(port=port).replace('localhost', ELSEWHERE)}\n"
            write_group(home, "main", f"harness: claude-code\n{servers}{LEFT_OUT}")
            assert await home.control.request("reload") == {"problems": []}
            codes = await cards(chat, 2)
            await chat.say("tools")
            await chat.until("message", "have", BUILD_S)
            assert twin.methods == []
            for code in codes.values():
                await chat.ask(f"/approve {code}")
            assert await chat.ask("near") == "sour"
            assert await chat.ask("far") == "from afar"
            assert "does not have the tool mcp__near__echo" in await chat.ask("echo")
            write_group(home, "main", f"harness: claude-code\n{servers}{CONSTRAINT}")
            assert await home.control.request("reload") == {"problems": []}
            calls = twin.methods.count("tools/call")
            assert "constraint" in await chat.ask("far")
            assert twin.methods.count("tools/call") == calls
