"""The protocol's own Python library on the other side: its servers of both transports, and its client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.interrupt import Interrupt
from agents.mcp.client import Client, ServerRefused
from agents.mcp.stdio import Stdio
from agents.mcp.streamable import Streamable
from agents.places import Places
from protocol.link import Answered, Ask, McpServer
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.test_mcp_http import Proxy
from tests.agents.test_mcp_server import OURS, Place
from tests.clients.tools import mcp_sdk

pytestmark = pytest.mark.long

SERVER = """
import sys
from mcp.server.mcpserver import Context, Image, MCPServer

server = MCPServer("theirs")

@server.tool()
def add(a: int, b: int = 1) -> int:
    "Adds."
    return a + b

@server.tool()
def fail() -> str:
    raise RuntimeError("it did not work")

@server.tool()
async def slow(ctx: Context) -> str:
    await ctx.report_progress(1, 2, "half of it")
    return "done"

@server.tool()
def picture() -> Image:
    return Image(data=bytes.fromhex("89504e470d0a1a0a"), format="png")

@server.resource("note://one")
def note() -> str:
    return "what the note says"

if sys.argv[1] == "stdio":
    server.run()
else:
    import socket, uvicorn
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    app = server.streamable_http_app(json_response=sys.argv[1] == "json", host="mcp.example")
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
"""
CLIENT = """
import asyncio, json, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    given = json.loads(sys.argv[1])
    async with stdio_client(StdioServerParameters(**given)) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = await session.list_tools()
        result = await session.call_tool("send_message", {"text": "hi"})
        wrong = await session.call_tool("nothing", {})
        await session.send_ping()
        said = [each.text for each in (*result.content, *wrong.content)]
        print(json.dumps([[tool.name for tool in tools.tools], said]))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(mcp_sdk()), "PATH": os.environ["PATH"]}


@contextmanager
def over_http(root: Path, environment: dict[str, str], mode: str) -> Iterator[Client]:
    command = [sys.executable, "-c", SERVER, mode]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        proxy = Proxy(root / "run/yard/proxy.sock", int(process.stdout.readline()))
        server = McpServer(name="theirs", url="http://mcp.example/mcp")
        yield Client(Streamable(server, Places(root=str(root)), Interrupt()))
        proxy.close()
        process.kill()


@contextmanager
def over_stdio(root: Path, environment: dict[str, str]) -> Iterator[Client]:
    server = McpServer(name="theirs", command=sys.executable, args=("-c", SERVER, "stdio"), env=environment)
    client = Client(Stdio(server, Places(root=str(root)), Interrupt()))
    yield client
    client.close()


@pytest.fixture(params=["stdio", "stream", "json"])
def client(request: pytest.FixtureRequest, root: Path, environment: dict[str, str]) -> Iterator[Client]:
    made = over_stdio(root, environment) if request.param == "stdio" else over_http(root, environment, request.param)
    with made as client:
        yield client


def test_their_server_is_spoken_with(client: Client) -> None:
    """Handshake, tools, calls, errors, progress, an image and a resource."""
    client.begin()
    tools: Any = {tool["name"]: tool for tool in client.tools()}
    assert list(tools) == ["add", "fail", "slow", "picture"]
    assert tools["add"]["inputSchema"]["required"] == ["a"]
    said: list[str] = []
    answers: list[Any] = [client.call(name, given, 20, said.append) for name, given in CALLS]
    assert [answer["content"][0].get("text", "")[:30] for answer in answers] == ["3", WRONG, "done", ""]
    assert answers[0]["structuredContent"] == {"result": 3}
    assert [answer.get("isError", False) for answer in answers] == [False, True, False, False]
    assert answers[3]["content"][0]["mimeType"] == "image/png"
    assert [each["uri"] for each in client.resources()] == ["note://one"]
    contents: Any = client.read_resource("note://one", 20)["contents"]
    assert contents[0]["text"] == "what the note says"
    with pytest.raises(ServerRefused):
        client.read_resource("note://none", 20)


CALLS: tuple[tuple[str, dict[str, object]], ...] = (
    ("add", {"a": 1, "b": 2}),
    ("fail", {}),
    ("slow", {}),
    ("picture", {}),
)
WRONG = "Error executing tool fail"


def test_their_client_has_our_tools(places: Places, host: ScriptedHost, environment: dict[str, str]) -> None:
    """It lists and calls them through the process that a harness starts."""
    place = Place(places, host)
    place.begin(assignment("go"))
    entry = place.entry
    given = json.dumps({"command": entry.command, "args": list(entry.args), "env": dict(entry.env)})

    def answer() -> None:
        asked = host.next(Ask)
        host.send(Answered(call_id=asked.call_id, answer="sent as s1"))

    answering = threading.Thread(target=answer)
    answering.start()
    command = [sys.executable, "-c", CLIENT, given]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    tools, said = json.loads(ended.stdout)
    assert set(tools) >= set(OURS) and said[0] == "sent as s1" and "there is no tool 'nothing' here" in said[1]
    answering.join()
    place.stop("the test is over")
    place.link.close()
