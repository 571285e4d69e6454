"""The agent's own MCP client, over TLS through the proxy: as it trusts, is granted, is refused."""

from __future__ import annotations

import json

import pytest

from tests.clients.quarter import Quarter, Reply
from tests.credproxy.street import CANARY, Arrived
from twins.mcp.stdio import McpTwin

pytestmark = pytest.mark.engine

CLIENT = """python3 - <<'END'
import sys
sys.path.insert(0, "/opt/agent")
from agents.interrupt import Interrupt
from agents.mcp.client import Client
from agents.mcp.streamable import Streamable
from agents.mcp.transport import ServerFailed
from agents.places import Places
from protocol.link import McpServer
for url in sys.argv[1:] or %s:
    client = Client(Streamable(McpServer(name="far", url=url), Places(), Interrupt()))
    try:
        print(client.call("echo", {"text": "over TLS"}, 20, print)["content"][0]["text"])
    except ServerFailed as error:
        print(error)
END"""


async def test_a_server_over_tls_gets_its_key_from_the_proxy(quarter: Quarter) -> None:
    """The client trusts its authority and holds no key; another path or host is refused with what would help."""
    twin = McpTwin()

    async def serve(arrived: Arrived) -> Reply:
        said = list(twin.take(json.loads(arrived.body)))
        if not said:
            return Reply(status=202)
        return Reply(body=json.dumps(said[-1]).encode(), headers={"Content-Type": "application/json"})

    async with quarter.shop("mcp.example", serve, secret="key", inject="bearer", paths=["/mcp"]) as shop:
        place = f"https://mcp.example:{shop.port}"
        ran = await quarter.run(CLIENT % [f"{place}/mcp", f"{place}/other", "https://elsewhere.example/mcp"])
    answer, other, elsewhere = ran.well().splitlines()
    assert answer == "over TLS"
    assert other.startswith("was not reached. ") and "/other" in other
    assert elsewhere.startswith("was not reached. ") and "elsewhere.example" in elsewhere
    assert {arrived.header("authorization")[0] for arrived in shop.inbox} == {f"Bearer {CANARY}"}
