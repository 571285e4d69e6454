"""Rate limits of Discord's twin, faults of its API, and its user side over HTTP."""

from __future__ import annotations

import asyncio
import base64
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.twins.discord_raw import Raw, raw_client
from twins.discord.seed import GENERAL, THREAD
from twins.discord.server import DiscordTwin
from twins.discord.user_side import controls

SAY = f"/channels/{GENERAL}/messages"
NOWHERE = "/channels/999/messages"


@pytest.fixture
async def limited() -> AsyncIterator[Raw]:
    twin = DiscordTwin()
    async with twin.serve(), raw_client(twin) as raw:
        yield raw


async def test_a_bucket_counts_down_and_then_says_how_long_to_wait(limited: Raw) -> None:
    """Headers with every answer; at the end 429 with the exact wait in the body, rounded up in the header."""
    remaining = []
    for number in range(5):
        assert (await limited.call("POST", SAY, {"content": str(number)}))[0] == 200
        remaining.append(limited.headers["X-RateLimit-Remaining"])
    assert remaining == ["4", "3", "2", "1", "0"]
    assert 0 < float(limited.headers["X-RateLimit-Reset-After"]) <= 5
    bucket = limited.headers["X-RateLimit-Bucket"]
    status, refused = await limited.call("POST", SAY, {"content": "x"})
    assert (status, refused["global"]) == (429, False)
    assert refused["message"] == "You are being rate limited."
    assert isinstance(refused["retry_after"], float)
    assert 0 <= int(limited.headers["Retry-After"]) - refused["retry_after"] < 1
    assert (limited.headers["X-RateLimit-Scope"], limited.headers["Via"] != "") == ("user", True)
    assert (await limited.call("POST", f"/channels/{THREAD}/messages", {"content": "x"}))[0] == 200
    assert limited.headers["X-RateLimit-Bucket"] == bucket
    await limited.person("limits", {"on": False})
    assert (await limited.call("POST", SAY, {"content": "x"}))[0] == 200
    await limited.person("limits", {"on": True})
    limited.twin.clock.advance(5)
    assert (await limited.call("POST", SAY, {"content": "x"}))[0] == 200


async def test_fifty_requests_a_second_are_all_together(limited: Raw) -> None:
    """The 51st is refused globally; answers to interactions are not counted."""
    limited.twin.clock.scale = 0.001
    for _ in range(50):
        await limited.call("GET", "/users/@me")
    status, refused = await limited.call("GET", "/channels/" + GENERAL)
    assert (status, refused["global"], limited.headers["X-RateLimit-Global"]) == (429, True, "true")
    assert limited.headers["X-RateLimit-Scope"] == "global"
    assert (await limited.call("POST", "/interactions/1/x/callback", {"type": 4}))[0] == 404


async def test_ten_thousand_refused_requests_bring_the_ban_page(limited: Raw) -> None:
    """HTML without `Via`, until ten minutes of the twin's clock are over."""
    limits = limited.twin.limits
    for _ in range(9_999):
        limits.note_invalid(limited.twin.clock.now())
    await limited.call("GET", "/users/@me", headers={})
    status, page = await limited.call("GET", "/users/@me")
    assert (status, "<html>" in page, "Via" in limited.headers) == (429, True, False)
    limited.twin.clock.advance(601)
    assert (await limited.call("GET", "/users/@me"))[0] == 200


async def test_faults_of_the_api_strike_the_calls_they_name(raw: Raw) -> None:
    """error, unauthorized, flood, garbage, delay; by the operation's name, counted."""

    def prepare(kind: str, **more: Any) -> None:
        controls.add_fault(raw.twin.hub, {"kind": kind, "method": "create_message", **more})

    prepare("error", status=503)
    assert (await raw.call("GET", SAY))[0] == 200
    assert (await raw.call("POST", SAY, {"content": "x"}))[0] == 503
    prepare("unauthorized")
    assert (await raw.call("POST", SAY, {"content": "x"}))[0] == 401
    prepare("flood", retry_after=7)
    status, refused = await raw.call("POST", SAY, {"content": "x"})
    assert (status, refused["retry_after"], raw.headers["Retry-After"]) == (429, 7, "7")
    prepare("garbage")
    assert "not json" in (await raw.call("POST", SAY, {"content": "x"}))[1]
    prepare("delay", delay_s=0.01)
    assert (await raw.call("POST", SAY, {"content": "late"}))[0] == 200


