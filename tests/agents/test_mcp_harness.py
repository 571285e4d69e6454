"""A group's MCP servers in other harnesses, the real programs in their images: same question, names and constraints."""

from __future__ import annotations

import shutil

import pytest

from bench.installation import ROOT, Installation, installation
from tests.agents.test_mcp_house import FAR, NEAR, cards, until_says
from tests.faults.house import talk, workspace, write_group
from twins.mcp.server import serve_mcp

pytestmark = [pytest.mark.engine, pytest.mark.long]
ELSEWHERE = "127.0.0.2"
"""Where a program goes over the proxy: to `localhost` it goes itself."""
BUILD_S = 300.0
"""The image is fetched and built where it is missing."""
LEFT_OUT = "tools: [-mcp__near__echo]\n"
CONSTRAINT = "constraints:\n  - {tool: mcp__far__*, then: deny}\n"


HARNESSES = {"claude-code": "mcp__{}__{}", "opencode": "{}_{}", "codex": "mcp__{}.{}"}
"""Each with what its model calls a server's tool."""


def script(shown: str) -> object:
    def rule(when: str, server: str, tool: str, **arguments: object) -> dict[str, object]:
        call = {"tool": shown.format(server, tool), "arguments": arguments}
        return {"when": when, "turns": [{"calls": [call]}, {"text": "{output}"}]}

    return {
        "rules": [
            rule("^near", "near", "variable", name="FLAVOUR"),
            rule("^proxy", "near", "variable", name="HTTPS_PROXY"),
            rule("^echo", "near", "echo", text="a"),
            rule("^far", "far", "echo", text="from afar"),
            {"when": "", "turns": [{"text": "ok {said}"}]},
        ]
    }


async def take_up(home: Installation, harness: str, more: str) -> None:
    """Have the group's agent be this program, over a route that it knows how to ask."""
    settings = home.fork / "nightyard.yaml"
    route = f"  answers:\n    api: responses\n    url: {home.twin_url}\n"
    if route not in settings.read_text():
        settings.write_text(settings.read_text() + route)
    model = "model: answers/scripted\n" if harness == "codex" else ""
    write_group(home, "main", f"harness: {harness}\n{model}{more}")
    assert await home.control.request("reload") == {"problems": []}


@pytest.mark.parametrize("harness", HARNESSES)
async def test_a_harness_has_the_servers_that_somebody_has_said_yes_to(harness: str) -> None:
    """Not before; then in the container and over the proxy. What the group leaves out, and what a constraint rules out,
    is not called."""
    async with serve_mcp(host=ELSEWHERE) as (port, twin):
        place = f"host: {ELSEWHERE}, scheme: http, port: {port}, addresses: [{ELSEWHERE}], methods: [POST, GET, DELETE]"
        words = script(HARNESSES[harness])
        async with installation(grants=f"- {{{place}}}\n", script=words) as home, talk(home) as chat:
            await chat.ask("hi")
            shutil.copy(ROOT / "twins/mcp/stdio.py", workspace(home) / "twin.py")
            (workspace(home) / "twin.py").chmod(0o644)
            far = FAR.format(port=port).replace("localhost", ELSEWHERE)
            servers = f"mcp:\n  {NEAR.format(more='')}\n  {far}\n"
            await take_up(home, harness, servers + LEFT_OUT)
            codes = await cards(chat, 2)
            await chat.say("hello")
            await chat.until("message", "ok hello", BUILD_S)
            assert twin.methods == []
            for code in codes.values():
                await chat.ask(f"/approve {code}")
            await until_says(chat, "near", "sour")
            assert ":3128" in await chat.ask("proxy")
            await until_says(chat, "far", "from afar")
            assert "does not have the tool mcp__near__echo" in await chat.ask("echo")
            await take_up(home, harness, servers + CONSTRAINT)
            calls = twin.methods.count("tools/call")
            assert "constraint" in await chat.ask("far")
            assert twin.methods.count("tools/call") == calls
