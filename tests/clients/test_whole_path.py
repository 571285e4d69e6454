"""A real client in the hands of the real agent, with every process of an installation: what the model gets to read."""

from __future__ import annotations

import asyncio

import pytest

from bench.installation import installation
from protocol.control import Say

pytestmark = pytest.mark.engine

TIMEOUT_S = 40.0
REACH = "curl -sS https://nowhere.example/; env | grep -c ^SSL_CERT_FILE=; curl -sS $ANTHROPIC_BASE_URL/v1/models"
SCRIPT = {
    "rules": [
        {
            "when": "",
            "turns": [
                {"text": "", "calls": [{"tool": "shell", "arguments": {"command": REACH}}]},
                {"text": "it said {output}"},
            ],
        }
    ]
}


async def test_the_model_is_told_what_was_refused_and_what_would_allow_it() -> None:
    """curl shows only a number of a refused tunnel; the model reads the reason too, and the owner's command. The
    group's model route answers tools as well."""
    async with installation(script=SCRIPT) as home, home.control.chat() as chat, asyncio.timeout(TIMEOUT_S):
        await chat.say(Say(text="reach"))
        async for shown in chat.shown():
            if shown.kind == "message":
                break
    assert "CONNECT tunnel failed, response 403" in shown.text
    assert "nowhere.example" in shown.text.partition("403")[2]
    assert "The owner would allow it with: " in shown.text
    assert '"object": "list"' in shown.text
