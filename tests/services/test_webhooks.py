"""A signed request from outside, through every process and a real container, to an answer in a chat."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest

from bench.installation import installation
from channels.webhook.schemes import sign
from services.rehearsal import free_port

pytestmark = pytest.mark.engine

TIMEOUT_S = 60.0
GROUP = """
hooks:
  pushes:
    secret: pushes-key
    template: "push to {repository.full_name}"
    reply_to: terminal:main
"""
SCRIPT = {
    "rules": [
        {"when": "push to (\\S+)", "turns": [{"text": "seen: {1}"}]},
        {"when": "", "turns": [{"text": "ok"}]},
    ]
}


async def test_a_service_s_push_is_answered_in_the_chat_that_was_named() -> None:
    """Once, though it is posted twice; what is not signed brings nothing."""
    port = free_port(0)
    settings = f"channels: {{hooks: {{platform: webhook, url: 'http://127.0.0.1:{port}'}}}}\n"
    async with installation(script=SCRIPT, settings=settings, secrets={"pushes-key": "s3"}) as home:
        (home.fork / "groups" / "main" / "group.yaml").write_text(GROUP, "utf-8")
        answer = await home.control.request("reload")
        assert isinstance(answer, dict) and answer["problems"] == []
        body, now = json.dumps({"repository": {"full_name": "anna/yard"}}).encode(), int(time.time())
        headers = {
            "X-Nightyard-Id": "d-1",
            "X-Nightyard-Timestamp": str(now),
            "X-Nightyard-Signature": sign("s3", "d-1", now, body),
        }
        async with home.control.chat() as chat, httpx.AsyncClient(trust_env=False) as client:
            address = f"http://127.0.0.1:{port}/hooks/main/pushes"
            wrong = await client.post(address, content=body, headers={**headers, "X-Nightyard-Signature": "sha256=0"})
            assert wrong.status_code == 401
            codes = [(await client.post(address, content=body, headers=headers)).status_code for _ in range(2)]
            assert codes == [202, 202]
            async with asyncio.timeout(TIMEOUT_S):
                async for shown in chat.shown():
                    if shown.kind == "message":
                        assert shown.text == "seen: anna/yard"
                        break
        listed = await home.control.request("tasks", {"group": "main"})
        assert isinstance(listed, dict) and isinstance(listed["tasks"], list)
        assert len(listed["tasks"]) == 1 and not listed["waiting"]
