"""The Claude Code command: over the group's model route, and over a tunnel to a service of that name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from protocol.task import ModelRoute
from tests.clients.quarter import Quarter, Reply, open_quarter
from tests.clients.tools import claude_client
from tests.credproxy.street import CANARY, Arrived
from twins.models import anthropic
from twins.models.script import decide_turn, parse_script
from twins.models.server import serve_models

pytestmark = [pytest.mark.engine, pytest.mark.long]

CLAUDE = "/skills/claude-client/node_modules/.bin/claude"
MAKES_A_FILE = {
    "rules": [
        {
            "when": "",
            "turns": [
                {
                    "text": "let me see",
                    "calls": [{"tool": "Bash", "arguments": {"command": "echo made > made; cat made"}}],
                },
                {"text": "the file says {output}"},
            ],
        }
    ]
}
SAYS_HELLO = {"rules": [{"when": "", "turns": [{"text": "hello from the script"}]}]}


@pytest.fixture
async def stocked(agent_image: str) -> AsyncIterator[Quarter]:
    async with open_quarter(agent_image, claude_client()) as quarter:
        yield quarter


async def test_claude_works_over_the_groups_model_route(stocked: Quarter) -> None:
    """`claude -p` needs no setting and no key: the container names the route, the proxy adds the key, tools run."""
    async with serve_models(required_key=CANARY) as (port, twin):
        twin.scripts["scripted"] = parse_script(json.dumps(MAKES_A_FILE))
        stocked.street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{port}", "key")
        stocked.model = ModelRoute(route="claude", api="anthropic", model="scripted")
        ran = await stocked.run(f"{CLAUDE} -p 'make a file' --allowedTools Bash; cat made")
        assert ran.well().split() == ["the", "file", "says", "made", "made"]
        assert {call["key"] for call in twin.log} == {CANARY}
    assert CANARY not in ran.output + ran.errors
    # Nothing else was asked for: what would be refused at every run is not tried.
    assert [event.detail for event in stocked.street.events if event.kind == "denied"] == []


async def test_claude_trusts_the_proxy_in_a_tunnel(stocked: Quarter) -> None:
    """Sent to a service by its own https address, it trusts the proxy's authority, and its dummy key is replaced."""
    rules = parse_script(json.dumps(SAYS_HELLO))

    async def serve(arrived: Arrived) -> Reply:
        if not arrived.line.startswith("POST /v1/messages"):
            return Reply(status=404, body=b"{}")
        conversation = anthropic.read_conversation(json.loads(arrived.body))
        events = anthropic.stream_events(decide_turn(rules, conversation), conversation, 1, len(arrived.body))
        return Reply(body=b"".join(events), headers={"Content-Type": "text/event-stream"})

    inject = {"header": "x-api-key"}
    async with stocked.shop("model.example", serve, secret="key", inject=inject) as shop:
        ran = await stocked.run(
            f"ANTHROPIC_API_KEY=dummy ANTHROPIC_BASE_URL=https://model.example:{shop.port} {CLAUDE} -p hello"
        )
    assert ran.well() == "hello from the script\n"
    calls = [arrived for arrived in shop.inbox if arrived.line.startswith("POST /v1/messages")]
    assert {tuple(arrived.header("x-api-key")) for arrived in calls} == {(CANARY,)}
