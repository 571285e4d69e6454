"""Go's net/http: a program of a few lines, built statically."""

from __future__ import annotations

import json

import pytest

from tests.clients.quarter import Reply, open_quarter
from tests.clients.tools import go_client
from tests.credproxy.street import CANARY, Arrived

pytestmark = [pytest.mark.engine, pytest.mark.long]


async def hello(arrived: Arrived) -> Reply:
    body = json.dumps({"Word": "hello", "Bytes": len(arrived.body)}).encode()
    return Reply(body=body, headers={"Content-Type": "application/json"})


async def test_programs_in_go_need_nothing(agent_image: str) -> None:
    """They find the proxy and trust it by the container's environment alone: reading, a large body, refusals."""
    async with (
        open_quarter(agent_image, go_client()) as quarter,
        quarter.shop("api.example", hello, secret="key", inject="bearer", paths=["/a"]) as shop,
    ):
        ran = await quarter.run(f"/skills/go-client/ask https://api.example:{shop.port}")
    *lines, tunnel = ran.well().splitlines()
    assert lines == ["hello", "2000000 path_not_granted", "hello hello hello"]
    assert "host_not_granted: " in tunnel
    assert {tuple(arrived.header("authorization")) for arrived in shop.inbox} == {(f"Bearer {CANARY}",)}
