"""Everything that the Slack twin does, once, in one walk; and the twin as a program of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.twins.slack_workspace import WAIT_S, Workspace, served_workspace
from twins.conformance.slack_reference import compare_methods
from twins.conformance.slack_samples import compare_payloads
from twins.conformance.slack_walk import walk
from twins.slack.methods.table import METHODS
from twins.slack.seed import ANNA, DIRECT, GENERAL
from twins.slack.server import SlackTwin
from twins.slack.tokens import BOT_TOKEN

BY_FORM = {"users.setPhoto"}
"""What takes a file in a form, and is tried on its own."""


async def test_a_walk_through_all_methods_is_refused_nowhere() -> None:
    """Each method of the table answers, and events and interactions of every sort come on the way."""
    async with served_workspace() as workspace, asyncio.timeout(60):
        recorded = await walk(workspace.address, workspace.http, quiet_s=0.1)
    assert set(METHODS) - {each.name for each in recorded} == BY_FORM
    kinds = {each.kind for each in recorded}
    assert kinds == {"answer", "events_api", "interactive", "slash_commands"}
    events = [each.body["event"]["type"] for each in recorded if each.kind == "events_api"]
    assert {"message", "app_mention", "reaction_added", "file_shared", "channel_rename", "pin_added"} <= set(events)


async def test_without_samples_there_is_nothing_to_compare(tmp_path: Path) -> None:
    """A checkout of something else is named."""
    with pytest.raises(OSError, match="no samples"):
        await compare_payloads(tmp_path)


async def test_forms_and_queries_are_read_like_json() -> None:
    """A call may come as a query, as a form, or as a form with a file."""
    async with served_workspace() as workspace:
        api = f"{workspace.address}/api"
        async with workspace.http.get(f"{api}/users.info", params={"token": BOT_TOKEN, "user": ANNA}) as answer:
            assert (await answer.json())["user"]["id"] == ANNA
        async with workspace.http.post(f"{api}/users.info", data={"token": BOT_TOKEN, "user": ANNA}) as answer:
            assert (await answer.json())["user"]["id"] == ANNA
        form = aiohttp.FormData({"token": BOT_TOKEN, "channels": GENERAL})
        form.add_field("file", b"bytes", filename="f.bin")
        async with workspace.http.post(f"{api}/files.upload", data=form) as answer:
            file = (await answer.json())["file"]
        assert (file["name"], file["size"], file["channels"]) == ("f.bin", 5, [GENERAL])
        photo = aiohttp.FormData({"token": f"xoxp-1000000000-{ANNA}-rehearsal"})
        photo.add_field("image", b"\x89PNG", filename="p.png")
        async with workspace.http.post(f"{api}/users.setPhoto", data=photo) as answer:
            assert (await answer.json())["profile"]["is_custom_image"]
        place = await workspace.bot.files_getUploadURLExternal(filename="a", length=5)
        sent = aiohttp.FormData()
        sent.add_field("file", b"bytes", filename="a")
        async with workspace.http.post(place["upload_url"], data=sent) as answer:
            assert await answer.text() == "OK - 5"


async def test_sockets_end_with_the_twin() -> None:
    """When the twin stops, its sockets are closed as a server that goes away does it."""
    async with aiohttp.ClientSession() as http:
        twin = SlackTwin()
        async with twin.serve():
            channel = await http.ws_connect(twin.world.open_socket())
            assert (await channel.receive_json(timeout=WAIT_S))["type"] == "hello"
        closing = await channel.receive(timeout=WAIT_S)
        assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1001)
        await channel.close()


async def test_what_goes_wrong_while_it_serves_is_raised_as_it_is() -> None:
    """The block's own exception comes out, not a group of one."""
    with pytest.raises(LookupError):
        async with SlackTwin().serve():
            raise LookupError


async def test_it_runs_alone_and_says_where() -> None:
    """As a program it prints its address first, then tokens and the phone, and ends at SIGTERM."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "twins.slack", stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(WAIT_S), aiohttp.ClientSession() as http:
        lines = [(await process.stdout.readline()).decode().strip() for _ in range(5)]
        for word, line in zip(("http", "/api/", "xoxb-", "xapp-", "/twin/phone"), lines, strict=True):
            assert word in line
        async with http.get(f"{lines[0]}/twin/phone") as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_twin_that_was_away_comes_back_as_it_was() -> None:
    """Served again at the same place it knows what was said before, and the SDK finds it by itself."""
    twin = SlackTwin()
    async with aiohttp.ClientSession() as http, AsyncExitStack() as first:
        address = await first.enter_async_context(twin.serve())
        workspace = Workspace(twin, address, http)
        async with workspace.listening(ping_interval=0.1) as arrived, asyncio.timeout(WAIT_S):
            await workspace.person("type", text="before")
            assert (await arrived.get()).payload["event"]["text"] == "before"
            await first.aclose()
            async with twin.serve(port=int(address.rpartition(":")[2])):
                await workspace.noted("socket_opened", 2)
                await workspace.person("type", text="after")
                assert (await arrived.get()).payload["event"]["text"] == "after"
                shown = await workspace.chat(DIRECT[ANNA])
        assert [message["text"] for message in shown] == ["before", "after"]


async def test_without_the_reference_there_is_nothing_to_compare(tmp_path: Path) -> None:
    """A checkout of something else is named here too."""
    with pytest.raises(OSError, match="no reference"):
        await compare_methods(tmp_path)