@pytest.mark.parametrize(("kind", "happened"), [("reset", False), ("lost_answer", True)])
async def test_a_connection_can_break_before_and_after_the_deed(raw: Raw, kind: str, happened: bool) -> None:
    """reset: nothing is done; lost_answer: it is, and the caller cannot know."""
    controls.add_fault(raw.twin.hub, {"kind": kind, "method": "create_message"})
    with pytest.raises(aiohttp.ClientError):
        await raw.call("POST", SAY, {"content": "x"})
    assert bool((await raw.call("GET", SAY))[1]) is happened


async def test_the_users_side_is_an_api_with_clear_refusals(raw: Raw) -> None:
    """Type, upload, look and wait over HTTP; nonsense is told apart."""
    said = await raw.person("type", {"text": "hello", "person": "Ben"})
    assert (await raw.person("chat?person=Ben", method="GET"))["messages"][0]["id"] == said["message_ids"][0]
    content = base64.b64encode(b"bytes").decode()
    sent = await raw.person("upload", {"name": "a.txt", "content": content, "caption": "look"})
    seen = (await raw.person("chat", method="GET"))["messages"][-1]
    assert (seen["text"], seen["files"]) == ("look", [{"id": sent["file_id"], "name": "a.txt"}])
    several = {"files": [{"name": "1.txt", "content": content}, {"name": "2.txt", "content": content}], "chat": GENERAL}
    await raw.person("upload", several)
    shown = (await raw.person(f"chat?chat={GENERAL}", method="GET"))["messages"][-1]
    assert [one["name"] for one in shown["files"]] == ["1.txt", "2.txt"]
    assert "no person" in (await raw.person("type", {"text": "x", "person": "Nobody"}))["error"]
    assert "no fault" in (await raw.person("fault", {"kind": "plague"}))["error"]
    assert "has no" in (await raw.person("nonsense"))["error"]
    world = await raw.person("world", method="GET")
    assert [one["name"] for one in world["people"]] == ["Anna", "Ben", "Mallory"]
    assert {one["kind"] for one in world["chats"]} == {"direct", "many"}
    assert [one["threads"] for one in world["chats"] if one["id"] == GENERAL] == [[{"id": THREAD, "name": "planning"}]]
    assert (await raw.person("clock", {"advance_s": 60}))["scale"] == 1
    events = (await raw.person("log?event=message_create", method="GET"))["events"]
    assert len(events) == 3


async def test_the_phone_page_is_served(raw: Raw) -> None:
    """The page that all twins share is at /twin/phone."""
    assert (await raw.download(f"{raw.twin.address}/twin/phone"))[0] == 200


async def test_the_twin_runs_alone_and_says_how_to_reach_it(tmp_path: Path) -> None:
    """Address, certificate, token and phone page, until it is asked to end."""
    command = [sys.executable, "-m", "twins.discord", "--directory", str(tmp_path), "--token", "a.b.c", "--no-limits"]
    twin = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert twin.stdout is not None
    async with asyncio.timeout(30):
        lines = [(await twin.stdout.readline()).decode() for _ in range(4)]
        twin.send_signal(signal.SIGTERM)
        await twin.wait()
    assert lines[0].startswith("https://127.0.0.1:")
    assert str(tmp_path / "ca.pem") in lines[1]
    assert "a.b.c" in lines[2]
    assert re.search(r" at http://127\.0\.0\.1:\d+/twin/phone$", lines[3].strip())  # no browser trusts the certificate
    assert twin.returncode == 0
